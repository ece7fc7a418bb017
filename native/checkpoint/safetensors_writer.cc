#include "checkpoint/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "runtime/dtype.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// Of libtorch's CPU memory, in bytes.
constexpr size_t kAlignment = 64;

class OutputFile {
 public:
  explicit OutputFile(const std::string& path)
      : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) Fail();
  }
  ~OutputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void Write(const void* data, size_t bytes) {
    const char* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t written = ::write(descriptor_, next, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) Fail();
      next += written;
      bytes -= static_cast<size_t>(written);
    }
  }

  // What a full disk or a broken network file system has to say may come only here.
  void Finish() {
    if (::fsync(descriptor_) != 0) Fail();
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) Fail();
  }

 private:
  [[noreturn]] void Fail() const {
    const int error = errno;
    throw Sam3Error(ErrorCode::kFileNotWritten, path_ + " cannot be written: " + std::strerror(error) + ".");
  }

  std::string path_;
  int descriptor_;
};

// Names come from a graph, whose attributes are identifiers; anything else would need escaping.
void CheckName(const std::string& name, const std::string& path) {
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') {
      throw Sam3Error(ErrorCode::kFileNotWritten,
                      path + " cannot be written: a weight has the name " + name + ".");
    }
  }
}

}  // namespace

void WriteSafetensors(const std::string& path, const std::map<std::string, at::Tensor>& by_name) {
  // Whole blocks first, so that as many weights as possible begin where libtorch's own allocator would put
  // them: what is mapped from the file then rounds as what was saved did.
  std::vector<std::pair<std::string, at::Tensor>> tensors(by_name.begin(), by_name.end());
  std::stable_partition(tensors.begin(), tensors.end(),
                        [](const auto& entry) { return entry.second.nbytes() % kAlignment == 0; });
  std::ostringstream text;
  // transformers refuses a file whose metadata does not name the format.
  text << R"({"__metadata__":{"format":"pt"})";
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    CheckName(name, path);
    const size_t end = offset + tensor.nbytes();
    text << ",\"" << name << R"(":{"dtype":")" << DTypeFromScalarType(tensor.scalar_type()).safetensors_name
         << R"(","shape":[)";
    const c10::IntArrayRef shape = tensor.sizes();
    for (size_t i = 0; i < shape.size(); ++i) text << (i == 0 ? "" : ",") << shape[i];
    text << R"(],"data_offsets":[)" << offset << ',' << end << "]}";
    offset = end;
  }
  text << '}';
  std::string header = text.str();
  // The length of the header lies before it.
  constexpr size_t kLengthBytes = sizeof(uint64_t);
  const size_t data_start = (kLengthBytes + header.size() + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(data_start - kLengthBytes, ' ');
  const uint64_t header_bytes = header.size();

  OutputFile file(path);
  file.Write(&header_bytes, sizeof(header_bytes));
  file.Write(header.data(), header.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.cpu().contiguous();
    file.Write(plain.const_data_ptr(), plain.nbytes());
  }
  file.Finish();
}

}  // namespace sam3_tracker
