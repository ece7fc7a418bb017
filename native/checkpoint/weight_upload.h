// Weights on their way to another device: in large chunks through two buffers of pinned memory, so that the
// host holds no second copy of them and the next chunk is read while the last one travels.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <optional>

namespace sam3_tracker {

inline constexpr int64_t kUploadChunkBytes = int64_t{32} << 20;

class WeightUpload {
 public:
  // `chunk_bytes` is a multiple of 64.
  explicit WeightUpload(const c10::Device& device, int64_t chunk_bytes = kUploadChunkBytes);
  // Waits for what is under way, and gives the pinned memory back to the system.
  ~WeightUpload();

  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;

  const c10::Device& device() const { return device_; }

  // The weight on the device in the dtype; itself where neither changes. What is on the host and is wanted on
  // another device goes in chunks.
  at::Tensor Place(const at::Tensor& weight, c10::ScalarType dtype);

  // A copy on the device in the dtype, whatever either is: the host's bytes travel as they are, and each
  // chunk is converted where it arrives. The weight may be freed when this returns; the copy is whole for
  // later work on the device's current stream.
  at::Tensor CopyInChunks(const at::Tensor& weight, c10::ScalarType dtype);

 private:
  struct Buffer {
    at::Tensor bytes;  // undefined until it is needed
    std::optional<c10::Event> sent;
  };

  // Room for at least one and at most `bytes` bytes in the buffers, as a multiple of `element_bytes`.
  at::Tensor Reserve(int64_t bytes, int64_t element_bytes);
  void SwitchBuffers();
  bool is_host() const { return device_.is_cpu(); }

  c10::Device device_;
  int64_t chunk_bytes_;
  std::array<Buffer, 2> buffers_;
  size_t current_ = 0;
  int64_t used_ = 0;
};

}  // namespace sam3_tracker
