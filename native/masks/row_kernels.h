#pragma once

#include <ATen/core/ATen_fwd.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace sam3_tracker {

// Where each output pixel of one axis reads: output[i] = input[lower[i]] * lower_weight[i] +
// input[upper[i]] * upper_weight[i], bilinear with align_corners=false.
template <typename T>
struct LinearWeights {
  std::vector<int32_t> lower;
  std::vector<int32_t> upper;
  std::vector<T> lower_weight;
  std::vector<T> upper_weight;
};

// The inner loops over one row of pixels. `T` is float or double. The arithmetic, down to which products are
// fused into an addition, is that of the aten::upsample_bilinear2d which this process runs, so that results
// are the same bits.
template <typename T>
struct RowKernels {
  // Weights of one axis of `input_size` pixels upsampled to `output_size`.
  LinearWeights<T> (*linear_weights)(int64_t input_size, int64_t output_size);
  // Upsamples one row: output[i] for i in [begin, end), read from `row` as `weights` say.
  void (*upsample)(const T* row, const LinearWeights<T>& weights, int64_t begin, int64_t end, T* output);
  // output[i] = top[i] * top_weight + bottom[i] * bottom_weight.
  void (*blend)(const T* top, const T* bottom, T top_weight, T bottom_weight, int64_t count, T* output);
  // output[i] = (top[i] * top_weight + bottom[i] * bottom_weight) > threshold.
  void (*blend_above)(const T* top, const T* bottom, T top_weight, T bottom_weight, T threshold,
                      int64_t count, bool* output);
};

// The kernels for the instruction set that ATen chose for this process (ATEN_CPU_CAPABILITY included).
template <typename T>
const RowKernels<T>& GetRowKernels();

extern template const RowKernels<float>& GetRowKernels<float>();
extern template const RowKernels<double>& GetRowKernels<double>();

// float16 and bfloat16: their masks are upsampled in float32 and rounded where ATen rounds.
bool IsReducedPrecision(at::ScalarType dtype);

// The value that `dtype` holds for `value`, as torch takes a Python number beside a tensor of that dtype.
double RoundTo(at::ScalarType dtype, double value);

// Rounds to the precision of `dtype`; nothing for float32 and float64.
template <typename T>
void RoundInPlace(at::ScalarType dtype, T* values, int64_t count);

// Weights of one axis in the precision in which ATen keeps them for masks of `dtype`.
template <typename T>
LinearWeights<T> RoundedWeights(const RowKernels<T>& kernels, at::ScalarType dtype, int64_t size,
                                int64_t output_size);

extern template void RoundInPlace<float>(at::ScalarType, float*, int64_t);
extern template void RoundInPlace<double>(at::ScalarType, double*, int64_t);
extern template LinearWeights<float> RoundedWeights<float>(const RowKernels<float>&, at::ScalarType, int64_t,
                                                           int64_t);
extern template LinearWeights<double> RoundedWeights<double>(const RowKernels<double>&, at::ScalarType,
                                                             int64_t, int64_t);

}  // namespace sam3_tracker
