// Eight floats and four doubles as arrays, for any processor; the compiler makes of
// the short loops whatever vector instructions it may use.
namespace nescio::NESCIO_VARIANT {

template <class Number, int Width>
struct Lanes {
    using Lane = Number;
    struct Mask {
        bool v[Width];
    };
    static constexpr int width = Width;
    static constexpr bool fused = false;
    static constexpr bool masked = false;
    Number v[Width];

    static Lanes fill(Number x) {
        Lanes lanes;
        for (int i = 0; i < Width; ++i) lanes.v[i] = x;
        return lanes;
    }
    template <class Element>
    static Lanes load(Element, const unsigned char* at) {
        Lanes lanes;
        for (int i = 0; i < Width; ++i)
            lanes.v[i] = static_cast<Number>(
                Element::read(at + i * sizeof(typename Element::Stored)));
        return lanes;
    }
    void store(Number* at) const {
        for (int i = 0; i < Width; ++i) at[i] = v[i];
    }
};

using Doubles = Lanes<double, 4>;
using Floats = Lanes<float, 8>;

template <class Number, int Width, class Function>
inline Lanes<Number, Width> each(Function function) {
    Lanes<Number, Width> lanes;
    for (int i = 0; i < Width; ++i) lanes.v[i] = function(i);
    return lanes;
}

template <class N, int W>
inline Lanes<N, W> operator+(Lanes<N, W> a, Lanes<N, W> b) {
    return each<N, W>([&](int i) { return a.v[i] + b.v[i]; });
}
template <class N, int W>
inline Lanes<N, W> operator-(Lanes<N, W> a, Lanes<N, W> b) {
    return each<N, W>([&](int i) { return a.v[i] - b.v[i]; });
}
template <class N, int W>
inline Lanes<N, W> operator*(Lanes<N, W> a, Lanes<N, W> b) {
    return each<N, W>([&](int i) { return a.v[i] * b.v[i]; });
}
template <class N, int W>
inline Lanes<N, W> operator/(Lanes<N, W> a, Lanes<N, W> b) {
    return each<N, W>([&](int i) { return a.v[i] / b.v[i]; });
}
template <class N, int W>
inline Lanes<N, W> fma(Lanes<N, W> a, Lanes<N, W> b, Lanes<N, W> c) {
    return a * b + c;
}
template <class N, int W>
inline Lanes<N, W> fms(Lanes<N, W> a, Lanes<N, W> b, Lanes<N, W> c) {
    return a * b - c;
}
// The second where either is NaN.
template <class N, int W>
inline Lanes<N, W> larger(Lanes<N, W> a, Lanes<N, W> b) {
    return each<N, W>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
template <class N, int W>
inline Lanes<N, W> absolute(Lanes<N, W> a) {
    return each<N, W>([&](int i) { return a.v[i] < 0 ? -a.v[i] : a.v[i]; });
}
template <class N, int W>
inline typename Lanes<N, W>::Mask above(Lanes<N, W> a, Lanes<N, W> b) {
    typename Lanes<N, W>::Mask mask;
    for (int i = 0; i < W; ++i) mask.v[i] = a.v[i] > b.v[i];
    return mask;
}
template <class N, int W>
inline Lanes<N, W> choose(typename Lanes<N, W>::Mask mask, Lanes<N, W> yes,
                          Lanes<N, W> no) {
    return each<N, W>([&](int i) { return mask.v[i] ? yes.v[i] : no.v[i]; });
}

// Adding 1.5 2^23 (or 2^52) rounds to a whole number, which is then in the low bits.
inline float shifter(float) { return 0x1.8p23f; }
inline double shifter(double) { return 0x1.8p52; }
inline float power_of_two(float shifted) {
    return float_of_bits(bits_of_float(shifted) << 23);
}
inline double power_of_two(double shifted) {
    std::uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits <<= 52;
    std::memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}
constexpr int bias(float) { return 127; }
constexpr int bias(double) { return 1023; }

// a 2^exponent, 0 where mask; NaN stays, since 2^exponent multiplies it.
template <class N, int W>
inline Lanes<N, W> scaled_unless(typename Lanes<N, W>::Mask mask, Lanes<N, W> a,
                                 Lanes<N, W> exponent) {
    const N shift = shifter(N()) + bias(N());
    return each<N, W>([&](int i) {
        const N product = a.v[i] * power_of_two(exponent.v[i] + shift);
        return mask.v[i] ? N(0) : product;
    });
}

template <class Mask>
inline bool any(const Mask& mask) {
    bool found = false;
    for (bool lane : mask.v) found |= lane;
    return found;
}
template <class Mask>
inline unsigned bits(const Mask& mask) {
    unsigned found = 0, bit = 1;
    for (bool lane : mask.v) {
        if (lane) found |= bit;
        bit <<= 1;
    }
    return found;
}
template <class Mask>
inline int count(const Mask& mask) {
    int found = 0;
    for (bool lane : mask.v) found += lane;
    return found;
}

inline Doubles wide_sum(Doubles a) { return a; }
inline Doubles wide_sum(Floats a) {
    return each<double, 4>(
        [&](int i) { return static_cast<double>(a.v[i]) + a.v[i + 4]; });
}

}  // namespace nescio::NESCIO_VARIANT
