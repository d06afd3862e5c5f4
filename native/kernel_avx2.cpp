// The kernel for processors with AVX2, FMA and F16C.
#define NESCIO_VARIANT avx2

#include "element.hpp"
#include "kernel.hpp"
#include "top.hpp"
#include "vector_avx2.hpp"

#include "variant.hpp"
