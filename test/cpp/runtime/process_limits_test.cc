// Memory and processors, as trees of /proc and /sys say them: without a limit, limited by the process' own
// cgroup, by one above it, by the machine, and in a container that sees its cgroup as the top.
#include "runtime/process_limits.h"

#include <ATen/Functions.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "../support/tensor_checks.h"
#include "runtime/caching_allocator.h"
#include "runtime/error.h"

namespace {

namespace fs = std::filesystem;
using sam3_tracker::Check;
using sam3_tracker::CheckFreeMemory;
using sam3_tracker::ErrorCode;
using sam3_tracker::GetFreeMemory;
using sam3_tracker::Sam3Error;
using sam3_tracker::UsableProcessors;

using Files = std::map<std::string, std::string>;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// A folder that stands for /, removed again.
class Root {
 public:
  explicit Root(const Files& files)
      : path_(fs::temp_directory_path() / ("process-limits-" + std::to_string(std::random_device{}()))) {
    for (const auto& [name, content] : files) {
      fs::create_directories((path_ / name).parent_path());
      std::ofstream(path_ / name) << content;
    }
  }
  ~Root() { fs::remove_all(path_); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// 1,000 MiB of memory, 24 of swap.
const std::string kMeminfo = "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\nSwapFree: 24576 kB\n";

struct MemoryCase {
  std::string name;
  Files files;
  std::uint64_t mib;
  std::string owner;
};

const MemoryCase kMemoryCases[] = {
    {"no cgroups", {}, 1024, "the system"},
    {"version 2 without a limit",
     {{"proc/self/cgroup", "0::/a\n"},
      {"sys/fs/cgroup/a/memory.max", "max\n"},
      {"sys/fs/cgroup/a/memory.current", "1\n"}},
     1024,
     "the system"},
    {"version 2, its own, less the cache of files, no swap",
     {{"proc/self/cgroup", "0::/a/b\n"},
      {"sys/fs/cgroup/a/b/memory.max", "536870912\n"},
      {"sys/fs/cgroup/a/b/memory.current", "524288000\n"},
      {"sys/fs/cgroup/a/b/memory.swap.max", "0\n"},
      {"sys/fs/cgroup/a/b/memory.stat",
       "anon 1\nfile 500\ninactive_file 104857600\nactive_file 104857600\n"}},
     212,
     "the cgroup (limit 0.5 GiB)"},
    {"version 2, one above it, with swap",
     {{"proc/self/cgroup", "0::/a/b\n"},
      {"sys/fs/cgroup/a/b/memory.max", "max\n"},
      {"sys/fs/cgroup/a/b/memory.current", "0\n"},
      {"sys/fs/cgroup/a/memory.max", "1073741824\n"},
      {"sys/fs/cgroup/a/memory.current", "1063256064\n"}},
     34,
     "the cgroup (limit 1.0 GiB)"},
    {"version 2, a container that sees the path of the machine",
     {{"proc/self/cgroup", "0::/docker/0123\n"},
      {"sys/fs/cgroup/memory.max", "209715200\n"},
      {"sys/fs/cgroup/memory.swap.max", "0\n"},
      {"sys/fs/cgroup/memory.current", "104857600\n"}},
     100,
     "the cgroup (limit 0.2 GiB)"},
    {"version 1",
     {{"proc/self/cgroup", "5:cpu,cpuacct:/c\n4:memory:/m\n0::/\n"},
      {"sys/fs/cgroup/memory/m/memory.limit_in_bytes", "209715200\n"},
      {"sys/fs/cgroup/memory/m/memory.memsw.limit_in_bytes", "209715200\n"},
      {"sys/fs/cgroup/memory/m/memory.usage_in_bytes", "188743680\n"},
      {"sys/fs/cgroup/memory/m/memory.stat", "inactive_file 7\ntotal_inactive_file 10485760\n"}},
     30,
     "the cgroup (limit 0.2 GiB)"},
    {"version 1 without a limit",
     {{"proc/self/cgroup", "4:memory:/m\n"},
      {"sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n"},
      {"sys/fs/cgroup/memory/m/memory.usage_in_bytes", "188743680\n"}},
     1024,
     "the system"},
    {"more in use than the limit",
     {{"proc/self/cgroup", "0::/\n"},
      {"sys/fs/cgroup/memory.max", "1048576\n"},
      {"sys/fs/cgroup/memory.swap.max", "0\n"},
      {"sys/fs/cgroup/memory.current", "2097152\n"}},
     0,
     "the cgroup (limit 0.0 GiB)"},
};

void TestMemory() {
  for (const MemoryCase& one : kMemoryCases) {
    Files files = one.files;
    files["proc/meminfo"] = kMeminfo;
    const Root root(files);
    const auto free = GetFreeMemory(root.path());
    Check(free.has_value() && free->bytes == one.mib * kMiB, one.name + ": bytes");
    Check(free.has_value() && free->owner == one.owner, one.name + ": owner");
  }
  const Root empty(Files{{"proc/other", ""}});
  Check(!GetFreeMemory(empty.path()).has_value(), "a system without /proc/meminfo says nothing");
  CheckFreeMemory(UINT64_MAX, 0, empty.path());
}

void TestRefusal() {
  const Root root(Files{{"proc/meminfo", kMeminfo}});
  CheckFreeMemory(1024 * kMiB, 0, root.path());
  CheckFreeMemory(1124 * kMiB, 100 * kMiB, root.path());
  std::string message;
  try {
    CheckFreeMemory(2048 * kMiB, 0, root.path());
  } catch (const Sam3Error& error) {
    if (error.code() == ErrorCode::kOutOfMemory) message = error.what();
  }
  Check(message.find("a tensor of 2.0 GiB is more than the 1.0 GiB that the system has free") !=
            std::string::npos,
        "a refusal has both figures");
}

// On this machine, whichever it is: a tensor of a petabyte is refused by the allocator, in and outside of a
// scope.
void TestAllocator() {
  sam3_tracker::InstallCachingAllocator();
  for (const bool is_cached : {false, true}) {
    std::optional<sam3_tracker::TensorCacheScope> scope;
    if (is_cached) scope.emplace();
    std::string message;
    try {
      at::empty({int64_t{1} << 50}, at::kByte);
    } catch (const Sam3Error& error) {
      message = error.what();
    }
    Check(message.find("a tensor of 1048576.0 GiB is more than") != std::string::npos,
          "the allocator refuses a petabyte");
    Check(at::ones({300 << 20}, at::kByte).sum().item<int64_t>() == 300 << 20, "and gives 300 MiB");
  }
}

void TestProcessors() {
  const int machine = UsableProcessors(Root(Files{{"proc/meminfo", kMeminfo}}).path());
  Check(machine >= 1, "there is a processor");
  const struct {
    std::string name;
    Files files;
    int count;
  } cases[] = {
      {"no quota", {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "max 100000\n"}}, machine},
      {"half a processor", {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "50000 100000\n"}}, 1},
      {"one and a half are two",
       {{"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/cpu.max", "150000 100000\n"}},
       std::min(machine, 2)},
      {"version 1",
       {{"proc/self/cgroup", "5:cpu,cpuacct:/c\n0::/\n"},
        {"sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "100000\n"},
        {"sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n"}},
       1},
      {"version 1 without a quota",
       {{"proc/self/cgroup", "5:cpu:/c\n"},
        {"sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n"},
        {"sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n"}},
       machine},
  };
  for (const auto& one : cases)
    Check(UsableProcessors(Root(one.files).path()) == one.count, "processors: " + one.name);
}

}  // namespace

int main() {
  TestMemory();
  TestRefusal();
  TestAllocator();
  TestProcessors();
  return sam3_tracker::ReportChecks();
}
