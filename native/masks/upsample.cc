#include "masks/upsample.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include "masks/row_kernels.h"

namespace sam3_tracker {
namespace {

// Output pixels that make it worth while to wake another thread.
constexpr int64_t kGrainPixels = int64_t{1} << 15;

// Masks on their way to the size of the image: (planes, height, width) to (planes, output_height,
// output_width).
template <typename T>
struct UpsamplePlan {
  const T* masks;
  int64_t height;
  int64_t width;
  int64_t output_height;
  int64_t output_width;
  LinearWeights<T> rows;
  LinearWeights<T> columns;
  // The dtype whose precision upsampled logits are rounded to before anything is decided on them.
  at::ScalarType dtype;
  T threshold;
  const RowKernels<T>& kernels;
};

// Gives the output rows of planes, one at a time, and keeps the two horizontally upsampled input rows that
// neighbouring output rows share.
template <typename T>
class RowSampler {
 public:
  explicit RowSampler(const UpsamplePlan<T>& plan)
      : plan_(plan), buffers_{std::vector<T>(plan.output_width), std::vector<T>(plan.output_width)} {}

  void Logits(int64_t plane, int64_t y, T* output) {
    const T* top = Row(plane, plan_.rows.lower[y]);
    const T* bottom = Row(plane, plan_.rows.upper[y]);
    plan_.kernels.blend(top, bottom, plan_.rows.lower_weight[y], plan_.rows.upper_weight[y],
                        plan_.output_width, output);
    RoundInPlace(plan_.dtype, output, plan_.output_width);
  }

  void Above(int64_t plane, int64_t y, bool* output) {
    const T* top = Row(plane, plan_.rows.lower[y]);
    const T* bottom = Row(plane, plan_.rows.upper[y]);
    plan_.kernels.blend_above(top, bottom, plan_.rows.lower_weight[y], plan_.rows.upper_weight[y],
                              plan_.threshold, plan_.output_width, output);
  }

 private:
  // Two rows that are blended are the same or neighbours, so a row's parity says which buffer is its.
  const T* Row(int64_t plane, int64_t row) {
    const int64_t key = plane * plan_.height + row;
    const size_t slot = static_cast<size_t>(row % 2);
    if (keys_[slot] != key) {
      plan_.kernels.upsample(plan_.masks + key * plan_.width, plan_.columns, 0, plan_.output_width,
                             buffers_[slot].data());
      keys_[slot] = key;
    }
    return buffers_[slot].data();
  }

  const UpsamplePlan<T>& plan_;
  std::array<std::vector<T>, 2> buffers_;
  std::array<int64_t, 2> keys_{-1, -1};
};

template <typename T, typename Output>
void WriteRow(const T* logits, T threshold, int64_t count, Output* output) {
  if constexpr (std::is_same_v<Output, bool>) {
    for (int64_t x = 0; x < count; ++x) output[x] = logits[x] > threshold;
  } else {
    std::copy_n(logits, count, output);
  }
}

// Each plane by itself.
template <typename T, typename Output>
void UpsamplePlanes(const UpsamplePlan<T>& plan, int64_t planes, Output* output) {
  const int64_t grain = std::max<int64_t>(1, kGrainPixels / plan.output_width);
  at::parallel_for(0, planes * plan.output_height, grain, [&](int64_t begin, int64_t end) {
    RowSampler<T> sampler(plan);
    const bool rounds = IsReducedPrecision(plan.dtype);
    std::vector<T> logits(rounds ? plan.output_width : 0);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / plan.output_height;
      const int64_t y = i % plan.output_height;
      Output* row = output + i * plan.output_width;
      if constexpr (std::is_same_v<Output, bool>) {
        if (rounds) {
          sampler.Logits(plane, y, logits.data());
          WriteRow(logits.data(), plan.threshold, plan.output_width, row);
        } else {
          sampler.Above(plane, y, row);
        }
      } else {
        sampler.Logits(plane, y, row);
      }
    }
  });
}

// The same row of every object: finds each pixel's winner and clamps the others, as
// _apply_non_overlapping_constraints does.
template <typename T>
class OverlapRow {
 public:
  OverlapRow(int64_t objects, int64_t width)
      : objects_(objects), width_(width), logits_(objects * width), best_(width), winner_(width) {}

