#include "decoder/graph_backend.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <mutex>

#include "runtime/caching_allocator.h"

namespace sam3_tracker {
namespace {

// Threads beyond this make the decoding of one object hardly any faster.
constexpr int64_t kThreadsOfOneObject = 8;

// How many objects are decoded side by side, one a thread; the rest are decoded after them, one by one by all
// threads.
int64_t SideBySide(int64_t objects, int64_t threads) {
  const int64_t rest = objects % threads;
  return threads > 1 && rest >= std::min(threads, kThreadsOfOneObject) ? objects : objects - rest;
}

// Room for one output (1, 1, ...) of every object.
at::Tensor EmptyForAll(const at::Tensor& one, int64_t objects) {
  std::vector<int64_t> sizes = one.sizes().vec();
  sizes[1] = objects;
  return at::empty(sizes, one.options());
}

}  // namespace

GraphBackend::GraphBackend(ScriptModule* module, const at::Tensor& positions)
    : module_(module),
      positions_(positions),
      projected_positions_(module->Run("prepare_positions", {positions}).toTensorVector()) {}

std::vector<at::Tensor> GraphBackend::ProjectFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) {
  return module_->Run("prepare_features", {feat_s0, feat_s1}).toTensorVector();
}

std::vector<at::Tensor> GraphBackend::ProjectImages(const at::Tensor& embeddings, const at::Tensor& no_mask) {
  return module_->Run("prepare_image", {embeddings, positions_, no_mask}).toTensorVector();
}

DecodedObjects GraphBackend::Decode(const ObjectsOfImage& objects) {
  const int64_t count = objects.sparse.size(1);
  const bool has_mask_each = objects.mask && objects.mask->size(0) > 1;
  std::vector<at::Tensor> shared = objects.image;
  if (objects.mask && !has_mask_each) shared = ProjectImages(objects.embedding, *objects.mask);
  DecodedObjects decoded;
  std::mutex making_outputs;
  const auto decode = [&](int64_t begin, int64_t end) {
    // Both are thread-local.
    const c10::InferenceMode inference_mode;
    const TensorCacheScope tensor_cache;
    for (int64_t object = begin; object < end; ++object) {
      const std::vector<at::Tensor> image =
          has_mask_each ? ProjectImages(objects.embedding, objects.mask->narrow(0, object, 1)) : shared;
      const c10::IValue output =
          module_->Run("decode_prepared",
                       {image, projected_positions_, objects.features, objects.sparse.narrow(1, object, 1)});
      const auto& elements = output.toTupleRef().elements();
      size_t index = 0;
      for (at::Tensor* all : {&decoded.all.masks, &decoded.all.iou_scores, &decoded.object_score_logits}) {
        const at::Tensor& one = elements.at(index++).toTensor();
        {
          const std::lock_guard<std::mutex> lock(making_outputs);
          if (!all->defined()) *all = EmptyForAll(one, count);
        }
        all->narrow(1, object, 1).copy_(one);
      }
    }
  };
  const int64_t side_by_side = SideBySide(count, at::get_num_threads());
  at::parallel_for(0, side_by_side, /*grain_size=*/1, decode);
  decode(side_by_side, count);
  return decoded;
}

}  // namespace sam3_tracker
