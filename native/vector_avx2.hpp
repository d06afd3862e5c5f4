// Eight floats and four doubles in AVX2 registers, with fused multiply-add.
#include <immintrin.h>

namespace nescio::NESCIO_VARIANT {

struct Doubles {
    using Lane = double;
    using Mask = __m256d;
    static constexpr int width = 4;
    static constexpr bool fused = true;
    static constexpr bool masked = false;
    __m256d v;

    static Doubles fill(double x) { return {_mm256_set1_pd(x)}; }
    static Doubles load(Float64, const unsigned char* at) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at));
        return {_mm256_castsi256_pd(bits)};
    }
    static Doubles load(Float32, const unsigned char* at) {
        const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at));
        return {_mm256_cvtps_pd(_mm_castsi128_ps(bits))};
    }
    static Doubles load(Float16, const unsigned char* at) {
        return {_mm256_cvtps_pd(_mm_cvtph_ps(half_lanes(at)))};
    }
    static Doubles load(Bfloat16, const unsigned char* at) {
        const __m128i bits = _mm_slli_epi32(_mm_cvtepu16_epi32(half_lanes(at)), 16);
        return {_mm256_cvtps_pd(_mm_castsi128_ps(bits))};
    }
    void store(double* at) const { _mm256_storeu_pd(at, v); }

  private:
    static __m128i half_lanes(const unsigned char* at) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(at));
    }
};

inline Doubles operator+(Doubles a, Doubles b) { return {_mm256_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm256_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm256_mul_pd(a.v, b.v)}; }
inline Doubles operator/(Doubles a, Doubles b) { return {_mm256_div_pd(a.v, b.v)}; }
inline Doubles fma(Doubles a, Doubles b, Doubles c) {
    return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}
inline Doubles fms(Doubles a, Doubles b, Doubles c) {
    return {_mm256_fmsub_pd(a.v, b.v, c.v)};
}
inline Doubles larger(Doubles a, Doubles b) { return {_mm256_max_pd(a.v, b.v)}; }
inline Doubles absolute(Doubles a) {
    return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)};
}
inline __m256d above(Doubles a, Doubles b) {
    return _mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ);
}
inline Doubles choose(__m256d mask, Doubles yes, Doubles no) {
    return {_mm256_blendv_pd(no.v, yes.v, mask)};
}
// a 2^exponent, 0 where mask; NaN stays, since 2^exponent multiplies it.
inline Doubles scaled_unless(__m256d mask, Doubles a, Doubles exponent) {
    const __m256d shifted = _mm256_add_pd(exponent.v, _mm256_set1_pd(0x1.8p52 + 1023));
    const __m256i power = _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52);
    const __m256d product = _mm256_mul_pd(a.v, _mm256_castsi256_pd(power));
    return {_mm256_andnot_pd(mask, product)};
}

struct Floats {
    using Lane = float;
    using Mask = __m256;
    static constexpr int width = 8;
    static constexpr bool fused = true;
    static constexpr bool masked = false;
    __m256 v;

    static Floats fill(float x) { return {_mm256_set1_ps(x)}; }
    static Floats load(Float32, const unsigned char* at) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at));
        return {_mm256_castsi256_ps(bits)};
    }
    static Floats load(Float16, const unsigned char* at) {
        return {_mm256_cvtph_ps(half_lanes(at))};
    }
    static Floats load(Bfloat16, const unsigned char* at) {
        const __m256i wide = _mm256_cvtepu16_epi32(half_lanes(at));
        return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
    }
    void store(float* at) const { _mm256_storeu_ps(at, v); }

  private:
    static __m128i half_lanes(const unsigned char* at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at));
    }
};

inline Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
inline Floats fms(Floats a, Floats b, Floats c) {
    return {_mm256_fmsub_ps(a.v, b.v, c.v)};
}
inline Floats larger(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
inline __m256 above(Floats a, Floats b) {
    return _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ);
}
inline Floats scaled_unless(__m256 mask, Floats a, Floats exponent) {
    const __m256 shifted = _mm256_add_ps(exponent.v, _mm256_set1_ps(0x1.8p23f + 127));
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    const __m256 product = _mm256_mul_ps(a.v, _mm256_castsi256_ps(power));
    return {_mm256_andnot_ps(mask, product)};
}

inline unsigned bits(__m256 mask) {
    return static_cast<unsigned>(_mm256_movemask_ps(mask));
}
inline unsigned bits(__m256d mask) {
    return static_cast<unsigned>(_mm256_movemask_pd(mask));
}
inline bool any(__m256 mask) { return bits(mask) != 0; }
inline bool any(__m256d mask) { return bits(mask) != 0; }
inline int count(__m256 mask) { return _mm_popcnt_u32(bits(mask)); }
inline int count(__m256d mask) { return _mm_popcnt_u32(bits(mask)); }

inline Doubles wide_sum(Doubles a) { return a; }
inline Doubles wide_sum(Floats a) {
    const __m128 high = _mm256_extractf128_ps(a.v, 1);
    return {_mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(a.v)),
                          _mm256_cvtps_pd(high))};
}

}  // namespace nescio::NESCIO_VARIANT
