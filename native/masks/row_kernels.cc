#include "masks/row_kernels.h"

#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>

// The loops are compiled once per instruction set from one always-inlined body, since the package is built
// for any x86-64 while the reference runs kernels chosen at run time. On other machines one build serves.
#if defined(__x86_64__) && defined(__GNUC__)
#define SAM3_TRACKER_AVX2 1
#define SAM3_TRACKER_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#endif
#define SAM3_TRACKER_INLINE inline __attribute__((always_inline))

namespace sam3_tracker {
namespace {

// a * b + c, rounded once where `kFused`: compilers contract ATen's kernels wherever the instruction set has
// it.
template <bool kFused, typename T>
SAM3_TRACKER_INLINE T MultiplyAdd(T a, T b, T c) {
  if constexpr (kFused) {
    return std::fma(a, b, c);
  } else {
    return a * b + c;
  }
}

template <bool kFused, typename T>
SAM3_TRACKER_INLINE T Mix(T first, T second, T first_weight, T second_weight) {
  return MultiplyAdd<kFused>(first, first_weight, second * second_weight);
}

template <bool kFused, typename T>
SAM3_TRACKER_INLINE LinearWeights<T> LinearWeightsBody(int64_t input_size, int64_t output_size) {
  LinearWeights<T> weights;
  weights.lower.resize(output_size);
  weights.upper.resize(output_size);
  weights.lower_weight.resize(output_size);
  weights.upper_weight.resize(output_size);
  const T scale = static_cast<T>(input_size) / static_cast<T>(output_size);
  for (int64_t i = 0; i < output_size; ++i) {
    int64_t lower = i;
    int64_t upper = i;
    T upper_weight = 0;
    if (input_size != output_size) {
      const T center =
          MultiplyAdd<kFused>(scale, static_cast<T>(i) + static_cast<T>(0.5), static_cast<T>(-0.5));
      const T source = std::max(center, static_cast<T>(0));
      // floorf also for double, as in ATen.
      lower = std::min(static_cast<int64_t>(std::floor(static_cast<float>(source))), input_size - 1);
      upper = lower + (lower < input_size - 1 ? 1 : 0);
      upper_weight = std::clamp(source - static_cast<T>(lower), static_cast<T>(0), static_cast<T>(1));
    }
    weights.lower[i] = static_cast<int32_t>(lower);
    weights.upper[i] = static_cast<int32_t>(upper);
    weights.lower_weight[i] = static_cast<T>(1) - upper_weight;
    weights.upper_weight[i] = upper_weight;
  }
  return weights;
}

template <bool kFused, typename T>
SAM3_TRACKER_INLINE void UpsampleBody(const T* row, const LinearWeights<T>& weights, int64_t begin,
                                      int64_t end, T* __restrict output) {
  const int32_t* lower = weights.lower.data();
  const int32_t* upper = weights.upper.data();
  const T* lower_weight = weights.lower_weight.data();
  const T* upper_weight = weights.upper_weight.data();
  for (int64_t i = begin; i < end; ++i) {
    output[i] = Mix<kFused>(row[lower[i]], row[upper[i]], lower_weight[i], upper_weight[i]);
  }
}

template <bool kFused, typename T>
SAM3_TRACKER_INLINE void BlendBody(const T* top, const T* bottom, T top_weight, T bottom_weight,
                                   int64_t count, T* __restrict output) {
  for (int64_t i = 0; i < count; ++i) {
    output[i] = Mix<kFused>(top[i], bottom[i], top_weight, bottom_weight);
  }
}

template <bool kFused, typename T>
SAM3_TRACKER_INLINE void BlendAboveBody(const T* top, const T* bottom, T top_weight, T bottom_weight,
                                        T threshold, int64_t count, bool* __restrict output) {
  for (int64_t i = 0; i < count; ++i) {
    output[i] = Mix<kFused>(top[i], bottom[i], top_weight, bottom_weight) > threshold;
  }
}

#ifdef SAM3_TRACKER_AVX2
template <typename T>
SAM3_TRACKER_TARGET_AVX2 LinearWeights<T> LinearWeightsAvx2(int64_t input_size, int64_t output_size) {
  return LinearWeightsBody<true, T>(input_size, output_size);
}

template <typename T>
SAM3_TRACKER_TARGET_AVX2 void UpsampleAvx2(const T* row, const LinearWeights<T>& weights, int64_t begin,
                                           int64_t end, T* output) {
  UpsampleBody<true>(row, weights, begin, end, output);
}

template <typename T>
SAM3_TRACKER_TARGET_AVX2 void BlendAvx2(const T* top, const T* bottom, T top_weight, T bottom_weight,
                                        int64_t count, T* output) {
  BlendBody<true>(top, bottom, top_weight, bottom_weight, count, output);
}

template <typename T>
SAM3_TRACKER_TARGET_AVX2 void BlendAboveAvx2(const T* top, const T* bottom, T top_weight, T bottom_weight,
                                             T threshold, int64_t count, bool* output) {
  BlendAboveBody<true>(top, bottom, top_weight, bottom_weight, threshold, count, output);
}

// Baseline x86-64 has no fused multiply-add.
constexpr bool kBaselineFused = false;
#elif defined(__aarch64__)
constexpr bool kBaselineFused = true;
#else
constexpr bool kBaselineFused = false;
#endif

template <typename T>
LinearWeights<T> LinearWeightsBaseline(int64_t input_size, int64_t output_size) {
  return LinearWeightsBody<kBaselineFused, T>(input_size, output_size);
}

template <typename T>
void UpsampleBaseline(const T* row, const LinearWeights<T>& weights, int64_t begin, int64_t end, T* output) {
  UpsampleBody<kBaselineFused>(row, weights, begin, end, output);
}

template <typename T>
void BlendBaseline(const T* top, const T* bottom, T top_weight, T bottom_weight, int64_t count, T* output) {
  BlendBody<kBaselineFused>(top, bottom, top_weight, bottom_weight, count, output);
}

template <typename T>
void BlendAboveBaseline(const T* top, const T* bottom, T top_weight, T bottom_weight, T threshold,
                        int64_t count, bool* output) {
  BlendAboveBody<kBaselineFused>(top, bottom, top_weight, bottom_weight, threshold, count, output);
}

template <typename T>
RowKernels<T> ChooseRowKernels() {
#ifdef SAM3_TRACKER_AVX2
  if (at::get_cpu_capability() != "DEFAULT" && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma")) {
    return {LinearWeightsAvx2<T>, UpsampleAvx2<T>, BlendAvx2<T>, BlendAboveAvx2<T>};
  }
#endif
  return {LinearWeightsBaseline<T>, UpsampleBaseline<T>, BlendBaseline<T>, BlendAboveBaseline<T>};
}

}  // namespace

template <typename T>
const RowKernels<T>& GetRowKernels() {
  static const RowKernels<T> kernels = ChooseRowKernels<T>();
  return kernels;
}

template const RowKernels<float>& GetRowKernels<float>();
template const RowKernels<double>& GetRowKernels<double>();

bool IsReducedPrecision(at::ScalarType dtype) { return dtype == at::kHalf || dtype == at::kBFloat16; }

double RoundTo(at::ScalarType dtype, double value) {
  const at::Scalar scalar(value);
  switch (dtype) {
    case at::kHalf:
      return static_cast<double>(scalar.to<c10::Half>());
    case at::kBFloat16:
      return static_cast<double>(scalar.to<c10::BFloat16>());
    case at::kFloat:
      return static_cast<double>(scalar.to<float>());
    default:
      return value;
  }
}

template <typename T>
void RoundInPlace(at::ScalarType dtype, T* values, int64_t count) {
  if (dtype == at::kBFloat16) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(c10::BFloat16(static_cast<float>(values[i])));
  } else if (dtype == at::kHalf) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(c10::Half(static_cast<float>(values[i])));
  }
}

template <typename T>
LinearWeights<T> RoundedWeights(const RowKernels<T>& kernels, at::ScalarType dtype, int64_t size,
                                int64_t output_size) {
  LinearWeights<T> weights = kernels.linear_weights(size, output_size);
  if (!IsReducedPrecision(dtype)) return weights;
  RoundInPlace(dtype, weights.upper_weight.data(), output_size);
  std::transform(weights.upper_weight.begin(), weights.upper_weight.end(), weights.lower_weight.begin(),
                 [](T weight) { return static_cast<T>(1) - weight; });
  RoundInPlace(dtype, weights.lower_weight.data(), output_size);
  return weights;
}

template void RoundInPlace<float>(at::ScalarType, float*, int64_t);
template void RoundInPlace<double>(at::ScalarType, double*, int64_t);
template LinearWeights<float> RoundedWeights<float>(const RowKernels<float>&, at::ScalarType, int64_t,
                                                    int64_t);
template LinearWeights<double> RoundedWeights<double>(const RowKernels<double>&, at::ScalarType, int64_t,
                                                      int64_t);

}  // namespace sam3_tracker
