#pragma once
// Field types that Kafka's messages have beside integers, strings and arrays.

#include <cstdint>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/base/uuid.h"
#include "common/bytes/bytes.h"
#include "common/protocol/payload.h"

namespace tributary {

/// RECORDS, nullable: zero or more whole record batches, one after the other.
/// Decoded, it is a view into the frame: valid as long as the frame's SharedBytes lives, and
/// `frame.sub(records.view())` keeps it. To be encoded, it is a view (copied into the frame), or
/// SharedBytes or a Payload of bytes and file slices, which become parts of the outgoing Payload without
/// a copy.
class Records {
 public:
  Records() = default;  // null
  Records(ByteView view) : content_(view) {}
  Records(Bytes&& bytes) : Records(SharedBytes(std::move(bytes))) {}
  Records(SharedBytes bytes) : content_(Payload(std::move(bytes))) {}
  Records(FileSlice slice) {
    Payload parts;
    parts.append(std::move(slice));
    content_ = std::move(parts);
  }
  Records(Payload parts) : content_(std::move(parts)) {}

  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(content_); }
  [[nodiscard]] std::size_t size_bytes() const {
    if (const auto* parts = external()) return parts->size_bytes();
    return view().size();
  }
  /// The bytes; empty if null, or if given as SharedBytes or Payload (see external()).
  [[nodiscard]] ByteView view() const {
    const auto* bytes = std::get_if<ByteView>(&content_);
    return bytes ? *bytes : ByteView{};
  }
  /// The parts, if given as SharedBytes, FileSlice or Payload; otherwise nullptr. Decoding gives views.
  [[nodiscard]] const Payload* external() const { return std::get_if<Payload>(&content_); }

  /// The same bytes, wherever they are; a file slice is read, and unequal if it cannot be.
  friend bool operator==(const Records& a, const Records& b);

 private:
  std::variant<std::monostate, ByteView, Payload> content_;
};

inline constexpr BrokerId kNoBroker{-1};

/// KIP-951: where a partition moved to. -1, -1 means unknown.
struct LeaderIdAndEpoch {
  BrokerId leader_id{kNoBroker};
  LeaderEpoch leader_epoch{kNoLeaderEpoch};

  static void fields(auto& m, auto& f) {
    f(m.leader_id);
    f(m.leader_epoch);
  }
  friend bool operator==(const LeaderIdAndEpoch&, const LeaderIdAndEpoch&) = default;
};

/// Bits of "authorized operations" fields: none were asked for.
inline constexpr std::int32_t kAuthorizedOperationsOmitted = -2147483647 - 1;

/// Value of `isolation_level` in Fetch and ListOffsets.
enum class IsolationLevel : std::int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

}  // namespace tributary
