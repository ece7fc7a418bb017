#include "decoder/fused_backend.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>
#include <utility>

#include "decoder/blocked_layout.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// Objects that go through the graph together, so that its weights are read once for all of them; one for each
// thread, where there are more threads. Each needs an image side of its own (5 MB for facebook/sam3).
constexpr int64_t kObjectsTogether = 4;

// Parts of the image for each thread.
constexpr int64_t kPartsOfThread = 4;

// From so many objects of one mask prompt on, projecting the image once takes less time than folding.
constexpr int64_t kObjectsWorthProjecting = 4;

// Places in what prepare_image gives.
constexpr size_t kImageKeys = 1;
constexpr size_t kImageQueries = 3;

// What the kernels read is taken at its word: a graph that gives something else must not come that far.
void CheckShape(const at::Tensor& tensor, at::IntArrayRef shape, const char* name) {
  if (tensor.sizes() == shape && tensor.scalar_type() == at::kFloat) return;
  std::ostringstream message;
  message << "The mask decoder's graph gives " << name << " of shape " << tensor.sizes() << " instead of "
          << shape << ": export the model again with this version's export_model.py.";
  throw Sam3Error(ErrorCode::kConfigMismatch, message.str());
}

// In how many parts the image of each of `objects` is split: a few for each thread, so that none waits long
// for the last one.
int64_t PartsOfImage(int64_t objects, int64_t tiles) {
  const int64_t threads = at::get_num_threads();
  if (threads == 1) return 1;
  return std::clamp<int64_t>((kPartsOfThread * threads + objects - 1) / objects, 1, tiles);
}

// Runs work(object, part, first tile, last tile) for each part of each object's image, side by side: a thread
// that is done takes the next part, whichever it is.
template <typename Work>
void ForEachPart(int64_t objects, int64_t parts, int64_t tiles, const Work& work) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(objects * parts, at::get_num_threads()), /*grain_size=*/1,
                   [&](int64_t, int64_t) {
                     for (int64_t item = next++; item < objects * parts; item = next++) {
                       const int64_t part = item % parts;
                       work(item / parts, part, tiles * part / parts, tiles * (part + 1) / parts);
                     }
                   });
}

// The data of one object; of all objects where they share one.
const float* Of(const at::Tensor& tensor, int64_t object) {
  return tensor.const_data_ptr<float>() + (tensor.size(0) == 1 ? 0 : object * tensor.stride(0));
}

// Buffers of the kernel's softmaxes, whole cache lines each.
class SoftmaxBuffers {
 public:
  SoftmaxBuffers(int64_t count, int64_t rows, int64_t channels) {
    const int64_t padded = PaddedRows(rows);
    // Scores have the padded rows' factors behind them.
    sizes_ = {channels * padded, padded, padded, rows * kTilePositions + padded, kTilePositions * padded};
    data_ = at::empty({count, std::accumulate(sizes_.begin(), sizes_.end(), int64_t{0})});
  }

  OnlineSoftmax Of(int64_t index) const {
    float* next = data_.data_ptr<float>() + index * data_.stride(0);
    OnlineSoftmax softmax;
    size_t size = 0;
    for (float** buffer :
         {&softmax.keys, &softmax.running_max, &softmax.running_sum, &softmax.scores, &softmax.weights}) {
      *buffer = next;
      next += sizes_[size++];
    }
    return softmax;
  }

 private:
  std::array<int64_t, 5> sizes_;
  at::Tensor data_;
};

// Merges the softmaxes over the parts of an object's image: means (rows, channels).
void MergeSoftmaxes(const std::vector<OnlineSoftmax>& parts, int64_t rows, int64_t channels, float* means) {
  const int64_t padded = PaddedRows(rows);
  std::vector<float> running_max(padded, -std::numeric_limits<float>::infinity());
  for (const OnlineSoftmax& part : parts) {
    for (int64_t row = 0; row < rows; ++row)
      running_max[row] = std::max(running_max[row], part.running_max[row]);
  }
  // Of each part in the means.
  std::vector<float> shares(parts.size() * padded);
  std::vector<float> running_sum(padded);
  for (size_t part = 0; part < parts.size(); ++part) {
    for (int64_t row = 0; row < rows; ++row) {
      float& share = shares[part * padded + row];
      share = std::exp(parts[part].running_max[row] - running_max[row]);
      running_sum[row] += share * parts[part].running_sum[row];
    }
  }
  at::parallel_for(0, channels, /*grain_size=*/64, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(padded);
    for (int64_t channel = begin; channel < end; ++channel) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (size_t part = 0; part < parts.size(); ++part) {
        const float* const keys = parts[part].keys + channel * padded;
        const float* const share = shares.data() + part * padded;
        for (int64_t row = 0; row < padded; ++row) sums[row] += share[row] * keys[row];
      }
      for (int64_t row = 0; row < rows; ++row) means[row * channels + channel] = sums[row] / running_sum[row];
    }
  });
}

}  // namespace

