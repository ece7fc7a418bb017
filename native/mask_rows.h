#pragma once

#include <cstdint>
#include <vector>

namespace sam3_tracker {

/// Where each output pixel of one axis reads: output[i] = input[lower[i]] * lower_weight[i] +
/// input[upper[i]] * upper_weight[i], bilinear with align_corners=false.
template <typename T>
struct LinearWeights {
  std::vector<int32_t> lower;
  std::vector<int32_t> upper;
  std::vector<T> lower_weight;
  std::vector<T> upper_weight;
};

/// The inner loops over one row of pixels. `T` is float or double. The arithmetic, down to which products are
/// fused into an addition, is that of the aten::upsample_bilinear2d which this process runs, so that results
/// are the same bits.
template <typename T>
struct RowKernels {
  /// Weights of one axis of `input_size` pixels stretched to `output_size`.
  LinearWeights<T> (*linear_weights)(int64_t input_size, int64_t output_size);
  /// Stretches one row: `count` output pixels, read from `row` as `weights` say.
  void (*stretch)(const T* row, const LinearWeights<T>& weights, int64_t count, T* output);
  /// output[i] = top[i] * top_weight + bottom[i] * bottom_weight.
  void (*blend)(const T* top, const T* bottom, T top_weight, T bottom_weight, int64_t count, T* output);
  /// output[i] = (top[i] * top_weight + bottom[i] * bottom_weight) > threshold.
  void (*blend_above)(const T* top, const T* bottom, T top_weight, T bottom_weight, T threshold,
                      int64_t count, bool* output);
};

/// The kernels for the instruction set that ATen chose for this process (ATEN_CPU_CAPABILITY included).
template <typename T>
const RowKernels<T>& GetRowKernels();

extern template const RowKernels<float>& GetRowKernels<float>();
extern template const RowKernels<double>& GetRowKernels<double>();

}  // namespace sam3_tracker
