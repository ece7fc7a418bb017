// The safetensors parser against good headers, each kind of bad one, and random mutations of a good file. Run
// it under AddressSanitizer (SAM3_TRACKER_SANITIZE) to see over-reads. Usage: safetensors_test [mutations]
// [seed]
#include "checkpoint/safetensors_file.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "checkpoint/safetensors_writer.h"
#include "checkpoint/weight_names.h"
#include "runtime/error.h"

namespace {

using sam3_tracker::ParseSafetensorsHeader;
using sam3_tracker::SafetensorsFile;

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

void CheckRefused(const std::string& header, uint64_t bytes, const std::string& expected) {
  const std::string message = ErrorOf([&] { ParseSafetensorsHeader(header, bytes); });
  Check(message.find(expected) != std::string::npos,
        "header " + header + ": expected \"" + expected + "\", got \"" + message + "\"");
}

const char kGood[] =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},)"
    R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"e":{"shape":[0,3],"data_offsets":[12,12],"dtype":"I64"}})";

void TestHeaders() {
  const auto entries = ParseSafetensorsHeader(kGood, 12);
  Check(entries.size() == 3 && entries[0].name == "a" && entries[1].name == "b" && entries[2].name == "e",
        "entries come in the order of their data");
  Check(entries[0].shape == std::vector<int64_t>({1, 2}) && entries[1].begin == 8 && entries[1].end == 12,
        "shapes and offsets are read");
  Check(ParseSafetensorsHeader("{}  ", 0).empty(), "an empty header with trailing spaces is valid");
  Check(ParseSafetensorsHeader(R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}})", 4).at(0).dtype ==
            "F4",
        "a dtype of another part of the checkpoint is left to it");
  Check(
      ParseSafetensorsHeader(R"({"\u00e9\ud83d\ude00\n":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1)
              .at(0)
              .name == "\xc3\xa9\xf0\x9f\x98\x80\n",
      "escapes in names are read");

  CheckRefused("", 0, "expected '{'");
  CheckRefused("{", 0, "expected '\"'");
  CheckRefused("[]", 0, "expected '{'");
  CheckRefused("{} x", 0, "unexpected text");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})", 4, "expected '}'");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "lie outside");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 8, "lie outside");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 8, "whole number");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole number");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "whole number");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 4,
               "lie outside");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}})", 4, "64 bits");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", 4,
               "huge dimension");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4,
               "overflows");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "its shape needs 8");
  CheckRefused(R"({"a":{"dtype":"F31","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4,
               "overflows");
  CheckRefused(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,5]}})", 4, "lie outside");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "two numbers");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1]}})", 4, "all needed");
  CheckRefused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "stands twice");
  CheckRefused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, "unknown field");
  CheckRefused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
      2, "twice");
  CheckRefused(
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
      3, "overlaps");
  CheckRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "gap");
  CheckRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, "end at byte 1 of 2");
  CheckRefused(R"({"a)", 0, "without an end");
  CheckRefused(R"({"a\)", 0, "without an end");
  CheckRefused(R"({"\u12)", 0, "short \\u");
  CheckRefused(R"({"\ud800":{}})", 0, "surrogate");
  CheckRefused(R"({"\q":{}})", 0, "unknown escape");
  CheckRefused(std::string("{\"") + '\n' + "\":{}}", 0, "control character");
}

void TestWeightNames() {
  const auto name = [](const char* in_file) {
    return sam3_tracker::TrackerWeightName(in_file).value_or("(foreign)");
  };
  const std::string plain = "vision_encoder.backbone.layer_norm.weight";
  Check(name("vision_encoder.backbone.layer_norm.weight") == plain, "the plain spelling");
  Check(name("detector_model.vision_encoder.backbone.layer_norm.weight") == plain, "the hub's spelling");
  Check(name("tracker_model.detector_model.vision_encoder.backbone.layer_norm.weight") == plain,
        "save_pretrained's");
  Check(name("tracker_neck.fpn_layers.0.proj1.bias") == "vision_encoder.neck.fpn_layers.0.proj1.bias",
        "the neck");
  Check(name("tracker_model.tracker_neck.fpn_layers.0.proj1.bias") ==
            "vision_encoder.neck.fpn_layers.0.proj1.bias",
        "save_pretrained's neck");
  Check(name("tracker_model.mask_decoder.iou_token.weight") == "mask_decoder.iou_token.weight", "the prefix");
  Check(name("detector_model.vision_encoder.neck.fpn_layers.0.proj1.bias") == "(foreign)",
        "the detector's own neck");
  Check(name("detector_model.text_encoder.x") == "(foreign)", "the detector");
  Check(name("tracker_model.memory_attention.layers.0.x") == "(foreign)", "the memory");
}

void Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string GoodHeader() {
  std::string header = kGood;
  while (header.size() % 8 != 0) header.push_back(' ');
  return header;
}

std::string GoodFile() {
  const std::string header = GoodHeader();
  uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof(size));
  return file + header + std::string(12, '\1');
}

// One to four random edits.
std::string Mutated(std::string bytes, std::mt19937& random) {
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int edit = 0; edit < edits && !bytes.empty(); ++edit) {
    const size_t at = random() % bytes.size();
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, 1 + random() % 9);
        break;
      case 2:
        bytes.insert(at, 1 + random() % 9, static_cast<char>(random()));
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(random() % bytes.size(), bytes.substr(at, random() % 40));
        break;
      default:
        bytes[at] = "{}[]\",:0123456789\\eE.-"[random() % 22];
    }
  }
  return bytes;
}

// Whatever the text, it is read or refused with an error. It lies in memory of exactly its size, so that
// AddressSanitizer sees the first byte that is read behind its end.
void TestMutatedHeaders(int count, unsigned seed) {
  const std::string good = GoodHeader();
  std::mt19937 random(seed);
  int accepted = 0;
  for (int i = 0; i < count; ++i) {
    const std::string text = Mutated(good, random);
    const auto exact = std::make_unique<char[]>(text.size());
    std::copy(text.begin(), text.end(), exact.get());
    try {
      ParseSafetensorsHeader(std::string_view(exact.get(), text.size()), 12);
      ++accepted;
    } catch (const std::runtime_error& error) {
      Check(error.what()[0] != '\0', "an error says what is wrong");
    }
  }
  std::printf("%d mutated headers: %d still valid, %d refused\n", count, accepted, count - accepted);
}

// Whatever the bytes, the file is read or refused with an error; a file that is read gives its tensors.
void TestMutatedFiles(int count, unsigned seed) {
  const auto folder = std::filesystem::temp_directory_path() / ("safetensors_test_" + std::to_string(seed));
  std::filesystem::create_directories(folder);
  const auto path = folder / "weights.safetensors";
  const std::string good = GoodFile();
  Write(path, good);
  Check(SafetensorsFile::Open(path.string())->entries().size() == 3, "the file before its mutation is valid");
  std::mt19937 random(seed);
  int accepted = 0;
  for (int i = 0; i < count; ++i) {
    Write(path, Mutated(good, random));
    try {
      const auto file = SafetensorsFile::Open(path.string());
      for (const auto& entry : file->entries()) file->Tensor(entry).clone();
      ++accepted;
    } catch (const sam3_tracker::Sam3Error& error) {
      Check(error.what()[0] != '\0', "an error says what is wrong");
    }
  }
  std::filesystem::remove_all(folder);
  std::printf("%d mutated files: %d still valid, %d refused\n", count, accepted, count - accepted);
}

void TestWriter() {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("sam3-tracker-writer-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "written.safetensors").string();
  const std::map<std::string, at::Tensor> tensors = {
      {"b.transposed", at::arange(12, at::kFloat).reshape({3, 4}).t()},
      {"a.half", at::arange(3, at::kFloat).to(at::kBFloat16)},
      {"c.scalar", at::full({}, 7, at::kLong)},
      {"d.none", at::empty({0, 2}, at::kFloat)},
  };
  sam3_tracker::WriteSafetensors(path, tensors);
  const auto file = SafetensorsFile::Open(path);
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
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  TestHeaders();
  TestWeightNames();
  TestWriter();
  const int count = argc > 1 ? std::atoi(argv[1]) : 5000;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  TestMutatedHeaders(count, seed);
  TestMutatedFiles(count, seed);
  std::printf("%s\n", failures == 0 ? "safetensors: all passed" : "safetensors: FAILED");
  return failures == 0 ? 0 : 1;
}