FusedBackend::FusedBackend(ScriptModule* module, const DecoderKernels* kernels, const at::Tensor& positions)
    : module_(module),
      kernels_(kernels),
      positions_(positions),
      channels_(positions.size(1)),
      height_(positions.size(2)),
      width_(positions.size(3)) {
  const std::vector<at::Tensor> projected = module->Run("prepare_positions", {positions}).toTensorVector();
  heads_ = projected.at(0).size(1);
  head_dim_ = projected[0].size(2);
  for (const at::Tensor& each : projected) {
    CheckShape(each, {1, heads_, head_dim_, height_ * width_}, "projected positions");
    projected_positions_.push_back(Blocked(each.flatten(1, 2)).squeeze(0));
  }
  const std::vector<at::Tensor> weights = module->Run("image_weights", {}).toTensorVector();
  const size_t blocks = projected.size() / 2;
  if (projected.size() % 2 == 0 || channels_ % 8 != 0) {
    throw Sam3Error(ErrorCode::kConfigMismatch,
                    "The mask decoder's graph is not of this version: export the "
                    "model again with this version's export_model.py.");
  }
  const size_t norms_end = 3 * (blocks + 1);
  for (size_t i = 0; i < norms_end; i += 3) {
    const int64_t size = i < 3 * blocks ? channels_ : channels_ / 4;
    CheckShape(weights.at(i), {size}, "a norm's weight");
    CheckShape(weights.at(i + 1), {size}, "a norm's bias");
    norms_.push_back({weights[i].contiguous(), weights[i + 1].contiguous(), weights.at(i + 2).item<float>()});
  }
  CheckShape(weights.at(norms_end), {channels_, channels_}, "the first convolution");
  CheckShape(weights.at(norms_end + 1), {channels_ / 2, channels_ / 4}, "the second convolution");
  weight1_ = PackPanels(weights[norms_end]);
  weight2_ = PackPanels(weights[norms_end + 1]);
}

TokenProjections FusedBackend::Projections::Pointers(int64_t object, const at::Tensor& image) const {
  return {.projected = Of(projected, object),
          .image = image.const_data_ptr<float>(),
          .folded = folded.defined() ? Of(folded, object) : nullptr};
}

int64_t FusedBackend::ObjectsTogether(int64_t threads) {
  return (kObjectsTogether + threads - 1) / threads * threads;
}

std::vector<at::Tensor> FusedBackend::ProjectFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) {
  const std::vector<at::Tensor> rows = module_->Run("prepare_features", {feat_s0, feat_s1}).toTensorVector();
  const int64_t images = feat_s0.size(0);
  CheckShape(rows.at(0), {images, height_, width_, 4, channels_ / 2}, "high-resolution features");
  CheckShape(rows.at(1), {images, height_, width_, channels_}, "high-resolution features");
  return {Blocked(rows[1].flatten(1, 2).transpose(1, 2)),
          Blocked(rows[0].flatten(3).flatten(1, 2).transpose(1, 2))};
}

std::vector<at::Tensor> FusedBackend::ProjectImages(const at::Tensor& embeddings, const at::Tensor& no_mask) {
  const std::vector<at::Tensor> image =
      module_->Run("prepare_image", {embeddings, positions_, no_mask}).toTensorVector();
  const int64_t images = embeddings.size(0);
  CheckShape(image.at(0), {images, height_ * width_, channels_}, "image features");
  std::vector<at::Tensor> tiles{Blocked(image[0].transpose(1, 2))};
  for (const size_t projected : {kImageKeys, kImageQueries}) {
    CheckShape(image.at(projected), {images, heads_, head_dim_, height_ * width_}, "a projected image");
    tiles.push_back(Blocked(image[projected].flatten(1, 2)));
  }
  return tiles;
}

