#include "masks/rle_encoder.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "masks/row_kernels.h"

namespace sam3_tracker {
namespace {

// Output pixels [begin, end) of one axis that read the same two input pixels.
struct Span {
  int32_t lower;
  int32_t upper;
  int64_t begin;
  int64_t end;
};

template <typename T>
std::vector<Span> SpansOf(const LinearWeights<T>& weights, int64_t size) {
  std::vector<Span> spans;
  for (int64_t i = 0; i < size; ++i) {
    if (spans.empty() || spans.back().lower != weights.lower[i] || spans.back().upper != weights.upper[i])
      spans.push_back({weights.lower[i], weights.upper[i], i, i});
    spans.back().end = i + 1;
  }
  return spans;
}

// Bits of a pixel: above which of the three thresholds it is.
constexpr int kMask = 1;
constexpr int kStrict = 2;
constexpr int kLenient = 4;
// Pixels of a segment that differ, or may.
constexpr int kMixed = -1;

// Pixels [begin, end) of a column that read rows [first_row, last_row], and their bits or kMixed.
struct Segment {
  int bits;
  int64_t begin;
  int64_t end;
  int32_t first_row;
  int32_t last_row;
};

// What the masks of one call share.
template <typename T>
struct EncodePlan {
  int64_t mask_height;
  int64_t mask_width;
  MaskPlacement placement;
  at::ScalarType dtype;
  T mask_threshold;
  T strict_threshold;
  T lenient_threshold;
  LinearWeights<T> rows;
  LinearWeights<T> columns;
  std::vector<Span> row_spans;
  std::vector<Span> column_spans;
  const RowKernels<T>& kernels;
  // How far, relative to the largest corner, rounding may carry a upsampled value beyond its cell's corners.
  T slack;
  // ATen copies masks that are of the wanted size already; weights of 0 would make NaN of infinities.
  bool is_copy;

  int Bits(T value) const {
    return (value > mask_threshold ? kMask : 0) | (value > strict_threshold ? kStrict : 0) |
           (value > lenient_threshold ? kLenient : 0);
  }
};

template <typename T>
EncodePlan<T> MakePlan(const at::Tensor& masks, at::ScalarType dtype, const MaskPlacement& placement,
                       const MaskThresholds& thresholds) {
  const RowKernels<T>& kernels = GetRowKernels<T>();
  EncodePlan<T> plan{
      masks.size(1),
      masks.size(2),
      placement,
      dtype,
      static_cast<T>(thresholds.mask),
      static_cast<T>(thresholds.strict),
      static_cast<T>(thresholds.lenient),
      RoundedWeights(kernels, dtype, masks.size(1), placement.height),
      RoundedWeights(kernels, dtype, masks.size(2), placement.width),
      {},
      {},
      kernels,
      // Two roundings of weights and one of the result in bfloat16 (2^-9 each), and room to spare.
      IsReducedPrecision(dtype) ? static_cast<T>(1.0 / 32) : 16 * std::numeric_limits<T>::epsilon(),
      masks.size(1) == placement.height && masks.size(2) == placement.width};
  plan.row_spans = SpansOf(plan.rows, placement.height);
  plan.column_spans = SpansOf(plan.columns, placement.width);
  return plan;
}

// Encodes one mask after another, down the columns. The image's columns run along the rows of the
// transposed mask, where the kernels find them contiguous.
template <typename T>
class RleEncoder {
 public:
  explicit RleEncoder(const EncodePlan<T>& plan)
      : plan_(plan),
        transposed_(plan.mask_height * plan.mask_width),
        low_(plan.mask_height),
        high_(plan.mask_height),
        blended_(plan.mask_height),
        column_(plan.placement.height),
        inside_(plan.placement.height) {}

  EncodedMask Encode(const T* mask) {
    for (int64_t y = 0; y < plan_.mask_height; ++y)
      for (int64_t x = 0; x < plan_.mask_width; ++x)
        transposed_[x * plan_.mask_height + y] = mask[y * plan_.mask_width + x];
    writer_ = RleWriter();
    strict_area_ = 0;
    lenient_area_ = 0;
    const MaskPlacement& at = plan_.placement;
    for (const Span& span : plan_.column_spans) {
      FindSegments(span);
      for (int64_t x = span.begin; x < span.end; ++x) EncodeColumn(span, x);
    }
    if (at.left + at.width < at.image_width) writer_.Set(false, (at.left + at.width) * at.image_height);
    return {writer_.Finish(at.image_height * at.image_width), strict_area_, lenient_area_};
  }

