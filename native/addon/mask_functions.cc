#include "addon/mask_functions.h"

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/image_functions.h"
#include "addon/promise_job.h"
#include "masks/nms.h"
#include "model/batch_memory.h"

namespace sam3_tracker {
namespace {

template <typename Numbers>
Napi::Array ConvertNumbers(Napi::Env env, const Numbers& numbers) {
  Napi::Array array = Napi::Array::New(env, numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    array.Set(static_cast<uint32_t>(i), static_cast<double>(numbers[i]));
  return array;
}

Napi::Value ConvertRle(Napi::Env env, const RleCounts& counts) {
  Napi::Uint32Array array = Napi::Uint32Array::New(env, counts.size());
  if (!counts.empty()) std::memcpy(array.Data(), counts.data(), counts.size() * sizeof(uint32_t));
  return array;
}

constexpr napi_type_tag kCancelFlagTag = {0x3d0be0c2a96f4b11ULL, 0x8a55f7c60d1e2b93ULL};

CancelFlag ReadCancelFlag(const Napi::Value& value) {
  if (value.IsNull()) return nullptr;
  if (!value.IsExternal() || !value.As<Napi::External<CancelFlag>>().CheckTypeTag(&kCancelFlagTag)) {
    throw Napi::TypeError::New(value.Env(), "Expected a flag of makeCancelFlag.");
  }
  return *value.As<Napi::External<CancelFlag>>().Data();
}

struct CleanedMask {
  RleCounts counts;
  PixelBox box;
  bool changed;
};

}  // namespace

void Read(const Napi::Value& value, const std::string& name, MaskBatchOptions* result) {
  const Fields fields(value, name);
  const auto [height, width] = fields.Get<std::array<int64_t, 2>>("original_size");
  *result = {.image_embeddings = fields.Get<std::vector<at::Tensor>>("image_embeddings"),
             .points = fields.Get<at::Tensor>("points"),
             .multimask_output = fields.Get<bool>("multimask_output"),
             .eager_attention = fields.Get<bool>("eager_attention"),
             .filter = {.pred_iou_thresh = fields.Get<double>("pred_iou_thresh"),
                        .stability_score_thresh = fields.Get<double>("stability_score_thresh"),
                        .stability_score_offset = fields.Get<double>("stability_score_offset"),
                        .mask_threshold = fields.Get<double>("mask_threshold"),
                        .small_components = As<SmallComponents>(value, name),
                        .crop_box = fields.Get<PixelBox>("crop_box"),
                        .bounds = fields.Get<PixelBox>("bounds"),
                        .image_height = height,
                        .image_width = width},
             .cancelled = ReadCancelFlag(fields.Value("cancel_flag"))};
}

Napi::Value ConvertMaskBatch(Napi::Env env, const MaskBatch& batch) {
  Napi::Array masks = Napi::Array::New(env, batch.masks.size());
  for (size_t i = 0; i < batch.masks.size(); ++i) {
    const FilteredMask& mask = batch.masks[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("index", static_cast<double>(mask.index));
    object.Set("score", mask.score);
    object.Set("stability_score", mask.stability_score);
    object.Set("box", ConvertNumbers(env, mask.box));
    object.Set("counts", ConvertRle(env, mask.counts));
    masks.Set(static_cast<uint32_t>(i), object);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("masks", masks);
  result.Set("decode_seconds", batch.decode_seconds);
  result.Set("filter_seconds", batch.seconds.filter);
  result.Set("upsample_seconds", batch.seconds.upsample);
  return result;
}

Napi::Value GetBatchMemory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    const BatchMemory memory(
        DecodingOf(fields.Device(), fields.DType(), fields.Get<bool>("eager_attention")),
        {.feature_sizes = fields.Get<std::vector<std::array<int64_t, 2>>>("backbone_feature_sizes"),
         .hidden_size = fields.Get<int64_t>("hidden_size"),
         .num_multimask_outputs = fields.Get<int64_t>("num_multimask_outputs")});
    const std::optional<int64_t> points = memory.PointsWithin(fields.Get<double>("max_memory"));
    Napi::Object result = Napi::Object::New(env);
    result.Set("least", memory.least());
    result.Set("points", points ? static_cast<double>(*points) : std::numeric_limits<double>::infinity());
    return result;
  });
}

Napi::Value MakeCancelFlag(const Napi::CallbackInfo& info) {
  auto flag = std::make_unique<CancelFlag>(std::make_shared<std::atomic<bool>>(false));
  const auto external = Napi::External<CancelFlag>::New(
      info.Env(), flag.get(),
      [](Napi::Env, CancelFlag* held) { const std::unique_ptr<CancelFlag> owned(held); });
  external.TypeTag(&kCancelFlagTag);
  flag.release();
  return external;
}

void SetCancelFlag(const Napi::CallbackInfo& info) {
  const CancelFlag flag = ReadCancelFlag(info[0]);
  if (flag) flag->store(true, std::memory_order_relaxed);
}

Napi::Value SuppressOverlapsJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    const auto scores = fields.Get<std::vector<double>>("scores");
    std::vector<std::array<float, 4>> boxes;
    for (const auto& [x1, y1, x2, y2] : fields.Get<std::vector<PixelBox>>("boxes")) {
      boxes.push_back(
          {static_cast<float>(x1), static_cast<float>(y1), static_cast<float>(x2), static_cast<float>(y2)});
    }
    if (boxes.size() != scores.size()) throw Napi::RangeError::New(env, "Expected as many boxes as scores.");
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [boxes = std::move(boxes), scores = std::vector<float>(scores.begin(), scores.end()),
         threshold = fields.Get<double>("iou_threshold")] {
          return NonMaximumSuppression(boxes, scores, threshold);
        },
        [](Napi::Env job_env, std::vector<int64_t>&& kept) { return ConvertNumbers(job_env, kept); });
  });
}

Napi::Value RemoveSmallRegionsJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [masks = fields.Get<std::vector<RleCounts>>("masks"),
         size = fields.Get<std::array<int64_t, 2>>("size"), min_area = fields.Get<int64_t>("min_area")] {
          std::vector<CleanedMask> cleaned;
          for (RleCounts counts : masks) {
            const bool changed = RemoveSmallRegions(&counts, size[0], size[1], min_area);
            const PixelBox box = RleToBox(counts, size[0]);
            cleaned.push_back({std::move(counts), box, changed});
          }
          return cleaned;
        },
        [](Napi::Env job_env, std::vector<CleanedMask>&& cleaned) -> Napi::Value {
          Napi::Array array = Napi::Array::New(job_env, cleaned.size());
          for (size_t i = 0; i < cleaned.size(); ++i) {
            Napi::Object object = Napi::Object::New(job_env);
            object.Set("counts", ConvertRle(job_env, cleaned[i].counts));
            object.Set("box", ConvertNumbers(job_env, cleaned[i].box));
            object.Set("changed", cleaned[i].changed);
            array.Set(static_cast<uint32_t>(i), object);
          }
          return array;
        });
  });
}

}  // namespace sam3_tracker
