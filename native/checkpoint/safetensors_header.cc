#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <stdexcept>

#include "runtime/dtype.h"

namespace sam3_tracker {
namespace {

// Reads the one form of JSON that a header has: an object of objects of strings and lists of whole numbers.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(what + " at byte " + std::to_string(position_) + " of the header");
  }

  void Expect(char wanted) {
    SkipSpace();
    if (position_ >= text_.size() || text_[position_] != wanted)
      Fail(std::string("expected '") + wanted + "'");
    ++position_;
  }

  bool Accept(char wanted) {
    SkipSpace();
    if (position_ >= text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  void ExpectEnd() {
    SkipSpace();
    if (position_ != text_.size()) Fail("unexpected text");
  }

  std::string String() {
    Expect('"');
    std::string value;
    for (;;) {
      if (position_ >= text_.size()) Fail("a string without an end");
      const char c = text_[position_++];
      if (c == '"') return value;
      if (static_cast<unsigned char>(c) < 0x20) Fail("a control character in a string");
      if (c == '\\') {
        Escape(&value);
      } else {
        value.push_back(c);
      }
    }
  }

  uint64_t WholeNumber() {
    SkipSpace();
    uint64_t value = 0;
    const char* begin = text_.data() + position_;
    const char* end = text_.data() + text_.size();
    const auto parsed = std::from_chars(begin, end, value);
    if (parsed.ec != std::errc()) Fail("expected a whole number of at most 64 bits");
    position_ += static_cast<size_t>(parsed.ptr - begin);
    if (position_ < text_.size() &&
        (text_[position_] == '.' || text_[position_] == 'e' || text_[position_] == 'E')) {
      Fail("expected a whole number");
    }
    return value;
  }

  std::vector<uint64_t> WholeNumbers() {
    std::vector<uint64_t> list;
    Expect('[');
    if (Accept(']')) return list;
    do {
      list.push_back(WholeNumber());
    } while (Accept(','));
    Expect(']');
    return list;
  }

  // Calls `member` with each key of an object; it reads the value.
  template <typename Member>
  void Object(Member member) {
    Expect('{');
    if (Accept('}')) return;
    do {
      const std::string key = String();
      Expect(':');
      member(key);
    } while (Accept(','));
    Expect('}');
  }

 private:
  void SkipSpace() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' ||
                                        text_[position_] == '\n' || text_[position_] == '\r')) {
      ++position_;
    }
  }

  uint32_t HexQuad() {
    if (text_.size() - position_ < 4) Fail("a short \\u escape");
    uint32_t value = 0;
    const char* begin = text_.data() + position_;
    const auto parsed = std::from_chars(begin, begin + 4, value, 16);
    if (parsed.ec != std::errc() || parsed.ptr != begin + 4) Fail("a bad \\u escape");
    position_ += 4;
    return value;
  }

  void Escape(std::string* value) {
    if (position_ >= text_.size()) Fail("a string without an end");
    const char c = text_[position_++];
    static constexpr std::string_view kFrom = "\"\\/bfnrt";
    static constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const size_t simple = kFrom.find(c);
    if (simple != std::string_view::npos) {
      value->push_back(kTo[simple]);
      return;
    }
    if (c != 'u') Fail("an unknown escape in a string");
    uint32_t code = HexQuad();
    if (code >= 0xD800 && code < 0xDC00) {
      if (text_.substr(position_, 2) != "\\u") Fail("half a surrogate pair");
      position_ += 2;
      const uint32_t low = HexQuad();
      if (low < 0xDC00 || low > 0xDFFF) Fail("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      Fail("half a surrogate pair");
    }
    AppendUtf8(code, value);
  }

  static void AppendUtf8(uint32_t code, std::string* value) {
    if (code < 0x80) {
      value->push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      value->push_back(static_cast<char>(0xC0 | (code >> 6)));
      value->push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
      value->push_back(static_cast<char>(0xE0 | (code >> 12)));
      value->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
      value->push_back(static_cast<char>(0x80 | (code & 0x3F)));
    } else {
      value->push_back(static_cast<char>(0xF0 | (code >> 18)));
      value->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
      value->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
      value->push_back(static_cast<char>(0x80 | (code & 0x3F)));
    }
  }

  std::string_view text_;
  size_t position_ = 0;
};