  T* Logits(int64_t object) { return logits_.data() + object * width_; }

  void SuppressLosers() {
    std::copy_n(Logits(0), width_, best_.begin());
    std::fill(winner_.begin(), winner_.end(), 0);
    for (int64_t object = 1; object < objects_; ++object) {
      const T* row = Logits(object);
      for (int64_t x = 0; x < width_; ++x) {
        // The first of equals wins, and NaN beats every number: torch.argmax.
        const bool better = row[x] > best_[x] || (std::isnan(row[x]) && !std::isnan(best_[x]));
        best_[x] = better ? row[x] : best_[x];
        winner_[x] = better ? static_cast<int32_t>(object) : winner_[x];
      }
    }
    constexpr T kLimit = static_cast<T>(kSuppressedLogit);
    for (int64_t object = 0; object < objects_; ++object) {
      T* row = Logits(object);
      for (int64_t x = 0; x < width_; ++x) {
        row[x] = winner_[x] != object && row[x] > kLimit ? kLimit : row[x];
      }
    }
  }

 private:
  int64_t objects_;
  int64_t width_;
  std::vector<T> logits_;
  std::vector<T> best_;
  std::vector<int32_t> winner_;
};

// Objects against each other, for each of the `masks` of an object.
template <typename T, typename Output>
void UpsampleWithoutOverlap(const UpsamplePlan<T>& plan, int64_t objects, int64_t masks, Output* output) {
  const int64_t width = plan.output_width;
  const int64_t grain = std::max<int64_t>(1, kGrainPixels / (width * objects));
  at::parallel_for(0, masks * plan.output_height, grain, [&](int64_t begin, int64_t end) {
    std::vector<RowSampler<T>> samplers(objects, RowSampler<T>(plan));
    OverlapRow<T> rows(objects, width);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t mask = i / plan.output_height;
      const int64_t y = i % plan.output_height;
      for (int64_t object = 0; object < objects; ++object) {
        samplers[object].Logits(object * masks + mask, y, rows.Logits(object));
      }
      rows.SuppressLosers();
      for (int64_t object = 0; object < objects; ++object) {
        const int64_t plane = object * masks + mask;
        WriteRow(rows.Logits(object), plan.threshold, width,
                 output + (plane * plan.output_height + y) * width);
      }
    }
  });
}

template <typename T, typename Output>
void UpsampleInto(const UpsamplePlan<T>& plan, const at::Tensor& masks, bool non_overlapping,
                  Output* output) {
  const int64_t objects = masks.size(0);
  if (non_overlapping && objects > 1) {
    UpsampleWithoutOverlap(plan, objects, masks.size(1), output);
  } else {
    UpsamplePlanes(plan, objects * masks.size(1), output);
  }
}

}  // namespace

void UpsampleMasks(const at::Tensor& masks, at::ScalarType dtype, double threshold, bool non_overlapping,
                   const at::Tensor& output) {
  AT_DISPATCH_FLOATING_TYPES(masks.scalar_type(), "upsample_masks", [&] {
    const RowKernels<scalar_t>& kernels = GetRowKernels<scalar_t>();
    const UpsamplePlan<scalar_t> plan{
        masks.const_data_ptr<scalar_t>(),
        masks.size(2),
        masks.size(3),
        output.size(2),
        output.size(3),
        RoundedWeights(kernels, dtype, masks.size(2), output.size(2)),
        RoundedWeights(kernels, dtype, masks.size(3), output.size(3)),
        dtype,
        static_cast<scalar_t>(threshold),
        kernels,
    };
    if (output.scalar_type() == at::kBool) {
      UpsampleInto(plan, masks, non_overlapping, output.mutable_data_ptr<bool>());
    } else {
      UpsampleInto(plan, masks, non_overlapping, output.mutable_data_ptr<scalar_t>());
    }
  });
}

}  // namespace sam3_tracker
