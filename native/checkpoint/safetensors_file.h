// A safetensors file mapped into memory: its weights are tensors over the mapping, shared between processes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/safetensors_header.h"

namespace sam3_tracker {

class SafetensorsFile : public std::enable_shared_from_this<SafetensorsFile> {
 public:
  // Maps the file and checks its header. Throws Sam3Error: kFileNotFound, kFileInvalid.
  static std::shared_ptr<SafetensorsFile> Open(const std::string& path);
  ~SafetensorsFile();

  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }

  // Throws Sam3Error kFileInvalid, which names the weight, where this package has no such dtype.
  void CheckDType(const SafetensorsEntry& entry) const;

  // A CPU tensor over the mapped bytes, which it keeps mapped; read only. A copy only where the bytes are not
  // aligned. Throws as CheckDType.
  at::Tensor Tensor(const SafetensorsEntry& entry) const;

  // Whether a tensor of the CPU lies in the mapping.
  bool Maps(const at::Tensor& tensor) const;

  // Lets go of the memory in which this process has the entry's pages mapped; they stay in the system's cache
  // and come back when they are read again.
  void Release(const SafetensorsEntry& entry) const;

 private:
  explicit SafetensorsFile(std::string path) : path_(std::move(path)) {}
  void Map();

  std::string path_;
  void* mapping_ = nullptr;
  size_t mapped_bytes_ = 0;
  const char* data_ = nullptr;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace sam3_tracker
