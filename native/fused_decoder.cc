#include "fused_decoder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sam3_tracker {
namespace {

// Objects that go through the graph together, so that its weights are read once for all of them; each keeps
// an image of its own meanwhile (5 MB for facebook/sam3).
constexpr int64_t kObjectsTogether = 4;

// (..., positions, rows) -> tiles (..., tiles, rows, kTilePositions).
at::Tensor Tiles(const at::Tensor& map) {
  const int64_t positions = map.size(-2);
  const int64_t missing = (kTilePositions - positions % kTilePositions) % kTilePositions;
  std::vector<int64_t> sizes = map.sizes().vec();
  sizes[sizes.size() - 2] = (positions + missing) / kTilePositions;
  sizes.insert(sizes.end() - 1, kTilePositions);
  return at::constant_pad_nd(map, {0, 0, 0, missing}).reshape(sizes).transpose(-2, -1).contiguous();
}

// (..., rows, depth) -> (..., panels, depth, kPanelRows).
at::Tensor Packed(const at::Tensor& matrix) {
  const int64_t missing = (kPanelRows - matrix.size(-2) % kPanelRows) % kPanelRows;
  std::vector<int64_t> sizes = matrix.sizes().vec();
  sizes[sizes.size() - 2] = (matrix.size(-2) + missing) / kPanelRows;
  sizes.insert(sizes.end() - 1, kPanelRows);
  return at::constant_pad_nd(matrix, {0, 0, 0, missing}).reshape(sizes).transpose(-2, -1).contiguous();
}

// In how many parts the image of each of `objects` is walked so that the threads are done soonest.
int64_t PartsOfImage(int64_t objects, int64_t tiles) {
  const int64_t threads = at::get_num_threads();
  int64_t best = 1;
  double shortest = 0;
  for (int64_t parts = 1; parts <= std::min(threads, tiles); ++parts) {
    const int64_t rounds = (objects * parts + threads - 1) / threads;
    const double time = static_cast<double>(rounds) / static_cast<double>(parts);
    if (parts == 1 || time < shortest) {
      shortest = time;
      best = parts;
    }
  }
  return best;
}

// Runs work(object, part, first tile, last tile) for each part of each object's image, side by side.
template <typename Work>
void ForEachPart(int64_t objects, int64_t parts, int64_t tiles, const Work& work) {
  at::parallel_for(0, objects * parts, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t part = item % parts;
      work(item / parts, part, tiles * part / parts, tiles * (part + 1) / parts);
    }
  });
}

// The data of one object; of all objects where they share one.
const float* Of(const at::Tensor& tensor, int64_t object) {
  return tensor.const_data_ptr<float>() + (tensor.size(0) == 1 ? 0 : object * tensor.stride(0));
}

// Brings the sums of the parts of an object's image together: means (rows, channels).
void CombineSums(const std::vector<AttentionSums>& parts, int64_t rows, int64_t channels, float* means) {
  const int64_t padded = PaddedRows(rows);
  for (int64_t row = 0; row < rows; ++row) {
    float maximum = parts.front().maxima[row];
    for (const AttentionSums& part : parts) maximum = std::max(maximum, part.maxima[row]);
    float total = 0;
    for (const AttentionSums& part : parts) total += std::exp(part.maxima[row] - maximum) * part.totals[row];
    float* const mean = means + row * channels;
    std::fill(mean, mean + channels, 0.0F);
    for (const AttentionSums& part : parts) {
      const float share = std::exp(part.maxima[row] - maximum) / total;
      for (int64_t i = 0; i < channels; ++i) mean[i] += share * part.keys[i * padded + row];
    }
  }
}

}  // namespace

FusedDecoder::FusedDecoder(ScriptComponent* component, const DecoderKernels* kernels,
                           const at::Tensor& positions)
    : component_(component),
      kernels_(kernels),
      positions_(positions),
      height_(positions.size(2)),
      width_(positions.size(3)) {
  const std::vector<at::Tensor> projected = component->Run("prepare_positions", {positions}).toTensorVector();
  heads_ = projected.front().size(1);
  head_dim_ = projected.front().size(2);
  for (const at::Tensor& each : projected) {
    projected_positions_.push_back(Tiles(each.flatten(1, 2).transpose(1, 2)).squeeze(0));
  }
  const std::vector<at::Tensor> weights = component->Run("image_weights", {}).toTensorVector();
  const size_t norms_end = weights.size() - 2;
  for (size_t i = 0; i < norms_end; i += 3) {
    norms_.push_back({weights[i].contiguous(), weights[i + 1].contiguous(), weights[i + 2].item<float>()});
  }
  weight1_ = Packed(weights[norms_end]);
  weight2_ = Packed(weights[norms_end + 1]);
}

