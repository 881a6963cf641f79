#include "common/protocol/decoder.h"

namespace tributary {

Result<> Decoder::finish(std::string_view name, Leftover leftover) {
  if (ok() && reader_.remaining() > 0 && leftover == Leftover::kRefused) {
    return tributary::fail(Errc::kCorrupt,
                           fmt::format("{} v{}: {} bytes are left over after byte {}", name, version_,
                                       reader_.remaining(), reader_.position()));
  }
  if (ok()) return {};
  return tributary::fail(code_, fmt::format("{} v{}, {}, byte {}: {}", name, version_, path_.text(),
                                            failed_at_, error_));
}

std::int64_t Decoder::length(LengthOf what, std::size_t element_bytes_min) {
  const auto at = reader_.position();
  std::int64_t length = 0;
  if (flexible_) {
    length = static_cast<std::int64_t>(reader_.uvarint()) - 1;
    if (!reader_.ok()) {
      fail(at, "a length that is no varint");
      return kNull;
    }
  } else {
    length = what == LengthOf::kString ? integer<std::int16_t>() : integer<std::int32_t>();
  }
  if (!ok() || length == kNull) return kNull;
  if (length < 0) {
    fail(at, fmt::format("a length of {}", length));
    return kNull;
  }
  if (static_cast<std::uint64_t>(length) > reader_.remaining() / element_bytes_min) {
    fail(at, fmt::format("a length of {}, but only {} bytes are left", length, reader_.remaining()));
    return kNull;
  }
  return length;
}

std::int64_t Decoder::length(LengthOf what, std::size_t element_bytes_min, Versions nullable) {
  const auto at = reader_.position();
  const auto result = length(what, element_bytes_min);
  if (result == kNull && ok() && !nullable.contains(version_)) {
    fail(at, "null, which this version does not allow");
  }
  return result;
}

void Decoder::string(std::string& v, std::int64_t size) {
  charge(static_cast<std::size_t>(size), 1);
  if (ok()) v = as_string_view(take(size));
}

void Decoder::charge(std::size_t count, std::size_t bytes_each) {
  // The count is at most the frame's size, so the product cannot overflow.
  charged_bytes_ += count * bytes_each;
  if (charged_bytes_ > kDecodedBytesMax) {
    fail(reader_.position(), fmt::format("decoded, it would take over {} MiB", kDecodedBytesMax >> 20),
         Errc::kTooLarge);
  }
}

std::uint32_t Decoder::tag_count() {
  const auto at = reader_.position();
  const auto count = reader_.uvarint();
  if (!reader_.ok()) fail(at, "a count of tags that is no varint");
  return ok() ? count : 0;
}

bool Decoder::next_tag(std::int64_t& tag, std::size_t& end) {
  if (!ok()) return false;
  const auto at = reader_.position();
  const std::int64_t next = reader_.uvarint();
  const std::size_t size = reader_.uvarint();
  if (!reader_.ok()) {
    fail(at, "a tag that is cut off");
  } else if (next <= tag) {
    fail(at, fmt::format("tag {} after tag {}", next, tag));
  } else if (size > reader_.remaining()) {
    fail(at, fmt::format("tag {} of {} bytes, but only {} are left", next, size, reader_.remaining()));
  }
  tag = next;
  end = reader_.position() + size;
  return ok();
}

void Decoder::end_tag(bool known, std::size_t end) {
  const auto at = reader_.position();
  if (!known) return reader_.skip(end - at);
  if (at != end) fail(at, fmt::format("a tag that should end at byte {}", end));
}

void Decoder::fail(std::size_t at, std::string what, Errc code) {
  failed_at_ = at;
  error_ = std::move(what);
  code_ = code;
}

}  // namespace tributary
