// A batch of segment-everything without JavaScript: its shares, its filters, and its end on request. Usage:
// generate_masks_test <model directory>
#include "model/generate_masks.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "../support/bundled_model.h"
#include "../support/tensor_checks.h"
#include "model/batch_memory.h"

namespace {

using namespace sam3_tracker;

constexpr int64_t kSide = 192;
// With multimask_output.
constexpr int64_t kMasksOfPoint = 3;

MaskFilterOptions KeepAll() {
  const PixelBox all{0, 0, kSide, kSide};
  return {.pred_iou_thresh = 0,
          .stability_score_thresh = 0,
          .stability_score_offset = 1,
          .mask_threshold = 0,
          .small_components = {},
          .crop_box = all,
          .bounds = all,
          .image_height = kSide,
          .image_width = kSide};
}

MaskBatchOptions BatchOf(const std::vector<at::Tensor>& embeddings, int64_t points) {
  return {.image_embeddings = embeddings,
          .points = at::rand({points, 2}) * kSide,
          .multimask_output = true,
          .eager_attention = false,
          .filter = KeepAll(),
          .cancelled = nullptr};
}

bool SameMasks(const std::vector<FilteredMask>& a, const std::vector<FilteredMask>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const FilteredMask& one, const FilteredMask& other) {
                      return one.index == other.index && one.score == other.score &&
                             one.stability_score == other.stability_score && one.box == other.box &&
                             one.counts == other.counts;
                    });
}

// All points decoded at once, and their masks filtered at once.
std::vector<FilteredMask> AtOnce(TrackerModel& model, const MaskBatchOptions& options) {
  ForwardInput input{};
  input.image_embeddings = options.image_embeddings;
  input.prompts.points = options.points.unsqueeze(1).unsqueeze(0);
  input.multimask_output = options.multimask_output;
  input.attention.eager = options.eager_attention;
  MaskFilterSeconds seconds{};
  return FilterMasks(model.Forward(input).selected, options.filter, seconds);
}

void SharesEqualPointsAtOnce(TrackerModel& model, const std::vector<at::Tensor>& embeddings) {
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    for (const int64_t points : {1, 41}) {
      MaskBatchOptions options = BatchOf(embeddings, points);
      const std::string name = std::to_string(points) + " points, " + std::to_string(threads) + " threads";
      const MaskBatch batch = GenerateMasks(model, options);
      Check(batch.masks.size() == static_cast<size_t>(points * kMasksOfPoint), name + ": all masks stay");
      Check(SameMasks(batch.masks, AtOnce(model, options)), name + ": shares equal points at once");
      Check(batch.decode_seconds > 0 && batch.seconds.upsample > 0, name + ": the times are told");

      options.filter.pred_iou_thresh = 0.5;
      options.filter.stability_score_thresh = 0.8;
      const std::vector<FilteredMask> some = GenerateMasks(model, options).masks;
      Check(SameMasks(some, AtOnce(model, options)), name + ": shares equal points at once, filtered");
      if (points == 41) Check(some.size() < batch.masks.size(), name + ": the filters drop masks");
    }
    MaskBatchOptions eager = BatchOf(embeddings, 20);
    eager.eager_attention = true;
    eager.multimask_output = false;
    Check(SameMasks(GenerateMasks(model, eager).masks, AtOnce(model, eager)),
          "eager attention, a mask a point");
  }
  Check(GenerateMasks(model, BatchOf(embeddings, 0)).masks.empty(), "no points, no masks");
}

void EndsWhenCancelled(TrackerModel& model, const std::vector<at::Tensor>& embeddings) {
  constexpr int64_t kPoints = 5000;
  MaskBatchOptions options = BatchOf(embeddings, kPoints);
  const auto flag = std::make_shared<std::atomic<bool>>(true);
  options.cancelled = flag;
  const MaskBatch none = GenerateMasks(model, options);
  Check(none.masks.empty() && none.decode_seconds == 0, "a batch that is cancelled before it begins");

  flag->store(false);
  std::thread canceller([flag] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    flag->store(true);
  });
  const MaskBatch some = GenerateMasks(model, options);
  canceller.join();
  const auto share = *PointsAtOnce(DecodingOf(model.device(), model.dtype(), false)) * kMasksOfPoint;
  const auto masks = static_cast<int64_t>(some.masks.size());
  Check(masks < kPoints * kMasksOfPoint && masks % share == 0,
        "a batch ends with the points that are under way: " + std::to_string(masks) + " masks");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const c10::InferenceMode inference_mode;
  at::manual_seed(5);
  const std::string directory = argv[1];
  TrackerModel model(BundledModelOptions(directory, c10::kFloat, directory + "/model.safetensors"));
  const std::vector<at::Tensor> embeddings =
      model.GetImageEmbeddings(at::randn({1, 3, kSide, kSide}), /*eager=*/false);
  SharesEqualPointsAtOnce(model, embeddings);
  EndsWhenCancelled(model, embeddings);
  return ReportChecks();
}
