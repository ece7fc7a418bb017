#include "checkpoint/weight_upload.h"

#include <ATen/Functions.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace sam3_tracker {
namespace {

// Where each weight starts in a buffer: enough for every dtype, and the host copies fastest from there.
constexpr int64_t kAlignment = 64;

}  // namespace

WeightUpload::WeightUpload(const c10::Device& device, int64_t chunk_bytes)
    : device_(device), chunk_bytes_(chunk_bytes) {}

WeightUpload::~WeightUpload() {
  try {
    bool has_pinned = false;
    for (Buffer& buffer : buffers_) {
      if (buffer.sent) buffer.sent->synchronize();
      has_pinned = has_pinned || (buffer.bytes.defined() && !is_host());
      buffer.bytes.reset();
    }
    if (has_pinned) at::getHostAllocator(device_.type())->empty_cache();
  } catch (const std::exception&) {
    // What a device reports here it reports again to the next call, which can throw.
  }
}

void WeightUpload::SwitchBuffers() {
  if (!is_host()) {
    Buffer& filled = buffers_[current_];
    if (!filled.sent) filled.sent.emplace(device_.type());
    filled.sent->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  current_ = 1 - current_;
  used_ = 0;
  if (buffers_[current_].sent) buffers_[current_].sent->synchronize();
}

at::Tensor WeightUpload::Reserve(int64_t bytes, int64_t element_bytes) {
  used_ = (used_ + kAlignment - 1) / kAlignment * kAlignment;
  if (chunk_bytes_ - used_ < element_bytes) SwitchBuffers();
  Buffer& buffer = buffers_[current_];
  if (!buffer.bytes.defined()) {
    // Pinned memory is there only where the device is, and the tests' device is the host.
    buffer.bytes = at::empty({chunk_bytes_}, at::TensorOptions().dtype(at::kByte).pinned_memory(!is_host()));
  }
  const int64_t taken = std::min(bytes, (chunk_bytes_ - used_) / element_bytes * element_bytes);
  const at::Tensor room = buffer.bytes.narrow(0, used_, taken);
  used_ += taken;
  return room;
}

at::Tensor WeightUpload::Place(const at::Tensor& weight, c10::ScalarType dtype) {
  return weight.is_cpu() && !is_host() ? CopyInChunks(weight, dtype) : weight.to(device_, dtype);
}

at::Tensor WeightUpload::CopyInChunks(const at::Tensor& weight, c10::ScalarType dtype) {
  // In the order of its memory, whatever its strides; one with holes in it (none in practice) is packed
  // first.
  const at::Tensor source = weight.is_non_overlapping_and_dense() ? weight : weight.contiguous();
  const at::Tensor target = at::empty_like(source, source.options().device(device_).dtype(dtype));
  const int64_t count = source.numel();
  const int64_t element_bytes = static_cast<int64_t>(source.element_size());
  const at::Tensor from = source.as_strided({count}, {1});
  const at::Tensor to = target.as_strided({count}, {1});
  for (int64_t done = 0; done < count;) {
    const at::Tensor staged =
        Reserve((count - done) * element_bytes, element_bytes).view(source.scalar_type());
    const int64_t part = staged.numel();
    staged.copy_(from.narrow(0, done, part));
    const at::Tensor destination = to.narrow(0, done, part);
    if (source.scalar_type() == dtype) {
      destination.copy_(staged, /*non_blocking=*/true);
    } else {
      // Between devices copy_ would convert on the host, into memory of its own.
      at::Tensor arrived = at::empty({part}, destination.options().dtype(source.scalar_type()));
      arrived.copy_(staged, /*non_blocking=*/true);
      destination.copy_(arrived);
    }
    done += part;
  }
  return target;
}

}  // namespace sam3_tracker
