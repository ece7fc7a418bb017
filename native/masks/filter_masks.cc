#include "masks/filter_masks.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "masks/post_process.h"
#include "masks/rle_encoder.h"
#include "masks/row_kernels.h"
#include "runtime/error.h"
#include "runtime/stopwatch.h"

namespace sam3_tracker {
namespace {

// Pixels within which transformers takes a box's side for the crop's.
constexpr int64_t kEdgeTolerance = 20;
// Elements of the full-size float temporary that FilterMasksWithAten allows itself (256 MiB).
constexpr int64_t kChunkElements = int64_t{1} << 26;

int64_t CropWidth(const MaskFilterOptions& options) { return options.crop_box[2] - options.crop_box[0]; }
int64_t CropHeight(const MaskFilterOptions& options) { return options.crop_box[3] - options.crop_box[1]; }

// Refuses what the loops below would divide by or not end for.
void CheckOptions(const MaskFilterOptions& options) {
  CheckImageSize(options.image_height, options.image_width);
  const auto [left, top, right, bottom] = options.crop_box;
  if (left < 0 || top < 0 || left >= right || top >= bottom || right > options.image_width ||
      bottom > options.image_height) {
    throw Sam3Error(ErrorCode::kInvalidArgument,
                    "Expected a crop_box of at least one pixel within the image of [" +
                        std::to_string(options.image_height) + ", " + std::to_string(options.image_width) +
                        "].");
  }
}

// _is_box_near_crop_edge: whether a crop's edge cuts the mask, other than where the image ends.
bool IsCut(const PixelBox& box, const MaskFilterOptions& options) {
  for (size_t side = 0; side < box.size(); ++side) {
    if (std::abs(box[side] - options.crop_box[side]) <= kEdgeTolerance &&
        std::abs(box[side] - options.bounds[side]) > kEdgeTolerance)
      return true;
  }
  return false;
}

float StabilityScore(int64_t strict_area, int64_t lenient_area) {
  return static_cast<float>(strict_area) / static_cast<float>(lenient_area);
}

MaskThresholds ThresholdsOf(const MaskFilterOptions& options, at::ScalarType dtype) {
  return {RoundTo(dtype, options.mask_threshold),
          RoundTo(dtype, options.mask_threshold + options.stability_score_offset),
          RoundTo(dtype, options.mask_threshold - options.stability_score_offset)};
}

// Takes the masks that passed the predicted IoU in, and keeps those that pass the rest.
class Collector {
 public:
  explicit Collector(const MaskFilterOptions& options) : options_(options) {}

  void Add(int64_t index, float score, EncodedMask mask) {
    const float stability = StabilityScore(mask.strict_area, mask.lenient_area);
    const auto threshold = static_cast<float>(options_.stability_score_thresh);
    if (options_.stability_score_thresh > 0 && !(stability > threshold)) return;
    PixelBox box = RleToBox(mask.counts, options_.image_height);
    if (mask.counts.size() < 2)
      box = {options_.crop_box[0], options_.crop_box[1], options_.crop_box[0], options_.crop_box[1]};
    if (IsCut(box, options_)) return;
    kept_.push_back({index, score, stability, box, std::move(mask.counts)});
  }

  std::vector<FilteredMask> Finish() { return std::move(kept_); }

