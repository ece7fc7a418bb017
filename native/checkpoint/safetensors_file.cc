#include "checkpoint/safetensors_file.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "runtime/dtype.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// The format's own limit on a header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

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

std::shared_ptr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile(path));
  try {
    file->Map();
  } catch (const Sam3Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw Sam3Error(ErrorCode::kFileInvalid,
                    path + " is not a valid safetensors file: " + error.what() + ".");
  }
  return file;
}

void SafetensorsFile::Map() {
  const FileDescriptor descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.value() < 0) FailOpen(path_, errno);
  struct stat status = {};
  if (::fstat(descriptor.value(), &status) != 0) FailOpen(path_, errno);
  if (!S_ISREG(status.st_mode)) FailOpen(path_, EISDIR);
  const uint64_t file_bytes = static_cast<uint64_t>(status.st_size);
  uint64_t header_bytes = 0;
  if (file_bytes < sizeof(header_bytes))
    throw std::runtime_error("it has only " + std::to_string(file_bytes) + " bytes");
  void* mapping = ::mmap(nullptr, file_bytes, PROT_READ, MAP_PRIVATE, descriptor.value(), 0);
  if (mapping == MAP_FAILED) FailOpen(path_, errno);
  mapping_ = mapping;
  mapped_bytes_ = file_bytes;
  const char* bytes = static_cast<const char*>(mapping);
  // Little-endian in the file, as on every platform this package builds for.
  std::memcpy(&header_bytes, bytes, sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_bytes - sizeof(header_bytes)) {
    throw std::runtime_error("its header claims " + std::to_string(header_bytes) + " bytes of a file of " +
                             std::to_string(file_bytes));
  }
  data_ = bytes + sizeof(header_bytes) + header_bytes;
  entries_ = ParseSafetensorsHeader(std::string_view(bytes + sizeof(header_bytes), header_bytes),
                                    file_bytes - sizeof(header_bytes) - header_bytes);
}

SafetensorsFile::~SafetensorsFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_bytes_);
}

void SafetensorsFile::CheckDType(const SafetensorsEntry& entry) const {
  if (FindSafetensorsDType(entry.dtype) != nullptr) return;
  throw Sam3Error(ErrorCode::kFileInvalid, "The weight " + entry.name + " in " + path_ + " has the dtype " +
                                               entry.dtype +
                                               ", which cannot be read here: save it as F32, F16 or BF16.");
}

at::Tensor SafetensorsFile::Tensor(const SafetensorsEntry& entry) const {
  CheckDType(entry);
  const DTypeEntry& dtype = *FindSafetensorsDType(entry.dtype);
  const auto options = at::TensorOptions().dtype(dtype.scalar_type);
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  // from_blob wants a mutable pointer; nothing writes to weights, and the mapping would refuse it.
  char* start = const_cast<char*>(data_ + entry.begin);
  if (reinterpret_cast<uintptr_t>(start) % dtype.bytes != 0) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.data_ptr(), start, entry.end - entry.begin);
    return copy;
  }
  auto keeper = shared_from_this();
  return at::from_blob(start, entry.shape, [keeper](void*) {}, options);
}

bool SafetensorsFile::Maps(const at::Tensor& tensor) const {
  if (!tensor.is_cpu()) return false;
  const uintptr_t offset =
      reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) - reinterpret_cast<uintptr_t>(mapping_);
  return tensor.numel() > 0 && offset < mapped_bytes_;
}

void SafetensorsFile::Release(const SafetensorsEntry& entry) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t data = reinterpret_cast<uintptr_t>(data_);
  // Whole pages only: the neighbours' may be in use. Advice that is not taken changes no result.
  const uintptr_t begin = (data + entry.begin + page - 1) / page * page;
  const uintptr_t end = (data + entry.end) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace sam3_tracker
