// Sixteen floats and eight doubles in AVX-512 registers.
#include <immintrin.h>

namespace nescio::NESCIO_VARIANT {

struct Doubles {
    using Lane = double;
    using Mask = __mmask8;
    static constexpr int width = 8;
    static constexpr bool fused = true;
    static constexpr bool masked = true;
    __m512d v;

    static Doubles fill(double x) { return {_mm512_set1_pd(x)}; }
    static Doubles load(Float64, const unsigned char* at) {
        return {_mm512_loadu_pd(at)};
    }
    static Doubles load(Float32, const unsigned char* at) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at));
        return {_mm512_cvtps_pd(_mm256_castsi256_ps(bits))};
    }
    static Doubles load(Float16, const unsigned char* at) {
        return {_mm512_cvtps_pd(_mm256_cvtph_ps(half_lanes(at)))};
    }
    static Doubles load(Bfloat16, const unsigned char* at) {
        const __m256i wide = _mm256_cvtepu16_epi32(half_lanes(at));
        const __m256i bits = _mm256_slli_epi32(wide, 16);
        return {_mm512_cvtps_pd(_mm256_castsi256_ps(bits))};
    }
    void store(double* at) const { _mm512_storeu_pd(at, v); }

  private:
    static __m128i half_lanes(const unsigned char* at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at));
    }
};

inline Doubles operator+(Doubles a, Doubles b) { return {_mm512_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline Doubles operator/(Doubles a, Doubles b) { return {_mm512_div_pd(a.v, b.v)}; }
inline Doubles fma(Doubles a, Doubles b, Doubles c) {
    return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
inline Doubles fms(Doubles a, Doubles b, Doubles c) {
    return {_mm512_fmsub_pd(a.v, b.v, c.v)};
}
// 0, and c, where mask.
inline Doubles product_unless(__mmask8 mask, Doubles a, Doubles b) {
    return {_mm512_maskz_mul_pd(static_cast<__mmask8>(~mask), a.v, b.v)};
}
inline Doubles fma_unless(__mmask8 mask, Doubles a, Doubles b, Doubles c) {
    return {_mm512_mask3_fmadd_pd(a.v, b.v, c.v, static_cast<__mmask8>(~mask))};
}
inline Doubles larger(Doubles a, Doubles b) { return {_mm512_max_pd(a.v, b.v)}; }
inline Doubles absolute(Doubles a) { return {_mm512_abs_pd(a.v)}; }
inline __mmask8 above(Doubles a, Doubles b) {
    return _mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ);
}
inline Doubles choose(__mmask8 mask, Doubles yes, Doubles no) {
    return {_mm512_mask_blend_pd(mask, no.v, yes.v)};
}
// a 2^exponent, 0 where mask; NaN stays.
inline Doubles scaled_unless(__mmask8 mask, Doubles a, Doubles exponent) {
    return {_mm512_maskz_scalef_pd(static_cast<__mmask8>(~mask), a.v, exponent.v)};
}

struct Floats {
    using Lane = float;
    using Mask = __mmask16;
    static constexpr int width = 16;
    static constexpr bool fused = true;
    static constexpr bool masked = true;
    __m512 v;

    static Floats fill(float x) { return {_mm512_set1_ps(x)}; }
    static Floats load(Float32, const unsigned char* at) {
        return {_mm512_loadu_ps(at)};
    }
    static Floats load(Float16, const unsigned char* at) {
        return {_mm512_cvtph_ps(half_lanes(at))};
    }
    static Floats load(Bfloat16, const unsigned char* at) {
        const __m512i wide = _mm512_cvtepu16_epi32(half_lanes(at));
        return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
    }
    void store(float* at) const { _mm512_storeu_ps(at, v); }

  private:
    static __m256i half_lanes(const unsigned char* at) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at));
    }
};

inline Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats fma(Floats a, Floats b, Floats c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline Floats fms(Floats a, Floats b, Floats c) {
    return {_mm512_fmsub_ps(a.v, b.v, c.v)};
}
// 0, and c, where mask.
inline Floats product_unless(__mmask16 mask, Floats a, Floats b) {
    return {_mm512_maskz_mul_ps(static_cast<__mmask16>(~mask), a.v, b.v)};
}
inline Floats fma_unless(__mmask16 mask, Floats a, Floats b, Floats c) {
    return {_mm512_mask3_fmadd_ps(a.v, b.v, c.v, static_cast<__mmask16>(~mask))};
}
inline Floats larger(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline __mmask16 above(Floats a, Floats b) {
    return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ);
}
inline Floats scaled_unless(__mmask16 mask, Floats a, Floats exponent) {
    return {_mm512_maskz_scalef_ps(static_cast<__mmask16>(~mask), a.v, exponent.v)};
}

inline bool any(__mmask8 mask) { return mask != 0; }
inline bool any(__mmask16 mask) { return mask != 0; }
inline unsigned bits(__mmask8 mask) { return mask; }
inline unsigned bits(__mmask16 mask) { return mask; }
inline int count(__mmask8 mask) { return _mm_popcnt_u32(mask); }
inline int count(__mmask16 mask) { return _mm_popcnt_u32(mask); }

inline Doubles wide_sum(Doubles a) { return a; }
inline Doubles wide_sum(Floats a) {
    const __m256 high = _mm512_extractf32x8_ps(a.v, 1);
    return {_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a.v)),
                          _mm512_cvtps_pd(high))};
}

}  // namespace nescio::NESCIO_VARIANT
