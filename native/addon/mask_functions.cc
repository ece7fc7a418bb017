#include "addon/mask_functions.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/promise_job.h"
#include "addon/tensor_object.h"
#include "masks/nms.h"
#include "runtime/caching_allocator.h"
#include "runtime/stopwatch.h"

namespace sam3_tracker {
namespace {

PixelBox ReadBox(const Napi::Value& value, const std::string& name) {
  const std::vector<int64_t> list = AsInt64List(value, name);
  if (list.size() != 4)
    throw Napi::TypeError::New(value.Env(), "Expected [x1, y1, x2, y2] for " + name + ".");
  return {list[0], list[1], list[2], list[3]};
}

Napi::Array ConvertBox(Napi::Env env, const PixelBox& box) {
  Napi::Array array = Napi::Array::New(env, box.size());
  for (size_t i = 0; i < box.size(); ++i) array.Set(static_cast<uint32_t>(i), static_cast<double>(box[i]));
  return array;
}

Napi::Value ConvertRle(Napi::Env env, const RleCounts& counts) {
  Napi::Uint32Array array = Napi::Uint32Array::New(env, counts.size());
  if (!counts.empty()) std::memcpy(array.Data(), counts.data(), counts.size() * sizeof(uint32_t));
  return array;
}

RleCounts ReadRle(const Napi::Value& value, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
    throw Napi::TypeError::New(value.Env(), "Expected a Uint32Array for " + name + ".");
  const auto array = value.As<Napi::Uint32Array>();
  return RleCounts(array.Data(), array.Data() + array.ElementLength());
}

using CancelFlag = std::shared_ptr<std::atomic<bool>>;

constexpr napi_type_tag kCancelFlagTag = {0x3d0be0c2a96f4b11ULL, 0x8a55f7c60d1e2b93ULL};

CancelFlag ReadCancelFlag(const Napi::Value& value) {
  if (value.IsNull()) return nullptr;
  if (!value.IsExternal() || !value.As<Napi::External<CancelFlag>>().CheckTypeTag(&kCancelFlagTag)) {
    throw Napi::TypeError::New(value.Env(), "Expected a flag of makeCancelFlag.");
  }
  return *value.As<Napi::External<CancelFlag>>().Data();
}

// Gives memory back that the encoder or another job has left for its next tensors: those of the decoder have
// other sizes, and would come on top of it. What the thread's last batch has left it takes up again.
class BatchMemory {
 public:
  BatchMemory() {
    if (GetTensorCacheInfo().kept_bytes > kept_by_last_) ReleaseTensorCache();
  }
  ~BatchMemory() { kept_by_last_ = GetTensorCacheInfo().kept_bytes; }

  BatchMemory(const BatchMemory&) = delete;
  BatchMemory& operator=(const BatchMemory&) = delete;