 private:
  const MaskFilterOptions& options_;
  std::vector<FilteredMask> kept_;
};

// Masks (masks, 1, h, w) that pass the predicted IoU, with what the caller needs to know of them. On the
// device.
struct Candidates {
  at::Tensor masks;
  // (masks), int64: positions in the batch.
  at::Tensor indices;
  // (masks), float32.
  at::Tensor scores;
};

Candidates SelectByScore(const ScoredMasks& predicted, const MaskFilterOptions& options) {
  const at::Tensor masks = predicted.masks.flatten(0, 2).unsqueeze(1);
  const at::Tensor scores = predicted.iou_scores.flatten();
  Candidates candidates{masks, at::arange(scores.size(0), scores.options().dtype(at::kLong)), scores};
  if (options.pred_iou_thresh > 0) {
    candidates.indices = scores.gt(options.pred_iou_thresh).nonzero().squeeze(1);
    candidates.masks = masks.index_select(0, candidates.indices);
    candidates.scores = scores.index_select(0, candidates.indices);
  }
  candidates.scores = candidates.scores.to(at::kFloat);
  return candidates;
}

// What the holes and sprinkles of a mask become does not depend on its size in the image.
at::Tensor Clean(const at::Tensor& masks, const MaskFilterOptions& options) {
  return CleanComponents(masks, {.mask_threshold = options.mask_threshold,
                                 .binarize = false,
                                 .small_components = options.small_components,
                                 .non_overlapping = false});
}

// Masks (masks, 1, h, w) at the size of the crop, in their own dtype.
at::Tensor UpsampleToCrop(const at::Tensor& masks, const MaskFilterOptions& options) {
  return at::upsample_bilinear2d(masks, {{CropHeight(options), CropWidth(options)}}, /*align_corners=*/false);
}

// Where in column-major order bool masks (masks, height, width) change, the first from outside.
struct Changes {
  // (changes), mask by mask.
  at::Tensor positions;
  // (masks).
  at::Tensor counts;
};

Changes FindChanges(const at::Tensor& inside) {
  const at::Tensor columns = inside.transpose(1, 2).flatten(1);
  const at::Tensor before = at::cat({at::zeros({columns.size(0), 1}, columns.options()), columns}, 1);
  const at::Tensor changed = columns.ne(before.slice(1, 0, columns.size(1)));
  // Not bincount, which has the device tell its smallest and largest number first.
  return {changed.nonzero().select(1, 1), changed.sum(1)};
}

// A crop's changes, in the crop's own column-major positions, as the RLE of the image.
RleCounts PlaceChanges(const int64_t* changes, int64_t count, const MaskFilterOptions& options) {
  const int64_t height = CropHeight(options);
  const int64_t end_of_crop = height * CropWidth(options);
  const auto column_begin = [&](int64_t column) {
    return (options.crop_box[0] + column) * options.image_height + options.crop_box[1];
  };
  RleWriter writer;
  for (int64_t i = 0; i < count; i += 2) {
    int64_t begin = changes[i];
    const int64_t end = i + 1 < count ? changes[i + 1] : end_of_crop;
    while (begin < end) {
      const int64_t column = begin / height;
      const int64_t stop = std::min(end, (column + 1) * height);
      const int64_t base = column_begin(column) - column * height;
      writer.Set(true, base + begin);
      // Where the crop is as high as the image, a run may go on in the next column.
      const bool goes_on = stop < end && height == options.image_height;
      if (!goes_on && base + stop < options.image_height * options.image_width)
        writer.Set(false, base + stop);
      begin = stop;
    }
  }
  return writer.Finish(options.image_height * options.image_width);
}

// What one chunk of candidates sends to the host, as int64: for each mask its index, the bits of its score,
// its two areas and the number of its changes; then all changes.
constexpr int64_t kHeaderColumns = 5;

at::Tensor PackChunk(const Candidates& chunk, const MaskFilterOptions& options) {
  const at::ScalarType dtype = chunk.masks.scalar_type();
  const MaskThresholds thresholds = ThresholdsOf(options, dtype);
  const at::Tensor logits = UpsampleToCrop(chunk.masks, options).squeeze(1);
  at::Tensor strict = logits.gt(thresholds.strict).sum({1, 2});
  at::Tensor lenient = logits.gt(thresholds.lenient).sum({1, 2});
  at::Tensor inside = logits.gt(thresholds.mask);
  at::Tensor indices = chunk.indices;
  at::Tensor scores = chunk.scores;
  if (options.stability_score_thresh > 0) {
    const at::Tensor stability = strict.to(at::kFloat).div(lenient.to(at::kFloat));
    const at::Tensor stable = stability.gt(options.stability_score_thresh).nonzero().squeeze(1);
    for (at::Tensor* tensor : {&strict, &lenient, &inside, &indices, &scores})
      *tensor = tensor->index_select(0, stable);
  }
  const Changes changes = FindChanges(inside);
  const at::Tensor header = at::stack(
      {indices, scores.contiguous().view(at::kInt).to(at::kLong), strict, lenient, changes.counts}, 1);
  return at::cat({at::full({1}, inside.size(0), header.options()), header.flatten(), changes.positions});
}

void UnpackChunk(const int64_t*& data, const MaskFilterOptions& options, Collector& collector) {
  const int64_t masks = *data;
  const int64_t* header = data + 1;
  const int64_t* changes = header + masks * kHeaderColumns;
  for (int64_t i = 0; i < masks; ++i, header += kHeaderColumns) {
    const auto bits = static_cast<int32_t>(header[1]);
    float score = 0;
    std::memcpy(&score, &bits, sizeof(score));
    collector.Add(header[0], score, {PlaceChanges(changes, header[4], options), header[2], header[3]});
    changes += header[4];
  }
  data = changes;
}

}  // namespace

std::vector<FilteredMask> FilterMasks(const ScoredMasks& predicted, const MaskFilterOptions& options,
                                      MaskFilterSeconds& seconds) {
  if (!predicted.masks.is_cpu()) return FilterMasksWithAten(predicted, options, seconds);
  CheckOptions(options);
  Stopwatch watch;
  const Candidates candidates = SelectByScore(predicted, options);
  seconds.filter += watch.Lap();
  if (candidates.indices.numel() == 0) return {};
  const at::ScalarType dtype = candidates.masks.scalar_type();
  at::Tensor masks = Clean(candidates.masks, options);
  if (IsSmallOutput(CropHeight(options), CropWidth(options))) masks = UpsampleToCrop(masks, options);
  masks = masks.squeeze(1).to(dtype == at::kDouble ? at::kDouble : at::kFloat).contiguous();
  std::vector<EncodedMask> encoded =
      EncodeMasks(masks, dtype,
                  {options.image_height, options.image_width, options.crop_box[0], options.crop_box[1],
                   CropHeight(options), CropWidth(options)},
                  ThresholdsOf(options, dtype));
  seconds.upsample += watch.Lap();
  Collector collector(options);
  const int64_t* indices = candidates.indices.const_data_ptr<int64_t>();
  const float* scores = candidates.scores.const_data_ptr<float>();
  for (size_t i = 0; i < encoded.size(); ++i) collector.Add(indices[i], scores[i], std::move(encoded[i]));
  seconds.filter += watch.Lap();
  return collector.Finish();
}

std::vector<FilteredMask> FilterMasksWithAten(const ScoredMasks& predicted, const MaskFilterOptions& options,
                                              MaskFilterSeconds& seconds) {
  CheckOptions(options);
  Stopwatch watch;
  Candidates candidates = SelectByScore(predicted, options);
  seconds.filter += watch.Lap();
  const int64_t count = candidates.indices.numel();
  if (count == 0) return {};
  candidates.masks = Clean(candidates.masks, options);
  const int64_t chunk =
      std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, CropHeight(options) * CropWidth(options)));
  std::vector<at::Tensor> packed;
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t end = std::min(begin + chunk, count);
    packed.push_back(
        PackChunk({candidates.masks.slice(0, begin, end), candidates.indices.slice(0, begin, end),
                   candidates.scores.slice(0, begin, end)},
                  options));
  }
  const at::Tensor host = at::cat(packed).cpu();
  Collector collector(options);
  const int64_t* data = host.const_data_ptr<int64_t>();
  for (size_t i = 0; i < packed.size(); ++i) UnpackChunk(data, options, collector);
  seconds.upsample += watch.Lap();
  return collector.Finish();
}

}  // namespace sam3_tracker
