#include "runtime/process_limits.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "runtime/error.h"

namespace sam3_tracker {
namespace {

namespace fs = std::filesystem;

// The first number of a file; nothing where it says "max", or is not there.
std::optional<double> ReadNumber(const fs::path& file) {
  std::ifstream stream(file);
  double value = 0;
  return stream >> value ? std::optional(value) : std::nullopt;
}

// The sum of named numbers of a file of lines "name number" or "name: number unit".
std::optional<double> ReadSum(const fs::path& file, const std::vector<std::string>& names) {
  std::ifstream stream(file);
  std::optional<double> sum;
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    std::string name;
    double value = 0;
    if (fields >> name >> value && std::find(names.begin(), names.end(), name) != names.end())
      sum = sum.value_or(0) + value;
  }
  return sum;
}

// A process' own cgroup of a controller, and those above it, as folders; `is_v2` tells which version's files
// they have.
struct Cgroups {
  bool is_v2 = false;
  std::vector<fs::path> folders;
};

Cgroups FindCgroups(const fs::path& root, const std::string& controller) {
  Cgroups found;
  const fs::path mounted = root / "sys/fs/cgroup";
  std::ifstream stream(root / "proc/self/cgroup");
  for (std::string line; std::getline(stream, line);) {
    // "4:memory:/path", or "0::/path" for version 2.
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    // Appended: of "," + a temporary GCC 12 warns that it overlaps itself.
    std::string controllers = ",";
    controllers += line.substr(first + 1, second - first - 1) + ",";
    const bool is_v2 = controllers == ",,";
    if (!is_v2 && controllers.find("," + controller + ",") == std::string::npos) continue;
    // A controller is on one of the two.
    if (is_v2 && !found.folders.empty()) continue;
    found = {.is_v2 = is_v2, .folders = {}};
    const fs::path top = is_v2 ? mounted : mounted / controller;
    fs::path folder = fs::path(line.substr(second + 1)).lexically_normal().relative_path();
    // A container may see its own cgroup as the top, under a path of the machine: then the folders below are
    // missing.
    for (; !folder.empty(); folder = folder.parent_path()) found.folders.push_back(top / folder);
    found.folders.push_back(top);
  }
  return found;
}

std::string GiB(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", bytes / (std::uint64_t{1} << 30));
  return text;
}

struct CgroupMemory {
  double limit;
  double used;
  double swap;
};

std::optional<CgroupMemory> ReadMemory(const fs::path& folder, bool is_v2) {
  const auto limit = ReadNumber(folder / (is_v2 ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = ReadNumber(folder / (is_v2 ? "memory.current" : "memory.usage_in_bytes"));
  // Version 1 says 2^63 less a page for none.
  if (!limit || !used || *limit >= std::ldexp(1, 62)) return std::nullopt;
  const std::string total = is_v2 ? "" : "total_";
  const double cache =
      ReadSum(folder / "memory.stat", {total + "inactive_file", total + "active_file"}).value_or(0);
  double swap = 0;
  if (is_v2) {
    const auto most = ReadNumber(folder / "memory.swap.max");
    // "max", or no controller of swap: as much as the machine has.
    swap = most ? *most - ReadNumber(folder / "memory.swap.current").value_or(0) : HUGE_VAL;
  } else {
    const auto both = ReadNumber(folder / "memory.memsw.limit_in_bytes");
    swap = both && *both < std::ldexp(1, 62) ? *both - *limit : HUGE_VAL;
  }
  return CgroupMemory{.limit = *limit, .used = *used - cache, .swap = swap};
}

}  // namespace

std::optional<FreeMemory> GetFreeMemory(const fs::path& root) {
  const fs::path meminfo = root / "proc/meminfo";
  const auto available = ReadSum(meminfo, {"MemAvailable:"});
  if (!available) return std::nullopt;
  const double swap = ReadSum(meminfo, {"SwapFree:"}).value_or(0) * 1024;
  double least = *available * 1024 + swap;
  std::string owner = "the system";
  const Cgroups cgroups = FindCgroups(root, "memory");
  for (const fs::path& folder : cgroups.folders) {
    const auto memory = ReadMemory(folder, cgroups.is_v2);
    if (!memory) continue;
    const double left = memory->limit - memory->used + std::min(std::max(memory->swap, 0.0), swap);
    if (left >= least) continue;
    least = left;
    owner = "the cgroup (limit " + GiB(memory->limit) + ")";
  }
  return FreeMemory{.bytes = static_cast<std::uint64_t>(std::max(least, 0.0)), .owner = owner};
}

void CheckFreeMemory(std::uint64_t bytes, std::uint64_t kept, const fs::path& root) {
  const auto free = GetFreeMemory(root);
  if (!free || bytes <= free->bytes + kept) return;
  // The words "out of memory" are looked for in errors that come through TorchScript.
  throw Sam3Error(ErrorCode::kOutOfMemory,
                  "This call would run out of memory: a tensor of " + GiB(static_cast<double>(bytes)) +
                      " is more than the " + GiB(static_cast<double>(free->bytes + kept)) + " that " +
                      free->owner + " has free. Ask for fewer objects, masks or pixels at once.");
}

int UsableProcessors(const fs::path& root) {
  double count = std::max(1U, std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
#endif
  const Cgroups cgroups = FindCgroups(root, "cpu");
  for (const fs::path& folder : cgroups.folders) {
    double quota = 0;
    double period = 0;
    if (cgroups.is_v2) {
      // "50000 100000", or "max 100000".
      std::ifstream stream(folder / "cpu.max");
      if (!(stream >> quota >> period)) continue;
    } else {
      quota = ReadNumber(folder / "cpu.cfs_quota_us").value_or(-1);
      period = ReadNumber(folder / "cpu.cfs_period_us").value_or(0);
    }
    if (quota > 0 && period > 0) count = std::min(count, std::ceil(quota / period));
  }
  return std::max(1, static_cast<int>(count));
}

}  // namespace sam3_tracker
