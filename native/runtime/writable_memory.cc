#include "runtime/writable_memory.h"

#include <mutex>
#include <unordered_map>

namespace sam3_tracker {
namespace {

using WeakStorage = c10::weak_intrusive_ptr<c10::StorageImpl>;

// Weak references keep the addresses from being given to other storages.
struct WritableStorages {
  std::mutex mutex;
  std::unordered_map<const c10::StorageImpl*, WeakStorage> storages;
  // Storages that are gone are left out when the map has grown to this.
  size_t next_cleaning = 64;
};

WritableStorages& Writable() {
  static WritableStorages writable;
  return writable;
}

}  // namespace

void MarkWritable(const at::Tensor& tensor) {
  WritableStorages& writable = Writable();
  const std::lock_guard<std::mutex> lock(writable.mutex);
  writable.storages.emplace(tensor.storage().unsafeGetStorageImpl(), tensor.storage().getWeakStorageImpl());
  if (writable.storages.size() < writable.next_cleaning) return;
  std::erase_if(writable.storages, [](const auto& storage) { return storage.second.expired(); });
  writable.next_cleaning = 2 * writable.storages.size() + 64;
}

bool IsWritable(const at::Tensor& tensor) {
  WritableStorages& writable = Writable();
  const std::lock_guard<std::mutex> lock(writable.mutex);
  return writable.storages.count(tensor.storage().unsafeGetStorageImpl()) > 0;
}

}  // namespace sam3_tracker