 private:
  static thread_local size_t kept_by_last_;
};

thread_local size_t BatchMemory::kept_by_last_ = 0;

struct CleanedMask {
  RleCounts counts;
  PixelBox box;
  bool changed;
};

}  // namespace

MaskBatchOptions ReadMaskBatchOptions(const Napi::Object& options) {
  const std::array<int64_t, 2> size = AsSize(options.Get("pictureSize"), "pictureSize");
  MaskBatchOptions batch{AsTensorList(options.Get("imageEmbeddings"), "image_embeddings"),
                         TensorObject::FromValue(options.Get("points"), "points"),
                         AsInt64(options.Get("pointsAtOnce"), "pointsAtOnce"),
                         AsBool(options.Get("multimaskOutput"), "multimask_output"),
                         AsBool(options.Get("eagerAttention"), "eager_attention"),
                         {AsDouble(options.Get("predIouThresh"), "pred_iou_thresh"),
                          AsDouble(options.Get("stabilityScoreThresh"), "stability_score_thresh"),
                          AsDouble(options.Get("stabilityScoreOffset"), "stability_score_offset"),
                          AsDouble(options.Get("maskThreshold"), "mask_threshold"),
                          AsDouble(options.Get("maxHoleArea"), "max_hole_area"),
                          AsDouble(options.Get("maxSprinkleArea"), "max_sprinkle_area"),
                          ReadBox(options.Get("cropBox"), "cropBox"),
                          ReadBox(options.Get("bounds"), "bounds"), size[0], size[1]},
                         ReadCancelFlag(options.Get("cancelFlag"))};
  return batch;
}

MaskBatch GenerateMaskBatch(TrackerModel& model, const MaskBatchOptions& options) {
  const BatchMemory memory;
  ForwardInput input;
  input.image_embeddings = options.image_embeddings;
  input.multimask_output = options.multimask_output;
  input.attention = {false, false, options.eager};
  MaskBatch batch{};
  const int64_t points = options.points.size(0);
  Stopwatch watch;
  for (int64_t begin = 0; begin < points; begin += options.points_at_once) {
    if (options.cancelled && options.cancelled->load(std::memory_order_relaxed)) break;
    input.prompts.points = options.points.slice(0, begin, std::min(begin + options.points_at_once, points))
                               .unsqueeze(1)
                               .unsqueeze(0);
    const ScoredMasks predicted = model.Forward(input).selected;
    batch.decode_seconds += watch.Lap();
    for (FilteredMask& mask : FilterMasks(predicted, options.filter, batch.seconds)) {
      mask.index += begin * predicted.masks.size(2);
      batch.masks.push_back(std::move(mask));
    }
    watch.Lap();
  }
  return batch;
}

Napi::Value ConvertMaskBatch(Napi::Env env, const MaskBatch& batch) {
  Napi::Array masks = Napi::Array::New(env, batch.masks.size());
  for (size_t i = 0; i < batch.masks.size(); ++i) {
    const FilteredMask& mask = batch.masks[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("index", static_cast<double>(mask.index));
    object.Set("score", mask.score);
    object.Set("stabilityScore", mask.stability_score);
    object.Set("box", ConvertBox(env, mask.box));
    object.Set("counts", ConvertRle(env, mask.counts));
    masks.Set(static_cast<uint32_t>(i), object);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("masks", masks);
  result.Set("decodeSeconds", batch.decode_seconds);
  result.Set("filterSeconds", batch.seconds.filter);
  result.Set("upsampleSeconds", batch.seconds.upsample);
  return result;
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
    const Napi::Object options = AsObject(info[0], "options");
    const std::vector<double> scores = AsDoubleList(options.Get("scores"), "scores");
    const Napi::Array list = AsArray(options.Get("boxes"), "boxes");
    if (list.Length() != scores.size()) throw Napi::RangeError::New(env, "Expected as many boxes as scores.");
    std::vector<std::array<float, 4>> boxes;
    boxes.reserve(list.Length());
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const PixelBox box = ReadBox(list.Get(i), "boxes");
      boxes.push_back({static_cast<float>(box[0]), static_cast<float>(box[1]), static_cast<float>(box[2]),
                       static_cast<float>(box[3])});
    }
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [boxes = std::move(boxes), scores = std::vector<float>(scores.begin(), scores.end()),
         threshold = AsDouble(options.Get("iouThreshold"), "iouThreshold")] {
          return NonMaximumSuppression(boxes, scores, threshold);
        },
        [](Napi::Env job_env, std::vector<int64_t>&& kept) -> Napi::Value {
          Napi::Array array = Napi::Array::New(job_env, kept.size());
          for (size_t i = 0; i < kept.size(); ++i)
            array.Set(static_cast<uint32_t>(i), static_cast<double>(kept[i]));
          return array;
        });
  });
}

Napi::Value RemoveSmallRegionsJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = AsObject(info[0], "options");
    const Napi::Array list = AsArray(options.Get("masks"), "masks");
    std::vector<RleCounts> masks;
    masks.reserve(list.Length());
    for (uint32_t i = 0; i < list.Length(); ++i) masks.push_back(ReadRle(list.Get(i), "masks"));
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [masks = std::move(masks), size = AsSize(options.Get("size"), "size"),
         min_area = AsInt64(options.Get("minArea"), "minArea")] {
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
            object.Set("box", ConvertBox(job_env, cleaned[i].box));
            object.Set("changed", cleaned[i].changed);
            array.Set(static_cast<uint32_t>(i), object);
          }
          return array;
        });
  });
}

}  // namespace sam3_tracker
