#pragma once
// Kafka frames out of a byte stream.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <span>

#include "common/base/result.h"
#include "common/bytes/bytes.h"

namespace tributary {

/// The shortest frames there are, without their 4-byte length.
inline constexpr std::size_t kRequestBytesMin = 8;  // api key, api version, correlation id
inline constexpr std::size_t kAnswerBytesMin = 4;   // correlation id

/// Cuts a stream into frames by their 4-byte lengths. Holds memory for bytes that have arrived, not for
/// those that are announced: a frame's buffer starts at 64 KiB at most and doubles as it fills.
class FrameAssembler {
 public:
  /// Lengths outside [bytes_min, bytes_max] are malformed.
  FrameAssembler(std::size_t bytes_min, std::size_t bytes_max)
      : bytes_min_(bytes_min), bytes_max_(bytes_max) {}

  /// Takes the next bytes of the stream and appends the frames that they complete. After an error
  /// (kCorrupt: below the minimum or negative; kTooLarge) the stream cannot be followed any further.
  [[nodiscard]] Result<> feed(ByteView bytes, std::deque<SharedBytes>& frames);

  /// While a large frame is being assembled: where its next bytes may be read to, saving a copy;
  /// otherwise empty. Follow with advance().
  [[nodiscard]] std::span<std::uint8_t> direct();
  void advance(std::size_t count, std::deque<SharedBytes>& frames);

  /// True inside a length or a frame: the stream must not end here.
  [[nodiscard]] bool mid_frame() const { return prefix_bytes_ > 0 || in_frame_; }

  /// Announced for the frame that is being assembled; 0 if there is none. Until direct() is called, at most
  /// 64 KiB are held for it if feed() is given no more than that at once.
  [[nodiscard]] std::size_t frame_bytes() const { return in_frame_ ? frame_bytes_ : 0; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
  };

  [[nodiscard]] Result<> begin_frame();
  void reserve(std::size_t capacity);
  void finish_if_complete(std::deque<SharedBytes>& frames);

  const std::size_t bytes_min_, bytes_max_;
  std::uint8_t prefix_[4] = {};
  std::size_t prefix_bytes_ = 0;
  bool in_frame_ = false;
  std::unique_ptr<std::uint8_t, Free> buffer_;
  std::size_t frame_bytes_ = 0;  // announced
  std::size_t filled_ = 0;       // <= capacity_ <= frame_bytes_
  std::size_t capacity_ = 0;
};

}  // namespace tributary
