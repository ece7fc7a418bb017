// A safetensors file mapped into memory: its weights are tensors over the mapping, shared between processes.
// lib/checkpoint/safetensors.ts reads the header; what it says is checked here against the file.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sam3_tracker {

struct SafetensorsEntry {
  // The tracker's plain name.
  std::string name;
  c10::ScalarType dtype;
  std::vector<int64_t> shape;
  // Bytes from the start of the file; the end is excluded.
  int64_t begin = 0;
  int64_t end = 0;
};

// What the header of a file says of the weights that are wanted from it.
struct SafetensorsTable {
  std::string path;
  // Bytes of the file when its header was read.
  int64_t size = 0;
  std::vector<SafetensorsEntry> entries;
};

class SafetensorsFile : public std::enable_shared_from_this<SafetensorsFile> {
 public:
  // Maps the file and checks that it has the table's size, and that each entry lies in it and is as long as
  // its shape and dtype say. Throws Sam3Error: kFileNotFound, kFileInvalid.
  static std::shared_ptr<SafetensorsFile> Open(SafetensorsTable table);
  ~SafetensorsFile();

  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::vector<SafetensorsEntry>& entries() const { return table_.entries; }

  // A CPU tensor over the mapped bytes, which it keeps mapped; read only. A copy only where the bytes are not
  // aligned.
  at::Tensor Tensor(const SafetensorsEntry& entry) const;

  // Whether a tensor of the CPU lies in the mapping.
  bool Maps(const at::Tensor& tensor) const;

  // Lets go of the memory in which this process has the entry's pages mapped; they stay in the system's cache
  // and come back when they are read again.
  void Release(const SafetensorsEntry& entry) const;

 private:
  explicit SafetensorsFile(SafetensorsTable table) : table_(std::move(table)) {}
  void Map();
  void Check(const SafetensorsEntry& entry) const;

  SafetensorsTable table_;
  char* bytes_ = nullptr;
};

}  // namespace sam3_tracker
