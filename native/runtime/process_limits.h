// What the system lets this process have: memory and processors, by the machine and by its cgroups (version 1
// and 2). Unknown, and so unlimited, where there is no /proc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace sam3_tracker {

struct FreeMemory {
  std::uint64_t bytes;
  // Who says so, for messages: "the system" or "the cgroup (limit 2.0 GiB)".
  std::string owner;
};

// Bytes that can be written to before the kernel has to end a process: the least of what the machine and each
// cgroup above this process have, with the cache of files, which gives way, and swap. `root` is where /proc
// and /sys are.
std::optional<FreeMemory> GetFreeMemory(const std::filesystem::path& root = "/");

// Throws OUT_OF_MEMORY with both figures where a tensor of `bytes` is certain to be more than the system can
// give; `kept` bytes of this process can be given back for it.
void CheckFreeMemory(std::uint64_t bytes, std::uint64_t kept, const std::filesystem::path& root = "/");

// The processors' time that this process may use at once, rounded up to whole ones and at least 1: the least
// of its affinity and the quotas of its cgroups.
int UsableProcessors(const std::filesystem::path& root = "/");

}  // namespace sam3_tracker
