#include "addon/external_memory.h"

namespace sam3_tracker {

void ExternalMemory::Add(Napi::Env env, const at::Tensor& tensor) {
  Reported& reported = storages_[tensor.storage().unsafeGetStorageImpl()];
  if (reported.handles++ > 0) return;
  reported.bytes = static_cast<int64_t>(tensor.storage().nbytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, reported.bytes);
}

void ExternalMemory::Remove(Napi::Env env, const at::Tensor& tensor) {
  const auto found = storages_.find(tensor.storage().unsafeGetStorageImpl());
  if (found == storages_.end() || --found->second.handles > 0) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -found->second.bytes);
  storages_.erase(found);
}

}  // namespace sam3_tracker
