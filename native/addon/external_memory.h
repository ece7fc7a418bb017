// What V8 is told of the memory that tensors keep alive.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <unordered_map>

namespace sam3_tracker {

// Reports each storage to V8 once, however many handles of an environment share it. Every click returns the
// image embeddings that it was given: reported each time, they made V8 collect garbage after every third
// click, which took a core from the decoder. JS thread only.
class ExternalMemory {
 public:
  // A handle begins, and ends, to keep the tensor alive; it still does while Remove is called.
  void Add(Napi::Env env, const at::Tensor& tensor);
  void Remove(Napi::Env env, const at::Tensor& tensor);

 private:
  struct Reported {
    int64_t bytes = 0;
    int64_t handles = 0;
  };

  std::unordered_map<const c10::StorageImpl*, Reported> storages_;
};

}  // namespace sam3_tracker
