#include "common/transport/frame_writer.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "common/base/check.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {

constexpr std::size_t kPartsPerCall = 64;
constexpr std::size_t kYieldBytes = 4u << 20;
constexpr std::size_t kFileBytesPerCall = 1u << 20;
constexpr std::size_t kReadBytes = 64u << 10;

/// The count of a finished call; 0 if it would block.
Result<std::size_t> taken(ssize_t count, const char* call) {
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::size_t{0};
  auto error = fail_errno(call);
  error.value().code = Errc::kUnavailable;
  return error;
}

}  // namespace

void FrameWriter::push(Payload payload) {
  const auto size = payload.size_bytes();
  CHECK(size <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()),
        "a frame of {} bytes does not fit its length", size);
  Bytes prefix;
  ByteWriter(prefix).i32(static_cast<std::int32_t>(size));
  items_.emplace_back(SharedBytes(std::move(prefix)));
  items_.insert(items_.end(), payload.parts().begin(), payload.parts().end());
  queued_bytes_ += size + 4;
}

Result<FrameWriter::Status> FrameWriter::write_some(int socket) {
  std::size_t written = 0;
  while (!items_.empty()) {
    if (written >= kYieldBytes) return Status::kYield;
    const auto* slice = std::get_if<FileSlice>(&items_.front());
    if (slice != nullptr && slice->file->native_handle() < 0) {
      RETURN_IF_ERROR(read_file_into_memory());
      continue;
    }
    ASSIGN_OR_RETURN(const auto count, slice != nullptr ? write_file(socket) : write_memory(socket));
    if (count == 0) return Status::kBlocked;
    written += count;
  }
  return Status::kDone;
}

Result<std::size_t> FrameWriter::write_memory(int socket) {
  std::array<iovec, kPartsPerCall> parts;
  std::size_t count = 0;
  std::size_t offset = front_offset_;
  auto item = items_.begin();
  for (; item != items_.end() && count < parts.size(); ++item) {
    const auto* bytes = std::get_if<SharedBytes>(&*item);
    if (bytes == nullptr) break;
    const auto view = bytes->view().subspan(offset);
    offset = 0;
    parts[count++] = {const_cast<std::uint8_t*>(view.data()), view.size()};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const int more = item != items_.end() ? MSG_MORE : 0;  // the kernel fills packets across the calls
  ASSIGN_OR_RETURN(const auto sent,
                   taken(::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | more), "sendmsg"));
  consume(sent);
  return sent;
}

Result<std::size_t> FrameWriter::write_file(int socket) {
  auto& slice = std::get<FileSlice>(items_.front());
  auto position = static_cast<off_t>(slice.position);
  const auto wanted = std::min<std::size_t>(slice.length, kFileBytesPerCall);
  const auto count = ::sendfile(socket, slice.file->native_handle(), &position, wanted);
  if (count == 0)
    return fail(Errc::kCorrupt, fmt::format("a file ends at or before {}, {} bytes short of its slice",
                                            slice.position, slice.length));
  ASSIGN_OR_RETURN(const auto sent, taken(count, "sendfile"));
  queued_bytes_ -= sent;
  slice.position += sent;
  slice.length -= static_cast<std::uint32_t>(sent);
  if (slice.length == 0) items_.pop_front();
  return sent;
}

Result<> FrameWriter::read_file_into_memory() {
  auto& slice = std::get<FileSlice>(items_.front());
  Bytes chunk(std::min<std::size_t>(slice.length, kReadBytes));
  ASSIGN_OR_RETURN(const auto count, slice.file->read_at(slice.position, chunk));
  if (count < chunk.size())
    return fail(Errc::kCorrupt, fmt::format("a file ends at {}, {} bytes short of its slice",
                                            slice.position + count, slice.length - count));
  slice.position += count;
  slice.length -= static_cast<std::uint32_t>(count);
  if (slice.length == 0) items_.pop_front();
  items_.emplace_front(SharedBytes(std::move(chunk)));
  return {};
}

void FrameWriter::consume(std::size_t count) {
  queued_bytes_ -= count;
  while (count > 0) {
    const auto left = std::get<SharedBytes>(items_.front()).size() - front_offset_;
    if (count < left) {
      front_offset_ += count;
      return;
    }
    count -= left;
    front_offset_ = 0;
    items_.pop_front();
  }
}

}  // namespace tributary