std::vector<at::Tensor> FusedDecoder::PrepareFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) {
  const std::vector<at::Tensor> rows =
      component_->Run("prepare_features", {feat_s0, feat_s1}).toTensorVector();
  return {Tiles(rows[1].flatten(1, 2)), Tiles(rows[0].flatten(3).flatten(1, 2))};
}

std::vector<at::Tensor> FusedDecoder::PrepareImages(const at::Tensor& embeddings, const at::Tensor& no_mask) {
  const std::vector<at::Tensor> image =
      component_->Run("prepare_image", {embeddings, positions_, no_mask}).toTensorVector();
  return {Tiles(image[0]), image[1], image[2], Tiles(image[3].flatten(1, 2).transpose(1, 2))};
}

DecodedObjects FusedDecoder::Decode(const ObjectsOfImage& objects) {
  const int64_t count = objects.sparse.size(1);
  std::vector<at::Tensor> image = objects.image;
  at::Tensor own;
  if (objects.mask && objects.mask->size(0) == 1 && count >= kObjectsTogether) {
    image = PrepareImages(objects.embedding, *objects.mask);
  } else if (objects.mask) {
    own = (objects.embedding + *objects.mask).flatten(2).transpose(1, 2);
  }
  DecodedObjects decoded;
  const int64_t threads = at::get_num_threads();
  const int64_t together = (kObjectsTogether + threads - 1) / threads * threads;
  for (int64_t begin = 0; begin < count; begin += together) {
    const int64_t some = std::min(together, count - begin);
    at::Tensor keys;
    if (own.defined()) keys = Tiles(own.size(0) == 1 ? own : own.narrow(0, begin, some));
    const DecodedObjects part = DecodeTogether(objects, objects.sparse.narrow(1, begin, some), image, keys);
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

DecodedObjects FusedDecoder::DecodeTogether(const ObjectsOfImage& objects, const at::Tensor& sparse,
                                            const std::vector<at::Tensor>& image, const at::Tensor& own) {
  at::Tensor tokens;
  at::Tensor queries;
  Update update;
  Question question;
  // Takes what the graph's methods begin_with_image (behind its tokens) and go_on return.
  const auto take = [&](const std::vector<at::Tensor>& step, size_t first, bool is_folded) {
    queries = step[first];
    update.weights = {step[first + 1], is_folded ? Packed(step[first + 2]) : at::Tensor()};
    update.updates = Packed(step[first + 3].transpose(1, 2));
    question = {step[first + 4], Packed(step[first + 5])};
  };
  const auto go_on = [&](int64_t block, const at::Tensor& means) {
    take(component_->Run("go_on", {block, tokens, queries, means}).toTensorVector(), 0, true);
    update.positions = projected_positions_[2 * block + 1];
    update.block = block;
  };

  at::Tensor keys = own;
  if (own.defined()) {
    const std::vector<at::Tensor> begun = component_->Run("begin_without_image", {sparse}).toTensorVector();
    tokens = begun[0];
    queries = begun[1];
    go_on(0, WalkImage(keys, nullptr, nullptr, {begun[2], Packed(begun[3])}, projected_positions_[0]));
  } else {
    const std::vector<at::Tensor> begun =
        component_->Run("begin_with_image", {sparse, image[1], image[2]}).toTensorVector();
    tokens = begun[0];
    take(begun, 1, false);
    update.positions = image[3].squeeze(0);
    keys = image[0];
  }
  const auto blocks = static_cast<int64_t>(norms_.size()) - 1;
  at::Tensor means;
  at::Tensor new_keys;
  for (int64_t block = 0; block < blocks; ++block) {
    if (block > 0) go_on(block, means);
    means = WalkImage(keys, &new_keys, &update, question, projected_positions_[2 * block + 2]);
    keys = new_keys;
  }
  const c10::IValue finished = component_->Run("finish", {queries, means});
  const auto& results = finished.toTupleRef().elements();
  return {{UpscaleMasks(keys, objects.features, results.at(0).toTensor()), results.at(1).toTensor()},
          results.at(2).toTensor()};
}

at::Tensor FusedDecoder::WalkImage(const at::Tensor& keys, at::Tensor* new_keys, const Update* update,
                                   const Question& question, const at::Tensor& positions) const {
  const int64_t objects = question.projected.size(0);
  const int64_t rows = question.projected.size(1);
  const int64_t tiles = keys.size(1);
  const int64_t channels = keys.size(2);
  const int64_t padded = PaddedRows(rows);
  const int64_t parts = PartsOfImage(objects, tiles);
  if (new_keys && !new_keys->defined()) *new_keys = at::empty({objects, tiles, channels, kTilePositions});
  const at::Tensor means = at::empty({objects, rows, channels});
  // Whole cache lines each: keys, maxima, totals, scores with the padded rows' factors behind them, weights.
  const int64_t sizes[] = {channels * padded, padded, padded, rows * kTilePositions + padded,
                           kTilePositions * padded};
  int64_t size = 0;
  for (const int64_t each : sizes) size += each;
  const at::Tensor buffers = at::empty({objects * parts, size});
  const auto sums_of = [&](int64_t object, int64_t part) {
    float* next = buffers.data_ptr<float>() + (object * parts + part) * size;
    AttentionSums sums;
    size_t index = 0;
    for (float** buffer : {&sums.keys, &sums.maxima, &sums.totals, &sums.scores, &sums.weights}) {
      *buffer = next;
      next += sizes[index++];
    }
    return sums;
  };

  ForEachPart(objects, parts, tiles, [&](int64_t object, int64_t part, int64_t begin, int64_t end) {
    ImageWalk walk;
    walk.positions = height_ * width_;
    walk.channels = channels;
    walk.heads = heads_;
    walk.head_dim = head_dim_;
    walk.tokens = rows / heads_;
    walk.keys = Of(keys, object);
    if (update) {
      const Norm& norm = norms_[update->block];
      walk.new_keys = new_keys->data_ptr<float>() + object * new_keys->stride(0);
      walk.update.projected = Of(update->weights.projected, object);
      walk.update.positions = update->positions.const_data_ptr<float>();
      if (update->weights.folded.defined()) walk.update.folded = Of(update->weights.folded, object);
      walk.updates = Of(update->updates, object);
      walk.norm_weight = norm.weight.const_data_ptr<float>();
      walk.norm_bias = norm.bias.const_data_ptr<float>();
      walk.norm_epsilon = norm.epsilon;
    }
    walk.attention.projected = Of(question.projected, object);
    walk.attention.positions = positions.const_data_ptr<float>();
    walk.attention.folded = Of(question.folded, object);
    kernels_->walk_image(walk, begin, end, sums_of(object, part));
  });
  for (int64_t object = 0; object < objects; ++object) {
    std::vector<AttentionSums> sums;
    for (int64_t part = 0; part < parts; ++part) sums.push_back(sums_of(object, part));
    CombineSums(sums, rows, channels, means.data_ptr<float>() + object * rows * channels);
  }
  return means;
}

at::Tensor FusedDecoder::UpscaleMasks(const at::Tensor& keys, const std::vector<at::Tensor>& features,
                                      const at::Tensor& mask_weights) const {
  const int64_t objects = keys.size(0);
  const int64_t tiles = keys.size(1);
  const int64_t channels = keys.size(2);
  const int64_t masks = mask_weights.size(2);
  const int64_t parts = PartsOfImage(objects, tiles);
  const at::Tensor output = at::empty({1, objects, masks, 4 * height_, 4 * width_});
  const int64_t size = MaskUpscalingScratch(channels, masks);
  const at::Tensor scratch = at::empty({objects * parts, size});
  const at::Tensor weights = mask_weights.squeeze(0).contiguous();
  const Norm& norm = norms_.back();
  ForEachPart(objects, parts, tiles, [&](int64_t object, int64_t part, int64_t begin, int64_t end) {
    MaskUpscaling upscaling;
    upscaling.positions = height_ * width_;
    upscaling.width = width_;
    upscaling.channels = channels;
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
    kernels_->upscale_masks(upscaling, begin, end,
                            scratch.data_ptr<float>() + (object * parts + part) * size);
  });
  return output;
}

}  // namespace sam3_tracker
