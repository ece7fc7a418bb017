// What the decoder computes of images whatever the prompts, kept for the next click on the same embeddings.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <memory>
#include <vector>

namespace sam3_tracker {

// Results of the decoder's prepare_image and prepare_features; empty until they are computed.
struct CachedImages {
  std::vector<at::Tensor> image;
  std::vector<at::Tensor> features;
};

// Recognizes embeddings by their memory where JavaScript cannot write to it, else by a hash of what they
// hold. CPU tensors only; one thread at a time.
class ImageCache {
 public:
  // Entries are let go, the least recently used first, while they hold more than `byte_limit` together.
  explicit ImageCache(int64_t byte_limit) : byte_limit_(byte_limit) {}

  // The entry of these embeddings, a new one where none is kept.
  std::shared_ptr<CachedImages> Get(const std::vector<at::Tensor>& embeddings);

  // Keeps to the limit, and lets go what belongs to embeddings that are no more. To be called after an entry
  // was filled.
  void Trim();

 private:
  struct Key {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    int64_t offset;
    std::vector<int64_t> sizes_and_strides;
    uint64_t content;
  };
  struct Entry {
    std::vector<Key> keys;
    std::shared_ptr<CachedImages> images;
  };

  using Entries = std::list<Entry>;

  Entries::iterator FindByMemory(const std::vector<at::Tensor>& embeddings);
  Entries::iterator FindByContent(const std::vector<Key>& keys);

  int64_t byte_limit_;
  // The most recently used first.
  Entries entries_;
};

}  // namespace sam3_tracker
