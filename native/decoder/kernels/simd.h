// Vectors of float32 and the functions of them that the decoder's kernels need. For files that are compiled
// for one kind of processor: everything here is theirs alone, so that no other file gets their instructions.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace {

#if defined(__AVX512F__)

using Vector = __m512;
inline constexpr int64_t kLanes = 16;
// Vectors beside each other in a block of a matrix product: with six rows they fill the registers.
inline constexpr int64_t kBlockVectors = 4;

inline Vector Load(const float* from) { return _mm512_loadu_ps(from); }
inline void Store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
inline Vector Broadcast(float value) { return _mm512_set1_ps(value); }
// Of a NaN and a number these are the second, so that a NaN in the second stays.
inline Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
inline Vector Min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline Vector SquareRoot(Vector a) { return _mm512_sqrt_ps(a); }
inline Vector Round(Vector a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// a * 2^exponent for integer exponents.
inline Vector ScaleByPower(Vector a, Vector exponent) { return _mm512_scalef_ps(a, exponent); }
inline float MaxOf(Vector a) { return _mm512_reduce_max_ps(a); }
inline float SumOf(Vector a) { return _mm512_reduce_add_ps(a); }

#else

using Vector = __m256;
inline constexpr int64_t kLanes = 8;
inline constexpr int64_t kBlockVectors = 2;

inline Vector Load(const float* from) { return _mm256_loadu_ps(from); }
inline void Store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
inline Vector Broadcast(float value) { return _mm256_set1_ps(value); }
inline Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
inline Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
inline Vector MultiplyAdd(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline Vector SquareRoot(Vector a) { return _mm256_sqrt_ps(a); }
inline Vector Round(Vector a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline Vector ScaleByPower(Vector a, Vector exponent) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127));
  return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
}
inline float MaxOf(Vector a) {
  const __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
}
inline float SumOf(Vector a) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

#endif

inline void Prefetch(const float* address) {
  _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
}

// Horner's scheme, the highest power's coefficient first.
template <int64_t kCount>
inline Vector Polynomial(const float (&coefficients)[kCount], Vector x) {
  Vector sum = Broadcast(coefficients[0]);
#pragma GCC unroll 16
  for (int64_t i = 1; i < kCount; ++i) sum = MultiplyAdd(sum, x, Broadcast(coefficients[i]));
  return sum;
}

// e^x for x <= 0, within 2 units in the last place; what would be denormal is about 1e-38.
inline Vector Exponential(Vector x) {
  // ln 2 in two parts, the first with few bits, so that its product with a power is exact.
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kTaylor[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  x = Max(Broadcast(-87.0f), x);
  const Vector power = Round(x * Broadcast(1.44269504f));
  Vector rest = MultiplyAdd(power, Broadcast(-kLn2High), x);
  rest = MultiplyAdd(power, Broadcast(-kLn2Low), rest);
  return ScaleByPower(Polynomial(kTaylor, rest), power);
}

// x times the normal distribution's share below x, within 5e-7. Below 0 it is rounded as torch's gelu is, by
// 1 + erf(x / sqrt(2)): a mask's logit may be a sum of such values alone, and its sign that of their
// rounding.
inline Vector Gelu(Vector x) {
  // Chebyshev's approximation of the share beyond |x|, divided by exp(-x^2 / 2), in powers of |x| / 2.75 - 1.
  constexpr float kChebyshev[] = {1.23405653e-03f, -2.84293388e-03f, 1.58659294e-03f, -1.45505992e-03f,
                                  6.61864561e-03f, -1.25307272e-02f, 1.82325614e-02f, -2.79780219e-02f,
                                  4.26768972e-02f, -6.15375308e-02f, 8.40976202e-02f, -1.08484004e-01f,
                                  1.30724655e-01f};
  const Vector size = Max(x, Broadcast(0.0f) - x);
  // Beyond it the share is rounded to 0.
  const Vector inside = Min(size, Broadcast(5.6f));
  const Vector bell = Exponential(inside * inside * Broadcast(-0.5f));
  const Vector ratio = Polynomial(kChebyshev, MultiplyAdd(inside, Broadcast(1 / 2.75f), Broadcast(-1.0f)));
  const Vector error_function = MultiplyAdd(ratio * bell, Broadcast(2.0f), Broadcast(-1.0f));
  const Vector share = (Broadcast(1.0f) + error_function) * Broadcast(0.5f);
  return Max(Broadcast(0.0f), x) - inside * share;
}

}  // namespace
