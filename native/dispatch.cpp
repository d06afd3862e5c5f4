#include "dispatch.hpp"

#if defined(NESCIO_X86) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace nescio {

namespace baseline { extern const Kernels kernels; }
#ifdef NESCIO_X86
namespace avx2 { extern const Kernels kernels; }
namespace avx512 { extern const Kernels kernels; }
#endif

namespace {

#if defined(NESCIO_X86) && defined(_MSC_VER)

// Bits of XCR0: what of the registers the operating system saves.
bool system_saves(unsigned long long wanted) {
    int found[4];
    __cpuid(found, 1);
    const bool readable = found[2] >> 27 & 1;
    return readable && (_xgetbv(0) & wanted) == wanted;
}

bool has_avx2() {
    int one[4], seven[4];
    __cpuid(one, 1);
    __cpuidex(seven, 7, 0);
    const bool fma = one[2] >> 12 & 1, f16c = one[2] >> 29 & 1;
    const bool avx2 = seven[1] >> 5 & 1;
    return fma && f16c && avx2 && system_saves(0x6);
}

bool has_avx512() {
    int seven[4];
    __cpuidex(seven, 7, 0);
    const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F DQ BW VL
    return has_avx2() && (static_cast<unsigned>(seven[1]) & wanted) == wanted &&
           system_saves(0xe6);
}

#elif defined(NESCIO_X86)

// The compiler's library asks cpuid and what the operating system saves (xgetbv).
bool has_avx2() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
}

bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

#endif

struct Path {
    const char* name;
    const Kernels* kernels;
};

std::vector<Path> paths() {
    std::vector<Path> found;
#ifdef NESCIO_X86
    if (has_avx512()) found.push_back({"avx512", &avx512::kernels});
    if (has_avx2()) found.push_back({"avx2", &avx2::kernels});
#endif
    found.push_back({"baseline", &baseline::kernels});
    return found;
}

}  // namespace

std::vector<std::string> available_paths() {
    std::vector<std::string> names;
    for (const Path& path : paths()) names.emplace_back(path.name);
    return names;
}

const Kernels* kernels_of(const std::string& name) {
    for (const Path& path : paths())
        if (name == path.name) return path.kernels;
    return nullptr;
}

}  // namespace nescio
