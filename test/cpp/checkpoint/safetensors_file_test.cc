// Tables that lie about a file, and random ones, against a good file; and the writer. Run it under
// AddressSanitizer (SAM3_TRACKER_SANITIZE) to see over-reads. Usage: safetensors_file_test [random tables]
// [seed]
#include "checkpoint/safetensors_file.h"

#include <ATen/Functions.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "../support/safetensors_table.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/weight_store.h"
#include "runtime/error.h"

namespace {

using sam3_tracker::ErrorCode;
using sam3_tracker::ReadTable;
using sam3_tracker::SafetensorsEntry;
using sam3_tracker::SafetensorsFile;
using sam3_tracker::SafetensorsTable;
using sam3_tracker::Sam3Error;

constexpr int64_t kFileBytes = 64;

int failures = 0;

void Check(bool ok, const std::string& what) {
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

// The message of the error that `run` throws; empty where it throws none.
std::string ErrorOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// A file whose bytes are 0, 1, 2 and so on.
std::string CountingFile(const std::filesystem::path& folder) {
  const std::string path = (folder / "counting.safetensors").string();
  std::string bytes(kFileBytes, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  std::ofstream(path, std::ios::binary).write(bytes.data(), kFileBytes);
  return path;
}

void TestTables(const std::string& path) {
  const SafetensorsEntry good{"a", c10::kInt, {2, 3}, 8, 32};
  const auto file = SafetensorsFile::Open({path, kFileBytes, {good}});
  const at::Tensor mapped = file->Tensor(good);
  Check(file->Maps(mapped) && mapped.sizes() == at::IntArrayRef({2, 3}) &&
            mapped.scalar_type() == c10::kInt && mapped.flatten()[0].item<int>() == 0x0b0a0908,
        "an aligned weight is a tensor over the mapping");
  SafetensorsEntry odd = good;
  odd.begin += 1;
  odd.end += 1;
  const at::Tensor copied = SafetensorsFile::Open({path, kFileBytes, {odd}})->Tensor(odd);
  Check(!file->Maps(copied) && copied.flatten()[5].item<int>() == 0x201f1e1d,
        "a weight that is not aligned is copied");

  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  struct Refusal {
    SafetensorsEntry entry;
    const char* expected;
  };
  const std::vector<Refusal> refusals = {
      {{"a", c10::kByte, {4}, 4, 0}, "lie outside"},
      {{"a", c10::kByte, {4}, -4, 0}, "lie outside"},
      {{"a", c10::kByte, {4}, kLeast, kMost}, "lie outside"},
      {{"a", c10::kByte, {4}, 61, 65}, "lie outside"},
      {{"a", c10::kByte, {0}, 65, 65}, "lie outside"},
      {{"a", c10::kByte, {kMost}, 0, kMost}, "lie outside"},
      {{"a", c10::kFloat, {4}, 0, 4}, "has 4 bytes, its shape needs 16"},
      {{"a", c10::kHalf, {4}, 0, 16}, "has 16 bytes, its shape needs 8"},
      {{"a", c10::kByte, {}, 0, 0}, "its shape needs 1"},
      {{"a", c10::kByte, {-1}, 0, 1}, "negative"},
      {{"a", c10::kByte, {-1, -1}, 0, 1}, "negative"},
      {{"a", c10::kByte, {kLeast}, 0, 1}, "negative"},
      {{"a", c10::kFloat, {int64_t{1} << 62}, 0, 0}, "overflows"},
      {{"a", c10::kByte, {int64_t{1} << 32, int64_t{1} << 32}, 0, 0}, "overflows"},
      {{"a", c10::kByte, {0, kMost, kMost}, 0, 0}, "overflows"},
      {{"a", c10::kByte, {2, kMost}, 0, 2}, "overflows"},
  };
  for (const auto& [entry, expected] : refusals) {
    const std::string message = ErrorOf([&] { SafetensorsFile::Open({path, kFileBytes, {good, entry}}); });
    Check(message.find(expected) != std::string::npos,
          std::string("expected \"") + expected + "\", got \"" + message + "\"");
  }
  const auto refused = [](const SafetensorsTable& table) {
    return ErrorOf([&] { SafetensorsFile::Open(table); });
  };
  Check(refused({path, kFileBytes + 1, {}}).find("has changed") != std::string::npos, "another size");
  Check(refused({path, 0, {}}).find("has changed") != std::string::npos, "no size");
  Check(refused({path + ".none", kFileBytes, {}}).find("No such file") != std::string::npos, "no file");
  Check(refused({std::filesystem::path(path).parent_path().string(), kFileBytes, {}}).find("directory") !=
            std::string::npos,
        "a folder");
  Check(ErrorOf([&] {
          const SafetensorsTable table{path, kFileBytes, {good}};
          sam3_tracker::WeightStore({table, table}, c10::Device(c10::kCPU), c10::kFloat);
        }).find("twice") != std::string::npos,
        "a weight that stands twice");
}

// Whatever a table says, it is refused with an error, or its weights can be read to their last byte.
void TestRandomTables(const std::string& path, int count, unsigned seed) {
  std::mt19937_64 random(seed);
  const auto number = [&]() -> int64_t {
    if (random() % 8 == 0) return static_cast<int64_t>(random());
    return static_cast<int64_t>(random() % (kFileBytes + 8)) - 4;
  };
  const std::vector<c10::ScalarType> dtypes = {c10::kByte, c10::kHalf, c10::kFloat, c10::kDouble, c10::kBool};
  int accepted = 0;
  for (int i = 0; i < count; ++i) {
    SafetensorsEntry entry{"a", dtypes[random() % dtypes.size()], {}, number(), 0};
    const size_t dims = random() % 4;
    while (entry.shape.size() < dims) entry.shape.push_back(random() % 3 == 0 ? number() : random() % 5);
    int64_t bytes = static_cast<int64_t>(c10::elementSize(entry.dtype));
    for (const int64_t size : entry.shape) bytes = static_cast<int64_t>(static_cast<uint64_t>(bytes) * size);
    // Mostly what the shape needs, so that other checks decide.
    entry.end =
        random() % 4 == 0 ? number() : static_cast<int64_t>(static_cast<uint64_t>(entry.begin) + bytes);
    try {
      const auto file = SafetensorsFile::Open({path, kFileBytes, {entry}});
      const at::Tensor copy = file->Tensor(entry).clone();
      Check(static_cast<int64_t>(copy.nbytes()) == entry.end - entry.begin, "a weight has its bytes");
      file->Release(entry);
      ++accepted;
    } catch (const Sam3Error& error) {
      Check(error.code() == ErrorCode::kFileInvalid && error.what()[0] != '\0',
            "an error says what is wrong");
    }
  }
  Check(count == 0 || (accepted > 0 && accepted < count), "some random tables are right and some are not");
  std::printf("%d random tables: %d right, %d refused\n", count, accepted, count - accepted);
}

void TestWriter(const std::filesystem::path& folder) {
  const std::string path = (folder / "written.safetensors").string();
  const std::map<std::string, at::Tensor> tensors = {
      {"b.transposed", at::arange(12, at::kFloat).reshape({3, 4}).t()},
      {"a.half", at::arange(3, at::kFloat).to(at::kBFloat16)},
      {"c.scalar", at::full({}, 7, at::kLong)},
      {"d.none", at::empty({0, 2}, at::kFloat)},
  };
  sam3_tracker::WriteSafetensors(path, tensors);
  const auto file = SafetensorsFile::Open(ReadTable(path));
  Check(file->entries().size() == tensors.size(), "every tensor is written");
  for (const auto& entry : file->entries()) {
    const at::Tensor& expected = tensors.at(entry.name);
    const at::Tensor read = file->Tensor(entry);
    Check(read.sizes() == expected.sizes() && read.scalar_type() == expected.scalar_type() &&
              read.equal(expected),
          entry.name + " reads back as it was");
  }
  const auto refused = [](const std::string& where) {
    return ErrorOf([&] { sam3_tracker::WriteSafetensors(where, {{"a", at::zeros({1000})}}); });
  };
  Check(refused((folder / "missing" / "file").string()).find("No such file") != std::string::npos,
        "a folder that is missing is named");
  if (std::filesystem::exists("/dev/full")) {
    Check(refused("/dev/full").find("No space left") != std::string::npos, "a full disk is named");
  }
  Check(ErrorOf([&] { sam3_tracker::WriteSafetensors(path, {{"a\"b", at::zeros({1})}}); }) != "",
        "a name that would need escaping is refused");
}

}  // namespace

int main(int argc, char** argv) {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("sam3-tracker-safetensors-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directories(folder);
  const std::string path = CountingFile(folder);
  TestTables(path);
  TestRandomTables(path, argc > 1 ? std::atoi(argv[1]) : 5000,
                   argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);
  TestWriter(folder);
  std::filesystem::remove_all(folder);
  std::printf("%s\n", failures == 0 ? "safetensors_file: all passed" : "safetensors_file: FAILED");
  return failures == 0 ? 0 : 1;
}
