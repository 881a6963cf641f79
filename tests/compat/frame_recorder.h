#pragma once
// What a client sends, frame by frame.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tributary::test {

/// Of each API and version it keeps the first requests of different lengths, kKeptMax of them, each at most
/// kKeptBytesMax long; if all are longer, the shortest. Thread-safe.
class FrameRecorder {
 public:
  static constexpr std::size_t kKeptMax = 4;
  static constexpr std::size_t kKeptBytesMax = 1024;

  /// Bytes of one connection, in their order: frames with their 4-byte lengths.
  void take(std::uint64_t connection, std::string_view bytes);
  /// Lines "<message> <version> sent <frame in hex>", in the order of API keys and versions.
  [[nodiscard]] std::string text() const;

 private:
  struct Kept {
    std::vector<std::string> frames;
    std::string shortest;
  };
  void take_frame(std::string_view frame);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::string> partial_;                       // guarded by mutex_, like below
  std::map<std::pair<std::int16_t, std::int16_t>, Kept> kept_;         // API key, version
};

}  // namespace tributary::test
