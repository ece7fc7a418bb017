#include "object_decoder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "cpu_allocator.h"

namespace sam3_tracker {
namespace {

// Four pictures in the size of facebook/sam3.
constexpr int64_t kPreparedBytes = int64_t{128} << 20;
// Threads beyond this make the decoding of one object hardly any faster.
constexpr int64_t kThreadsOfOneObject = 8;

c10::List<at::Tensor> OneImage(const std::vector<at::Tensor>& parts, int64_t image) {
  c10::List<at::Tensor> one;
  for (const at::Tensor& part : parts) one.push_back(part.size(0) == 1 ? part : part.narrow(0, image, 1));
  return one;
}

// How many objects are decoded side by side, one a thread; the rest are decoded after them, one by one by all
// threads.
int64_t SideBySide(int64_t objects, int64_t threads) {
  const int64_t rest = objects % threads;
  return threads > 1 && rest >= std::min(threads, kThreadsOfOneObject) ? objects : objects - rest;
}

// Room for one output (1, 1, ...) of every object.
at::Tensor EmptyForAll(const at::Tensor& one, int64_t images, int64_t objects) {
  std::vector<int64_t> sizes = one.sizes().vec();
  sizes[0] = images;
  sizes[1] = objects;
  return at::empty(sizes, one.options());
}

}  // namespace

ObjectDecoder::ObjectDecoder(ScriptComponent* component) : component_(component), cache_(kPreparedBytes) {}

DecodedObjects ObjectDecoder::Decode(const std::vector<at::Tensor>& image_embeddings,
                                     const at::Tensor& positions, const at::Tensor& sparse,
                                     const at::Tensor& no_mask, const std::optional<at::Tensor>& mask) {
  const std::shared_ptr<PreparedImages> kept = cache_.Get(image_embeddings);
  const at::Tensor& embedding = image_embeddings.at(2);
  if (kept->features.empty()) {
    kept->features = component_->Run("prepare_features", {image_embeddings.at(0), image_embeddings.at(1)})
                         .toTensorVector();
  }
  if (!mask && kept->image.empty()) {
    kept->image = component_->Run("prepare_image", {embedding, positions, no_mask}).toTensorVector();
  }
  cache_.Trim();
  if (prepared_positions_.empty()) {
    prepared_positions_ = component_->Run("prepare_positions", {positions}).toTensorVector();
  }

  const int64_t images = sparse.size(0);
  const int64_t objects = sparse.size(1);
  DecodedObjects decoded;
  for (int64_t image = 0; image < images; ++image) {
    const auto prepare = [&](int64_t index) {
      return component_
          ->Run("prepare_image", {embedding.narrow(0, image, 1), positions, mask->narrow(0, index, 1)})
          .toTensorList();
    };
    const c10::List<at::Tensor> features = OneImage(kept->features, image);
    if (mask && mask->size(0) != images) {
      DecodeObjects([&](int64_t object) { return prepare(image * objects + object); }, features, sparse,
                    image, &decoded);
    } else {
      const c10::List<at::Tensor> shared = mask ? prepare(image) : OneImage(kept->image, image);
      DecodeObjects([&](int64_t) { return shared; }, features, sparse, image, &decoded);
    }
  }
  return decoded;
}

void ObjectDecoder::DecodeObjects(const std::function<c10::List<at::Tensor>(int64_t object)>& image_of,
                                  const c10::List<at::Tensor>& features, const at::Tensor& sparse,
                                  int64_t image, DecodedObjects* decoded) {
  const int64_t objects = sparse.size(1);
  std::mutex making_outputs;
  const auto decode = [&](int64_t begin, int64_t end) {
    // Both are thread-local.
    const c10::InferenceMode inference_mode;
    const TensorCacheScope tensor_cache;
    for (int64_t object = begin; object < end; ++object) {
      const at::Tensor tokens = sparse.narrow(0, image, 1).narrow(1, object, 1);
      const c10::IValue output =
          component_->Run("decode_prepared", {image_of(object), prepared_positions_, features, tokens});
      const auto& elements = output.toTupleRef().elements();
      size_t index = 0;
      for (at::Tensor* all : {&decoded->all.masks, &decoded->all.iou_scores, &decoded->object_score_logits}) {
        const at::Tensor& one = elements.at(index++).toTensor();
        {
          const std::lock_guard<std::mutex> lock(making_outputs);
          if (!all->defined()) *all = EmptyForAll(one, sparse.size(0), objects);
        }
        all->narrow(0, image, 1).narrow(1, object, 1).copy_(one);
      }
    }
  };
  const int64_t side_by_side = SideBySide(objects, at::get_num_threads());
  at::parallel_for(0, side_by_side, /*grain_size=*/1, decode);
  decode(side_by_side, objects);
}

}  // namespace sam3_tracker
