#include "addon/external_memory.h"

namespace sam3_tracker {

void ExternalMemory::Add(Napi::Env env, const at::Tensor& tensor) {
  Declared& declared = storages_[tensor.storage().unsafeGetStorageImpl()];
  if (declared.handles++ > 0) return;
  declared.bytes = static_cast<int64_t>(tensor.storage().nbytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, declared.bytes);
}

void ExternalMemory::Remove(Napi::Env env, const at::Tensor& tensor) {
  const auto found = storages_.find(tensor.storage().unsafeGetStorageImpl());
  if (found == storages_.end() || --found->second.handles > 0) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -found->second.bytes);
  storages_.erase(found);
}

}  // namespace sam3_tracker
