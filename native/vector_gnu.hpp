// Four floats and two doubles as GCC's and Clang's own vectors: SSE2, NEON and whatever
// else the compiler knows.
namespace nescio::NESCIO_VARIANT {

struct Doubles {
    using Lane = double;
    typedef double Register __attribute__((vector_size(16)));
    typedef long long Mask __attribute__((vector_size(16)));
    static constexpr int width = 2;
    static constexpr bool fused = false;
    static constexpr bool masked = false;
    Register v;

    static Doubles fill(double x) { return {Register{x, x}}; }
    static Doubles load(Float64, const unsigned char* at) {
        Doubles lanes;
        std::memcpy(&lanes.v, at, sizeof lanes.v);
        return lanes;
    }
    template <class Narrow>
    static Doubles load(Narrow, const unsigned char* at) {
        return {Register{Narrow::read(at),
                         Narrow::read(at + sizeof(typename Narrow::Stored))}};
    }
    void store(double* at) const { std::memcpy(at, &v, sizeof v); }
};

struct Floats {
    using Lane = float;
    typedef float Register __attribute__((vector_size(16)));
    typedef int Mask __attribute__((vector_size(16)));
    static constexpr int width = 4;
    static constexpr bool fused = false;
    static constexpr bool masked = false;
    Register v;

    static Floats fill(float x) { return {Register{x, x, x, x}}; }
    static Floats load(Float32, const unsigned char* at) {
        Floats lanes;
        std::memcpy(&lanes.v, at, sizeof lanes.v);
        return lanes;
    }
    static Floats load(Bfloat16, const unsigned char* at) {
        typedef std::uint16_t Narrow __attribute__((vector_size(8)));
        typedef std::uint32_t Wide __attribute__((vector_size(16)));
        Narrow narrow;
        std::memcpy(&narrow, at, sizeof narrow);
        const Wide wide = __builtin_convertvector(narrow, Wide) << 16;
        return {reinterpret_cast<Register>(wide)};
    }
    static Floats load(Float16, const unsigned char* at) {
        Floats lanes;
        for (int i = 0; i < width; ++i)
            lanes.v[i] = static_cast<float>(Float16::read(at + 2 * i));
        return lanes;
    }
    void store(float* at) const { std::memcpy(at, &v, sizeof v); }
};

template <class V>
using LanesOnly = std::enable_if_t<(V::width > 0), V>;

template <class V>
inline LanesOnly<V> operator+(V a, V b) { return {a.v + b.v}; }
template <class V>
inline LanesOnly<V> operator-(V a, V b) { return {a.v - b.v}; }
template <class V>
inline LanesOnly<V> operator*(V a, V b) { return {a.v * b.v}; }
template <class V>
inline LanesOnly<V> operator/(V a, V b) { return {a.v / b.v}; }
template <class V>
inline LanesOnly<V> fma(V a, V b, V c) { return {a.v * b.v + c.v}; }
template <class V>
inline LanesOnly<V> fms(V a, V b, V c) { return {a.v * b.v - c.v}; }
// The second where either is NaN.
template <class V>
inline LanesOnly<V> larger(V a, V b) { return {a.v > b.v ? a.v : b.v}; }
template <class V>
inline LanesOnly<V> absolute(V a) { return {a.v < 0 ? -a.v : a.v}; }
inline Doubles::Mask above(Doubles a, Doubles b) { return a.v > b.v; }
inline Floats::Mask above(Floats a, Floats b) { return a.v > b.v; }
inline Doubles choose(Doubles::Mask mask, Doubles yes, Doubles no) {
    return {mask ? yes.v : no.v};
}

// a 2^exponent, 0 where mask; NaN stays, since 2^exponent multiplies it.
inline Floats scaled_unless(Floats::Mask mask, Floats a, Floats exponent) {
    const Floats::Register shifted = exponent.v + (0x1.8p23f + 127);
    const Floats::Mask power = reinterpret_cast<Floats::Mask>(shifted) << 23;
    const Floats::Register product = a.v * reinterpret_cast<Floats::Register>(power);
    const Floats::Mask bits = reinterpret_cast<Floats::Mask>(product) & ~mask;
    return {reinterpret_cast<Floats::Register>(bits)};
}
inline Doubles scaled_unless(Doubles::Mask mask, Doubles a, Doubles exponent) {
    const Doubles::Register shifted = exponent.v + (0x1.8p52 + 1023);
    const Doubles::Mask power = reinterpret_cast<Doubles::Mask>(shifted) << 52;
    const Doubles::Register product = a.v * reinterpret_cast<Doubles::Register>(power);
    const Doubles::Mask bits = reinterpret_cast<Doubles::Mask>(product) & ~mask;
    return {reinterpret_cast<Doubles::Register>(bits)};
}

inline bool any(Doubles::Mask mask) { return (mask[0] | mask[1]) != 0; }
inline bool any(Floats::Mask mask) {
    return any(reinterpret_cast<Doubles::Mask>(mask));
}
inline unsigned bits(Doubles::Mask mask) {
    return static_cast<unsigned>((mask[0] & 1) | (mask[1] & 2));
}
inline unsigned bits(Floats::Mask mask) {
    return static_cast<unsigned>((mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) |
                                 (mask[3] & 8));
}
inline int count(Doubles::Mask mask) { return -static_cast<int>(mask[0] + mask[1]); }
inline int count(Floats::Mask mask) {
    return -(mask[0] + mask[1] + mask[2] + mask[3]);
}

inline Doubles wide_sum(Doubles a) { return a; }
inline Doubles wide_sum(Floats a) {
    return {Doubles::Register{static_cast<double>(a.v[0]) + a.v[2],
                              static_cast<double>(a.v[1]) + a.v[3]}};
}

}  // namespace nescio::NESCIO_VARIANT