[[noreturn]] void FailEntry(const std::string& name, const std::string& what) {
  throw std::runtime_error("weight \"" + name + "\": " + what);
}

SafetensorsEntry ReadEntry(HeaderReader* reader, const std::string& name) {
  SafetensorsEntry entry;
  entry.name = name;
  std::set<std::string> seen;
  reader->Object([&](const std::string& key) {
    if (!seen.insert(key).second) FailEntry(name, "the field " + key + " stands twice");
    if (key == "dtype") {
      entry.dtype = reader->String();
    } else if (key == "shape") {
      for (const uint64_t size : reader->WholeNumbers()) {
        if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
          FailEntry(name, "a huge dimension");
        entry.shape.push_back(static_cast<int64_t>(size));
      }
    } else if (key == "data_offsets") {
      const std::vector<uint64_t> offsets = reader->WholeNumbers();
      if (offsets.size() != 2) FailEntry(name, "data_offsets must be two numbers");
      entry.begin = offsets[0];
      entry.end = offsets[1];
    } else {
      FailEntry(name, "an unknown field \"" + key + "\"");
    }
  });
  if (seen.size() != 3) FailEntry(name, "dtype, shape and data_offsets are all needed");
  return entry;
}

void CheckEntry(const SafetensorsEntry& entry, uint64_t data_bytes) {
  const DTypeEntry* dtype = FindSafetensorsDType(entry.dtype);
  uint64_t bytes = dtype == nullptr ? 1 : dtype->bytes;
  for (const int64_t size : entry.shape) {
    if (size != 0 && bytes > std::numeric_limits<uint64_t>::max() / static_cast<uint64_t>(size)) {
      FailEntry(entry.name, "its shape overflows");
    }
    bytes *= static_cast<uint64_t>(size);
  }
  if (entry.begin > entry.end || entry.end > data_bytes) {
    FailEntry(entry.name, "data_offsets [" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) +
                              "] lie outside the file's " + std::to_string(data_bytes) + " bytes of data");
  }
  if (dtype != nullptr && entry.end - entry.begin != bytes) {
    FailEntry(entry.name, "data_offsets hold " + std::to_string(entry.end - entry.begin) +
                              " bytes, its shape needs " + std::to_string(bytes));
  }
}

}  // namespace

std::vector<SafetensorsEntry> ParseSafetensorsHeader(std::string_view json, uint64_t data_bytes) {
  std::vector<SafetensorsEntry> entries;
  std::set<std::string> names;
  HeaderReader reader(json);
  reader.Object([&](const std::string& name) {
    if (!names.insert(name).second) FailEntry(name, "it stands twice in the header");
    if (name == "__metadata__") {
      reader.Object([&](const std::string&) { reader.String(); });
    } else {
      entries.push_back(ReadEntry(&reader, name));
    }
  });
  reader.ExpectEnd();
  for (const SafetensorsEntry& entry : entries) CheckEntry(entry, data_bytes);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const SafetensorsEntry& left, const SafetensorsEntry& right) {
                     return left.begin != right.begin ? left.begin < right.begin : left.end < right.end;
                   });
  uint64_t expected = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != expected) FailEntry(entry.name, "its data overlaps another weight's or leaves a gap");
    expected = entry.end;
  }
  if (expected != data_bytes) {
    throw std::runtime_error("the weights end at byte " + std::to_string(expected) + " of " +
                             std::to_string(data_bytes) + " bytes of data");
  }
  return entries;
}

}  // namespace sam3_tracker
