// How one logit of each type lies in memory. Included by every variant inside its own
// namespace, so that no function is compiled for one processor and run on another.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nescio::NESCIO_VARIANT {

inline float float_of_bits(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline std::uint32_t bits_of_float(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

template <class Stored>
inline Stored stored(const unsigned char* at) {  // the address may be odd
    Stored value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

inline float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = (half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)  // infinity and NaN
        return float_of_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    // 2^112 moves the exponent from half's bias to float's, denormals too.
    const float value = float_of_bits(magnitude << 13) * 5.192296858534828e33f;
    return float_of_bits(sign | bits_of_float(value));
}

struct Float64 {
    using Stored = double;
    static constexpr Stored impossible = -HUGE_VAL;
    static double read(const unsigned char* at) { return stored<Stored>(at); }
};

struct Float32 {
    using Stored = float;
    static constexpr Stored impossible = -HUGE_VALF;
    static double read(const unsigned char* at) { return stored<Stored>(at); }
};

struct Float16 {
    using Stored = std::uint16_t;
    static constexpr Stored impossible = 0xfc00;
    static double read(const unsigned char* at) {
        return half_to_float(stored<Stored>(at));
    }
};

struct Bfloat16 {
    using Stored = std::uint16_t;
    static constexpr Stored impossible = 0xff80;
    static double read(const unsigned char* at) {
        return float_of_bits(static_cast<std::uint32_t>(stored<Stored>(at)) << 16);
    }
};

}  // namespace nescio::NESCIO_VARIANT
