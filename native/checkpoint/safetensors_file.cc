#include "checkpoint/safetensors_file.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/safe_numerics.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/error.h"

namespace sam3_tracker {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) : value_(value) {}
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

[[noreturn]] void FailOpen(const std::string& path, int error) {
  throw Sam3Error(error == ENOENT ? ErrorCode::kFileNotFound : ErrorCode::kFileInvalid,
                  "Weights " + path + " cannot be opened: " + std::strerror(error) + ".");
}

}  // namespace

std::shared_ptr<SafetensorsFile> SafetensorsFile::Open(SafetensorsTable table) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile(std::move(table)));
  file->Map();
  for (const SafetensorsEntry& entry : file->entries()) file->Check(entry);
  return file;
}

void SafetensorsFile::Map() {
  const std::string& path = table_.path;
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.value() < 0) FailOpen(path, errno);
  struct stat status = {};
  if (::fstat(descriptor.value(), &status) != 0) FailOpen(path, errno);
  if (!S_ISREG(status.st_mode)) FailOpen(path, EISDIR);
  if (status.st_size != table_.size || table_.size == 0) {
    throw Sam3Error(ErrorCode::kFileInvalid, path + " has changed while it was read: it had " +
                                                 std::to_string(table_.size) + " bytes and has " +
                                                 std::to_string(status.st_size) + ".");
  }
  void* mapping =
      ::mmap(nullptr, static_cast<size_t>(table_.size), PROT_READ, MAP_PRIVATE, descriptor.value(), 0);
  if (mapping == MAP_FAILED) FailOpen(path, errno);
  bytes_ = static_cast<char*>(mapping);
}

void SafetensorsFile::Check(const SafetensorsEntry& entry) const {
  const auto fail = [&](const std::string& what) {
    throw Sam3Error(ErrorCode::kFileInvalid, table_.path + " is not a valid safetensors file: weight \"" +
                                                 entry.name + "\": " + what + ".");
  };
  uint64_t bytes = c10::elementSize(entry.dtype);
  // Strides overflow with the other dimensions where one is 0.
  uint64_t stride = bytes;
  bool overflows = false;
  for (const int64_t size : entry.shape) {
    if (size < 0) fail("its shape is negative");
    bytes *= static_cast<uint64_t>(size);
    overflows |= c10::mul_overflows(stride, static_cast<uint64_t>(std::max<int64_t>(size, 1)), &stride);
  }
  if (overflows || stride > static_cast<uint64_t>(INT64_MAX)) fail("its shape overflows");
  if (entry.begin < 0 || entry.end < entry.begin || entry.end > table_.size) {
    fail("bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) +
         " lie outside the file's " + std::to_string(table_.size));
  }
  if (static_cast<uint64_t>(entry.end - entry.begin) != bytes) {
    fail("it has " + std::to_string(entry.end - entry.begin) + " bytes, its shape needs " +
         std::to_string(bytes));
  }
}

SafetensorsFile::~SafetensorsFile() {
  if (bytes_ != nullptr) ::munmap(bytes_, static_cast<size_t>(table_.size));
}

at::Tensor SafetensorsFile::Tensor(const SafetensorsEntry& entry) const {
  const auto options = at::TensorOptions().dtype(entry.dtype);
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  // from_blob wants a mutable pointer; nothing writes to weights, and the mapping would refuse it.
  char* const start = bytes_ + entry.begin;
  if (reinterpret_cast<uintptr_t>(start) % c10::elementSize(entry.dtype) != 0) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.data_ptr(), start, static_cast<size_t>(entry.end - entry.begin));
    return copy;
  }
  auto keeper = shared_from_this();
  return at::from_blob(start, entry.shape, [keeper](void*) {}, options);
}

bool SafetensorsFile::Maps(const at::Tensor& tensor) const {
  if (!tensor.is_cpu()) return false;
  const uintptr_t offset =
      reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) - reinterpret_cast<uintptr_t>(bytes_);
  return tensor.numel() > 0 && offset < static_cast<uintptr_t>(table_.size);
}

void SafetensorsFile::Release(const SafetensorsEntry& entry) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t start = reinterpret_cast<uintptr_t>(bytes_);
  // Whole pages only: the neighbours' may be in use. Advice that is not taken changes no result.
  const uintptr_t begin = (start + static_cast<uintptr_t>(entry.begin) + page - 1) / page * page;
  const uintptr_t end = (start + static_cast<uintptr_t>(entry.end)) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace sam3_tracker