DecodedObjects FusedBackend::Decode(const ObjectsOfImage& objects) {
  const int64_t count = objects.sparse.size(1);
  const int64_t together = ObjectsTogether(at::get_num_threads());
  std::vector<at::Tensor> shared = objects.image;
  // Three projections of the image once, or two larger products for each object.
  if (objects.mask && objects.mask->size(0) == 1 && count >= kObjectsWorthProjecting) {
    shared = ProjectImages(objects.embedding, *objects.mask);
  }
  DecodedObjects decoded;
  for (int64_t begin = 0; begin < count; begin += together) {
    const int64_t some = std::min(together, count - begin);
    const at::Tensor sparse = objects.sparse.narrow(1, begin, some);
    std::vector<at::Tensor> image = shared;
    if (image.empty()) {
      const at::Tensor mask =
          objects.mask->size(0) == 1 ? *objects.mask : objects.mask->narrow(0, begin, some);
      CheckShape(objects.embedding, {1, channels_, height_, width_}, "an image");
      CheckShape(mask, {mask.size(0), channels_, height_, width_}, "a mask prompt");
      image = {BlockedSum(objects.embedding.flatten(2), mask.flatten(2))};
    }
    const DecodedObjects part = DecodeTogether(sparse, image, objects.features);
    if (some == count) return part;
    const auto place = [&](const at::Tensor& from, at::Tensor* to) {
      if (!to->defined()) {
        std::vector<int64_t> sizes = from.sizes().vec();
        sizes[1] = count;
        *to = at::empty(sizes, from.options());
      }
      to->narrow(1, begin, some).copy_(from);
    };
    place(part.all.masks, &decoded.all.masks);
    place(part.all.iou_scores, &decoded.all.iou_scores);
    place(part.object_score_logits, &decoded.object_score_logits);
  }
  return decoded;
}

DecodedObjects FusedBackend::DecodeTogether(const at::Tensor& sparse, const std::vector<at::Tensor>& image,
                                            const std::vector<at::Tensor>& features) {
  const bool is_projected = image.size() > 1;
  const std::vector<at::Tensor> begun = module_->Run("start_tokens", {sparse}).toTensorVector();
  const at::Tensor& tokens = begun.at(0);
  at::Tensor queries = begun.at(1);
  // The projections of a shared image take the place of the folded part.
  const auto projections = [&](const std::vector<at::Tensor>& step, size_t first, bool is_folded) {
    const int64_t rows = heads_ * tokens.size(2);
    CheckShape(step.at(first), {sparse.size(1), rows, head_dim_}, "projected tokens");
    CheckShape(step.at(first + 1), {sparse.size(1), rows, channels_}, "folded tokens");
    return Projections{.projected = step[first].contiguous(),
                       .folded = is_folded ? PackPanels(step[first + 1]) : at::Tensor()};
  };

  at::Tensor keys = image[0];
  at::Tensor new_keys;
  at::Tensor means = TwoWayAttention(keys, nullptr, nullptr, projections(begun, 2, !is_projected),
                                     is_projected ? image[1].squeeze(0) : projected_positions_[0]);
  const auto blocks = static_cast<int64_t>(norms_.size()) - 1;
  for (int64_t block = 0; block < blocks; ++block) {
    const std::vector<at::Tensor> step =
        module_->Run("update_tokens", {block, tokens, queries, means}).toTensorVector();
    queries = step.at(0);
    const bool is_shared = block == 0 && is_projected;
    CheckShape(step.at(3), step.at(2).sizes(), "what tokens add to the image");
    const ImageToToken image_to_token{
        .tokens = projections(step, 1, !is_shared),
        .image = is_shared ? image[2].squeeze(0) : projected_positions_[2 * block + 1],
        .values = PackPanels(step[3].transpose(1, 2)),
        .block = block};
    means = TwoWayAttention(keys, &new_keys, &image_to_token, projections(step, 4, true),
                            projected_positions_[2 * block + 2]);
    keys = new_keys;
  }
  const c10::IValue finished = module_->Run("finish_tokens", {queries, means});
  const auto& results = finished.toTupleRef().elements();
  const at::Tensor& mask_weights = results.at(0).toTensor();
  CheckShape(mask_weights, {1, sparse.size(1), mask_weights.size(2), channels_ / 8}, "mask weights");
  return {{OutputUpscaling(keys, features, mask_weights), results.at(1).toTensor()},
          results.at(2).toTensor()};
}

