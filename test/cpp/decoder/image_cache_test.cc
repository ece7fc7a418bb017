// What the cache of images recognizes, and what it lets go.
#include "decoder/image_cache.h"

#include <ATen/Functions.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "../support/tensor_checks.h"
#include "runtime/writable_memory.h"

namespace {

using sam3_tracker::CachedImages;
using sam3_tracker::Check;
using sam3_tracker::ImageCache;
using sam3_tracker::ReportChecks;

constexpr int64_t kRoomForAll = int64_t{1} << 30;

std::vector<at::Tensor> Embeddings() {
  // Larger than one part of the hash, and no multiple of it.
  return {at::rand({1, 8, 61, 61}), at::rand({1, 16, 32, 32}), at::rand({1, 64, 16, 16})};
}

// What JavaScript was given to write to.
std::vector<at::Tensor> WritableEmbeddings() {
  std::vector<at::Tensor> embeddings = Embeddings();
  for (const at::Tensor& embedding : embeddings) sam3_tracker::MarkWritable(embedding);
  return embeddings;
}

// Asks, and fills a new entry with `bytes` bytes.
std::shared_ptr<CachedImages> Ask(ImageCache* cache, const std::vector<at::Tensor>& embeddings,
                                  int64_t bytes = 16) {
  std::shared_ptr<CachedImages> entry = cache->Get(embeddings);
  if (entry->features.empty()) entry->features = {at::zeros({bytes}, at::kByte)};
  cache->Trim();
  return entry;
}

void RecognizesContent() {
  ImageCache cache(kRoomForAll);
  const std::vector<at::Tensor> embeddings = WritableEmbeddings();
  const auto entry = Ask(&cache, embeddings);
  Check(Ask(&cache, embeddings) == entry, "the same tensors");
  Check(Ask(&cache, Embeddings()) != entry, "other tensors");
  Check(Ask(&cache, embeddings) == entry, "the same tensors after others");

  std::vector<at::Tensor> copies;
  for (const at::Tensor& embedding : embeddings) copies.push_back(embedding.clone());
  Check(Ask(&cache, copies) == entry, "copies of the same tensors");

  for (size_t level = 0; level < embeddings.size(); ++level) {
    at::Tensor last = embeddings[level].view({-1}).slice(0, -1);
    const at::Tensor before = last.clone();
    last.add_(1);
    Check(Ask(&cache, embeddings) != entry, "a number written to level " + std::to_string(level));
    last.copy_(before);
    Check(Ask(&cache, embeddings) == entry, "the number written back to level " + std::to_string(level));
  }

  std::vector<at::Tensor> transposed = embeddings;
  transposed[2] = embeddings[2].transpose(2, 3);
  Check(Ask(&cache, transposed) != entry, "the same memory in another order");
}

void RecognizesMemory() {
  ImageCache cache(kRoomForAll);
  const std::vector<at::Tensor> embeddings = Embeddings();
  const auto entry = Ask(&cache, embeddings);
  // Nothing does this to embeddings: it shows that they are not looked at again.
  embeddings[1].add_(1);
  Check(Ask(&cache, embeddings) == entry, "the same memory is not read again");
  std::vector<at::Tensor> parts = embeddings;
  parts[0] = at::cat({embeddings[0], embeddings[0]}).narrow(0, 1, 1);
  parts[1] = embeddings[1].clone();
  Check(Ask(&cache, parts) != entry, "other memory is");
  sam3_tracker::MarkWritable(embeddings[1]);
  Check(Ask(&cache, embeddings) != entry, "nor is memory trusted that JavaScript has got");

  std::vector<at::Tensor> pair = Embeddings();
  const at::Tensor both = at::rand({2, 64, 16, 16});
  pair[2] = both.narrow(0, 0, 1);
  const auto of_first = Ask(&cache, pair);
  pair[2] = both.narrow(0, 1, 1);
  Check(Ask(&cache, pair) != of_first, "another part of the same memory");
}

void LetsGo() {
  ImageCache cache(kRoomForAll);
  const std::vector<at::Tensor> embeddings = Embeddings();
  std::vector<at::Tensor> freed = Embeddings();
  const std::weak_ptr<CachedImages> of_freed = Ask(&cache, freed);
  const std::weak_ptr<CachedImages> of_kept = Ask(&cache, embeddings);
  Check(!of_freed.expired() && !of_kept.expired(), "both are kept while their embeddings are there");
  freed.clear();
  Ask(&cache, embeddings);
  Check(of_freed.expired() && !of_kept.expired(), "what belongs to freed embeddings goes with the next call");
}

void KeepsToItsLimit() {
  ImageCache cache(250);
  const std::vector<at::Tensor> first = Embeddings();
  const std::vector<at::Tensor> second = Embeddings();
  const std::vector<at::Tensor> third = Embeddings();
  const std::weak_ptr<CachedImages> of_first = Ask(&cache, first, 100);
  const std::weak_ptr<CachedImages> of_second = Ask(&cache, second, 100);
  Ask(&cache, first);
  const std::weak_ptr<CachedImages> of_third = Ask(&cache, third, 100);
  Check(!of_first.expired() && of_second.expired() && !of_third.expired(),
        "the least recently used goes first");
  const std::vector<at::Tensor> large = Embeddings();
  const std::weak_ptr<CachedImages> of_large = Ask(&cache, large, 1000);
  Check(of_large.expired(), "what is larger than the limit is not kept");
}

}  // namespace

int main() {
  try {
    RecognizesContent();
    RecognizesMemory();
    LetsGo();
    KeepsToItsLimit();
  } catch (const std::exception& error) {
    Check(false, error.what());
  }
  return ReportChecks();
}
