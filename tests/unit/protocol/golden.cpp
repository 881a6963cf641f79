#include "tests/unit/protocol/golden.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/check.h"

namespace tributary::golden {
namespace {

Bytes from_hex(const std::string& hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string in_source_folder(const std::string& path) {
  const char* source = std::getenv("TRIBUTARY_SOURCE");
  return std::string(source ? source : ".") + "/" + path;
}

void load(const std::string& folder, const std::string& file, std::vector<Frame>& out) {
  const std::string path = in_source_folder(folder) + "/" + file;
  std::ifstream in(path);
  CHECK(in.good(), "cannot open {}; run through ctest, or in the source folder", path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Frame frame;
    std::string hex;
    words >> frame.message >> frame.version >> frame.kind >> hex;
    frame.file = file;
    frame.bytes = from_hex(hex);
    out.push_back(std::move(frame));
  }
}

const Frame& find(std::string_view file, std::string_view message, std::int16_t version,
                  std::string_view kind) {
  for (const auto& frame : frames()) {
    if (frame.file == file && frame.message == message && frame.version == version && frame.kind == kind) {
      return frame;
    }
  }
  CHECK(false, "no frame of {} v{} in {}", message, version, file);
}

}  // namespace

std::string Frame::title() const { return fmt::format("{}: {} v{} {}", file, message, version, kind); }

const std::vector<Frame>& frames() {
  static const auto all = [] {
    std::vector<Frame> out;
    for (const char* file : {"franz_go.txt", "kafka_python.txt", "librdkafka.txt"})
      load("tests/unit/protocol/golden", file, out);
    return out;
  }();
  return all;
}

const std::vector<Frame>& recorded_frames() {
  static const auto all = [] {
    const std::string folder = "tests/compat/golden";
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(in_source_folder(folder)))
      if (entry.path().extension() == ".txt") files.push_back(entry.path().filename());
    std::sort(files.begin(), files.end());
    std::vector<Frame> out;
    for (const auto& file : files) load(folder, file, out);
    return out;
  }();
  return all;
}

const Frame& filled(std::string_view message, std::int16_t version) {
  return find("kafka_python.txt", message, version, "filled");
}

const Frame& defaults(std::string_view message, std::int16_t version) {
  return find("franz_go.txt", message, version, "default");
}

std::uint32_t number(std::string_view name, std::uint32_t index) {
  std::uint32_t hash = 0x811c9dc5u;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x01000193u;
  return hash + index;
}
std::int8_t i8(std::string_view name, std::uint32_t index) {
  return static_cast<std::int8_t>(number(name, index) & 0x7f);
}
std::int16_t i16(std::string_view name, std::uint32_t index) {
  return static_cast<std::int16_t>(number(name, index) & 0x7fff);
}
std::int32_t i32(std::string_view name, std::uint32_t index) {
  return static_cast<std::int32_t>(number(name, index) & 0x7fffffff);
}
std::int64_t i64(std::string_view name, std::uint32_t index) {
  return static_cast<std::int64_t>(number(name, index)) << 8 | 0x7f;
}
std::string text(std::string_view name, std::uint32_t index) { return fmt::format("{}{}", name, index); }
std::string bytes(std::string_view name, std::uint32_t index) {
  return fmt::format("the bytes of {}{}", name, index);
}
Uuid uuid(std::string_view name, std::uint32_t index) {
  Uuid id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(number(name, index) + i);
  }
  return id;
}

}  // namespace tributary::golden