at::Tensor FusedBackend::TwoWayAttention(const at::Tensor& keys, at::Tensor* new_keys,
                                         const ImageToToken* image_to_token,
                                         const Projections& token_to_image, const at::Tensor& image) const {
  const int64_t objects = token_to_image.projected.size(0);
  const int64_t rows = token_to_image.projected.size(1);
  const int64_t tiles = keys.size(1);
  const int64_t parts = PartsOfImage(objects, tiles);
  if (new_keys && !new_keys->defined()) *new_keys = at::empty({objects, tiles, channels_, kTilePositions});
  const at::Tensor means = at::empty({objects, rows, channels_});
  const SoftmaxBuffers buffers(objects * parts, rows, channels_);

  ForEachPart(objects, parts, tiles, [&](int64_t object, int64_t part, int64_t begin, int64_t end) {
    TwoWayAttentionArgs args;
    args.positions = height_ * width_;
    args.channels = channels_;
    args.heads = heads_;
    args.head_dim = head_dim_;
    args.tokens = rows / heads_;
    args.keys = Of(keys, object);
    if (image_to_token) {
      const Norm& norm = norms_[image_to_token->block];
      args.new_keys = new_keys->data_ptr<float>() + object * new_keys->stride(0);
      args.image_to_token = image_to_token->tokens.Pointers(object, image_to_token->image);
      args.image_to_token_values = Of(image_to_token->values, object);
      args.norm_weight = norm.weight.const_data_ptr<float>();
      args.norm_bias = norm.bias.const_data_ptr<float>();
      args.norm_epsilon = norm.epsilon;
    }
    args.token_to_image = token_to_image.Pointers(object, image);
    kernels_->two_way_attention(args, begin, end, buffers.Of(object * parts + part));
  });
  for (int64_t object = 0; object < objects; ++object) {
    std::vector<OnlineSoftmax> softmaxes;
    for (int64_t part = 0; part < parts; ++part) softmaxes.push_back(buffers.Of(object * parts + part));
    MergeSoftmaxes(softmaxes, rows, channels_, means.data_ptr<float>() + object * rows * channels_);
  }
  return means;
}

at::Tensor FusedBackend::OutputUpscaling(const at::Tensor& keys, const std::vector<at::Tensor>& features,
                                         const at::Tensor& mask_weights) const {
  const int64_t objects = keys.size(0);
  const int64_t tiles = keys.size(1);
  const int64_t masks = mask_weights.size(2);
  const int64_t parts = PartsOfImage(objects, tiles);
  const at::Tensor output = at::empty({1, objects, masks, 4 * height_, 4 * width_});
  const int64_t size = OutputUpscalingScratch(channels_, masks);
  const at::Tensor scratch = at::empty({objects * parts, size});
  const at::Tensor weights = mask_weights.squeeze(0).contiguous();
  const Norm& norm = norms_.back();
  ForEachPart(objects, parts, tiles, [&](int64_t object, int64_t part, int64_t begin, int64_t end) {
    OutputUpscalingArgs upscaling;
    upscaling.positions = height_ * width_;
    upscaling.width = width_;
    upscaling.channels = channels_;
    upscaling.masks = masks;
    upscaling.keys = Of(keys, object);
    upscaling.features1 = features[0].const_data_ptr<float>();
    upscaling.weight1 = weight1_.const_data_ptr<float>();
    upscaling.norm_weight = norm.weight.const_data_ptr<float>();
    upscaling.norm_bias = norm.bias.const_data_ptr<float>();
    upscaling.norm_epsilon = norm.epsilon;
    upscaling.features2 = features[1].const_data_ptr<float>();
    upscaling.weight2 = weight2_.const_data_ptr<float>();
    upscaling.mask_weights = Of(weights, object);
    upscaling.output = output.data_ptr<float>() + object * output.stride(1);
    kernels_->output_upscaling(upscaling, begin, end,
                               scratch.data_ptr<float>() + (object * parts + part) * size);
  });
  return output;
}

}  // namespace sam3_tracker
