#include "common/transport/frame_assembler.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "common/bytes/reader.h"

namespace tributary {
namespace {
constexpr std::size_t kFirstCapacity = 64u << 10;
}

Result<> FrameAssembler::feed(ByteView bytes, std::deque<SharedBytes>& frames) {
  while (!bytes.empty()) {
    if (!in_frame_) {
      const auto count = std::min(sizeof prefix_ - prefix_bytes_, bytes.size());
      std::memcpy(prefix_ + prefix_bytes_, bytes.data(), count);
      prefix_bytes_ += count;
      bytes = bytes.subspan(count);
      if (prefix_bytes_ < sizeof prefix_) break;
      RETURN_IF_ERROR(begin_frame());
      finish_if_complete(frames);
      continue;
    }
    if (filled_ == capacity_) reserve(std::min(frame_bytes_, capacity_ * 2));
    const auto count = std::min(capacity_ - filled_, bytes.size());
    std::memcpy(buffer_.get() + filled_, bytes.data(), count);
    bytes = bytes.subspan(count);
    advance(count, frames);
  }
  return {};
}

std::span<std::uint8_t> FrameAssembler::direct() {
  if (!in_frame_ || frame_bytes_ <= kFirstCapacity) return {};
  if (filled_ == capacity_) reserve(std::min(frame_bytes_, capacity_ * 2));
  return {buffer_.get() + filled_, capacity_ - filled_};
}

void FrameAssembler::advance(std::size_t count, std::deque<SharedBytes>& frames) {
  filled_ += count;
  finish_if_complete(frames);
}

Result<> FrameAssembler::begin_frame() {
  const auto announced = ByteReader(ByteView(prefix_, sizeof prefix_)).i32();
  prefix_bytes_ = 0;
  if (announced < 0 || static_cast<std::size_t>(announced) < bytes_min_)
    return fail(Errc::kCorrupt, fmt::format("a frame of {} bytes", announced));
  frame_bytes_ = static_cast<std::size_t>(announced);
  if (frame_bytes_ > bytes_max_)
    return fail(Errc::kTooLarge,
                fmt::format("a frame of {} bytes is over the limit of {}", announced, bytes_max_));
  in_frame_ = true;
  filled_ = capacity_ = 0;
  reserve(std::min(frame_bytes_, kFirstCapacity));
  return {};
}

void FrameAssembler::reserve(std::size_t capacity) {
  if (capacity == 0) return;
  // realloc, since it moves large blocks by their pages (mremap) instead of copying them.
  auto* grown = static_cast<std::uint8_t*>(std::realloc(buffer_.get(), capacity));
  CHECK(grown != nullptr, "out of memory: {} bytes for a frame", capacity);
  (void)buffer_.release();
  buffer_.reset(grown);
  capacity_ = capacity;
}

void FrameAssembler::finish_if_complete(std::deque<SharedBytes>& frames) {
  if (filled_ < frame_bytes_) return;
  const ByteView view(buffer_.get(), frame_bytes_);
  frames.emplace_back(std::shared_ptr<const void>(std::move(buffer_)), view);
  in_frame_ = false;
  capacity_ = filled_ = 0;
}

}  // namespace tributary
