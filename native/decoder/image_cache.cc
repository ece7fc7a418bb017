#include "decoder/image_cache.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "runtime/writable_memory.h"

namespace sam3_tracker {
namespace {

// Small enough for every thread to have several, and hashed from the cache.
constexpr int64_t kHashedBytes = int64_t{1} << 16;

// Depends on every byte. Eight sums side by side: a single one, as std::hash has, waits for its own
// multiplications and takes five times as long as memory gives the bytes.
uint64_t HashBytes(const char* data, int64_t size) {
  constexpr int64_t kSums = 8;
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  std::array<uint64_t, kSums> sums;
  for (int64_t i = 0; i < kSums; ++i) sums[i] = kOdd * (i + 1);
  int64_t offset = 0;
  const auto mix = [&](int64_t i, int64_t bytes) {
    uint64_t word = 0;
    std::memcpy(&word, data + offset, bytes);
    sums[i] = (sums[i] ^ word) * kOdd;
    sums[i] ^= sums[i] >> 29;
    offset += bytes;
  };
  constexpr int64_t kWord = sizeof(uint64_t);
  while (size - offset >= kSums * kWord) {
    for (int64_t i = 0; i < kSums; ++i) mix(i, kWord);
  }
  while (size - offset >= kWord) mix(0, kWord);
  if (offset < size) mix(1, size - offset);
  uint64_t hash = size;
  for (const uint64_t sum : sums) hash = ((hash ^ sum) * kOdd) ^ (hash >> 31);
  return hash;
}

// A hash of every byte, strides included where they leave none out.
uint64_t HashContent(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
  const auto* data = static_cast<const char*>(dense.const_data_ptr());
  const auto size = static_cast<int64_t>(dense.nbytes());
  const int64_t parts = (size + kHashedBytes - 1) / kHashedBytes;
  std::vector<uint64_t> hashes(parts);
  at::parallel_for(0, parts, /*grain_size=*/8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t offset = i * kHashedBytes;
      hashes[i] = HashBytes(data + offset, std::min(kHashedBytes, size - offset));
    }
  });
  return HashBytes(reinterpret_cast<const char*>(hashes.data()), parts * sizeof(uint64_t));
}

int64_t Bytes(const CachedImages& cached) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : cached.image) bytes += static_cast<int64_t>(tensor.nbytes());
  for (const at::Tensor& tensor : cached.features) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

std::vector<int64_t> Layout(const at::Tensor& tensor) {
  std::vector<int64_t> layout = tensor.sizes().vec();
  const c10::IntArrayRef strides = tensor.strides();
  layout.insert(layout.end(), strides.begin(), strides.end());
  return layout;
}

}  // namespace

ImageCache::Entries::iterator ImageCache::FindByMemory(const std::vector<at::Tensor>& embeddings) {
  if (std::any_of(embeddings.begin(), embeddings.end(), IsWritable)) return entries_.end();
  return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return std::equal(
        entry.keys.begin(), entry.keys.end(), embeddings.begin(), embeddings.end(),
        [](const Key& key, const at::Tensor& embedding) {
          // The weak reference keeps the address from being another storage's.
          return key.storage._unsafe_get_target() == embedding.storage().unsafeGetStorageImpl() &&
                 key.offset == embedding.storage_offset() && key.sizes_and_strides == Layout(embedding);
        });
  });
}

ImageCache::Entries::iterator ImageCache::FindByContent(const std::vector<Key>& keys) {
  return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return std::equal(entry.keys.begin(), entry.keys.end(), keys.begin(), keys.end(),
                      [](const Key& a, const Key& b) {
                        return a.content == b.content && a.sizes_and_strides == b.sizes_and_strides;
                      });
  });
}

std::shared_ptr<CachedImages> ImageCache::Get(const std::vector<at::Tensor>& embeddings) {
  auto found = FindByMemory(embeddings);
  if (found == entries_.end()) {
    std::vector<Key> keys;
    for (const at::Tensor& embedding : embeddings) {
      keys.push_back({embedding.storage().getWeakStorageImpl(), embedding.storage_offset(), Layout(embedding),
                      HashContent(embedding)});
    }
    found = FindByContent(keys);
    if (found == entries_.end())
      found = entries_.insert(entries_.begin(), {{}, std::make_shared<CachedImages>()});
    // It lives as long as the embeddings that it was asked for last.
    found->keys = std::move(keys);
  }
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front().images;
}

void ImageCache::Trim() {
  entries_.remove_if([](const Entry& entry) {
    return std::any_of(entry.keys.begin(), entry.keys.end(),
                       [](const Key& key) { return key.storage.expired(); });
  });
  int64_t bytes = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const int64_t own = Bytes(*entry->images);
    const bool fits = bytes + own <= byte_limit_;
    if (fits) bytes += own;
    entry = fits ? std::next(entry) : entries_.erase(entry);
  }
}

}  // namespace sam3_tracker