 private:
  // Cuts the columns of a span into segments whose pixels are alike, and mixed ones.
  void FindSegments(const Span& span) {
    const T* left = transposed_.data() + span.lower * plan_.mask_height;
    const T* right = transposed_.data() + span.upper * plan_.mask_height;
    for (int64_t row = 0; row < plan_.mask_height; ++row) {
      low_[row] = std::min(left[row], right[row]);
      high_[row] = std::max(left[row], right[row]);
      // Minimum and maximum lose a NaN; one that is not finite is computed pixel by pixel.
      if (!std::isfinite(left[row] + right[row])) high_[row] = std::numeric_limits<T>::quiet_NaN();
    }
    segments_.clear();
    for (const Span& rows : plan_.row_spans) {
      const int bits = BitsOfCell(rows);
      if (!segments_.empty() && segments_.back().bits == bits) {
        segments_.back().end = rows.end;
        segments_.back().last_row = rows.upper;
      } else {
        segments_.push_back({bits, rows.begin, rows.end, rows.lower, rows.upper});
      }
    }
  }

  int BitsOfCell(const Span& rows) const {
    const T low = std::min(low_[rows.lower], low_[rows.upper]);
    const T high = std::max(high_[rows.lower], high_[rows.upper]);
    const T sum = high_[rows.lower] + high_[rows.upper];
    if (!std::isfinite(sum)) return kMixed;
    const T slack = plan_.slack * std::max(std::abs(low), std::abs(high));
    const int bits = plan_.Bits(low - slack);
    return bits == plan_.Bits(high + slack) ? bits : kMixed;
  }

  void EncodeColumn(const Span& span, int64_t x) {
    const MaskPlacement& at = plan_.placement;
    const int64_t base = (at.left + x) * at.image_height + at.top;
    for (const Segment& segment : segments_) {
      if (segment.bits == kMixed) {
        EncodeMixed(span, x, base, segment);
        continue;
      }
      const int64_t pixels = segment.end - segment.begin;
      if (segment.bits & kStrict) strict_area_ += pixels;
      if (segment.bits & kLenient) lenient_area_ += pixels;
      writer_.Set((segment.bits & kMask) != 0, base + segment.begin);
    }
    if (at.height < at.image_height) writer_.Set(false, base + at.height);
  }

  void EncodeMixed(const Span& span, int64_t x, int64_t base, const Segment& segment) {
    const T* left = transposed_.data() + span.lower * plan_.mask_height + segment.first_row;
    const T* right = transposed_.data() + span.upper * plan_.mask_height + segment.first_row;
    if (plan_.is_copy) {
      std::copy_n(left, segment.end - segment.begin, column_.data() + segment.begin);
      CountMixed(base, segment);
      return;
    }
    plan_.kernels.blend(left, right, plan_.columns.lower_weight[x], plan_.columns.upper_weight[x],
                        segment.last_row - segment.first_row + 1, blended_.data() + segment.first_row);
    plan_.kernels.upsample(blended_.data(), plan_.rows, segment.begin, segment.end, column_.data());
    RoundInPlace(plan_.dtype, column_.data() + segment.begin, segment.end - segment.begin);
    CountMixed(base, segment);
  }

  void CountMixed(int64_t base, const Segment& segment) {
    const T* pixels = column_.data() + segment.begin;
    const int64_t count = segment.end - segment.begin;
    // Counters of 32 bits, which the height of an image never fills, go twice as fast as those of 64.
    int32_t strict = 0;
    int32_t lenient = 0;
    for (int64_t i = 0; i < count; ++i) {
      strict += pixels[i] > plan_.strict_threshold;
      lenient += pixels[i] > plan_.lenient_threshold;
      inside_[i] = pixels[i] > plan_.mask_threshold;
    }
    strict_area_ += strict;
    lenient_area_ += lenient;
    writer_.SetPixels(inside_.data(), count, base + segment.begin);
  }

  const EncodePlan<T>& plan_;
  std::vector<T> transposed_;
  // Lowest and highest of the two corners of each row.
  std::vector<T> low_;
  std::vector<T> high_;
  // One column, of the mask's height and of the image's.
  std::vector<T> blended_;
  std::vector<T> column_;
  std::vector<uint8_t> inside_;
  std::vector<Segment> segments_;
  RleWriter writer_;
  int64_t strict_area_ = 0;
  int64_t lenient_area_ = 0;
};

}  // namespace

std::vector<EncodedMask> EncodeMasks(const at::Tensor& masks, at::ScalarType dtype,
                                     const MaskPlacement& placement, const MaskThresholds& thresholds) {
  std::vector<EncodedMask> encoded(masks.size(0));
  AT_DISPATCH_FLOATING_TYPES(masks.scalar_type(), "encode_masks", [&] {
    const EncodePlan<scalar_t> plan = MakePlan<scalar_t>(masks, dtype, placement, thresholds);
    const scalar_t* data = masks.const_data_ptr<scalar_t>();
    at::parallel_for(0, masks.size(0), 1, [&](int64_t begin, int64_t end) {
      RleEncoder<scalar_t> encoder(plan);
      for (int64_t i = begin; i < end; ++i)
        encoded[i] = encoder.Encode(data + i * plan.mask_height * plan.mask_width);
    });
  });
  return encoded;
}

}  // namespace sam3_tracker
