// The kernel for processors with AVX-512 F, BW, DQ and VL.
#define NESCIO_VARIANT avx512

#include "element.hpp"
#include "kernel.hpp"
#include "top.hpp"
#include "vector_avx512.hpp"

#include "variant.hpp"
