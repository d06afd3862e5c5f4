// The kernel for any processor of the architecture.
#define NESCIO_VARIANT baseline

#include "element.hpp"
#include "kernel.hpp"
#include "top.hpp"
#if defined(__GNUC__)
#include <type_traits>

#include "vector_gnu.hpp"
#else
#include "vector_plain.hpp"
#endif

#include "variant.hpp"
