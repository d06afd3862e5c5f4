// exp and log1p on vectors. exp is 0 where it is below the smallest normal number, NaN
// for NaN, and exactly 1 at 0.
#if defined(__GNUC__)
#define NESCIO_INLINE inline __attribute__((always_inline))  // a call would cost more
#else
#define NESCIO_INLINE inline
#endif

namespace nescio::NESCIO_VARIANT {

template <class Lane>
struct ExponentialConstants;

template <>
struct ExponentialConstants<float> {
    static constexpr float lowest_exponent = -126, shift = 0x1.8p23f;
    static constexpr float log_two_high = 0.693359375f;  // times any exponent: exact
    static constexpr float log_two_low = -2.12194440e-4f;
    // 2^r on [-1/2, 1/2], largest relative error 5e-9.
    static constexpr float power[] = {0.693147188f,   0.2402265076f,   0.05550357114f,
                                      0.009618082557f, 0.001339086336f,
                                      0.0001545316295f};
};

template <>
struct ExponentialConstants<double> {
    static constexpr double lowest_exponent = -1022, shift = 0x1.8p52;
    static constexpr double log_two_high = 6.93147180369123816490e-01;
    static constexpr double log_two_low = 1.90821492927058770002e-10;
    // Largest relative error 9e-18.
    static constexpr double power[] = {
        0.69314718055994530942,     0.2402265069591009822,
        0.055504108664821594339,    0.0096181291076068885273,
        0.001333355814641693531,    0.00015403530441736050155,
        0.000015252733829836118394, 1.3215442587921689653e-6,
        1.0178062445845773521e-7,   7.0725859492692236999e-9,
        4.4549605981865183938e-10};
};

// exp(scale x). With fused multiply-add scale log2(e) is held in two numbers, so that
// the scale costs no accuracy; but for `unit`, the scale 1, single precision needs only
// the first, which is log2(e) to 1.4e-8.
template <class V, bool unit = false>
struct Exponential {
    using Lane = typename V::Lane;
    using Constants = ExponentialConstants<Lane>;
    static constexpr double log2_e = 1.4426950408889634074;

    V high, low, factor, lowest;

    explicit Exponential(double scale = 1.0) {
        const double exponent = V::fused ? scale * log2_e : log2_e;
        const Lane head = static_cast<Lane>(exponent);
        // What the double nearest log2(e) leaves out, where lanes are doubles.
        const double tail = sizeof(Lane) == sizeof(double)
                                ? scale * 2.0355273740931033e-17
                                : exponent - static_cast<double>(head);
        high = V::fill(head);
        low = V::fill(static_cast<Lane>(tail));
        factor = V::fill(static_cast<Lane>(scale));
        const double floor = Constants::lowest_exponent / (scale * log2_e);
        lowest = V::fill(static_cast<Lane>(floor));
    }

    // Where the exponential is 0.
    auto vanishes(V x) const { return above(lowest, x); }

    // Raises x to where the exponential is the smallest normal number; NaN stays.
    V clamped(V x) const { return larger(lowest, x); }

    V operator()(V x) const {
        const V one[1] = {x};
        V result[1];
        (*this)(one, result);
        return result[0];
    }

    // The same of several vectors in step, so that none waits for another.
    template <int count>
    NESCIO_INLINE void operator()(const V (&x)[count], V (&result)[count]) const {
        V whole[count], rest[count], sum[count];
        for (int j = 0; j < count; ++j) split(x[j], whole[j], rest[j]);
        constexpr int terms = sizeof Constants::power / sizeof(Lane);
        for (int j = 0; j < count; ++j)
            sum[j] = fma(V::fill(Constants::power[terms - 1]), rest[j],
                         V::fill(Constants::power[terms - 2]));
        for (int i = terms - 3; i >= 0; --i)
            for (int j = 0; j < count; ++j)
                sum[j] = fma(sum[j], rest[j], V::fill(Constants::power[i]));
        for (int j = 0; j < count; ++j) sum[j] = fma(sum[j], rest[j], V::fill(1));
        for (int j = 0; j < count; ++j)
            result[j] = scaled_unless(vanishes(x[j]), sum[j], whole[j]);
    }

  private:
    // x scale log2(e) as a whole number and a rest in [-1/2, 1/2]. Adding 1.5 2^23 (or
    // 2^52) and subtracting it again rounds to a whole number.
    void split(V x, V& whole, V& rest) const {
        const V shift = V::fill(Constants::shift);
        if constexpr (V::fused) {
            whole = fma(x, high, shift) - shift;
            rest = fms(x, high, whole);
            if constexpr (!unit || sizeof(Lane) == sizeof(double))
                rest = fma(x, low, rest);
        } else {
            const V scaled = x * factor;
            whole = (scaled * high + shift) - shift;
            const V part = scaled - whole * V::fill(Constants::log_two_high);
            rest = (part - whole * V::fill(Constants::log_two_low)) * high;
        }
    }
};

// log(1 + x) for x in [-0.3, 0.4]: 2 atanh(f) with f = x / (2 + x), f^2 < 0.04.
inline Doubles small_log1p(Doubles x) {
    const Doubles f = x / (Doubles::fill(2) + x), square = f * f;
    Doubles sum = Doubles::fill(1.0 / 23);
    for (int odd = 21; odd >= 1; odd -= 2)
        sum = fma(sum, square, Doubles::fill(1.0 / odd));
    return Doubles::fill(2) * f * sum;
}

}  // namespace nescio::NESCIO_VARIANT
