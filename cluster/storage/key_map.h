#pragma once
// For each key of a compacted log, the newest offset: what a cleaner goes by. In bounded memory.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/bytes/bytes.h"

namespace tributary {

/// Keys are remembered as 128-bit hashes (XXH3) with a seed: two keys in one map are taken for one another with a
/// probability below 2^-80 for a billion of them, and with another seed they are not. 24 bytes a key, at a load of 85 %.
/// One thread at a time.
class KeyMap {
 public:
  /// Starts small and doubles; at most `bytes_max`, and while it grows half as much again.
  KeyMap(std::size_t bytes_max, std::uint64_t seed);

  /// Notes that `key` is at `offset`, if that is newer. False, and nothing is noted, if it is a new key and there is
  /// no room.
  [[nodiscard]] bool put(ByteView key, Offset offset);

  /// Nothing for a key that was not put.
  [[nodiscard]] std::optional<Offset> find(ByteView key) const;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t high = 0, low = 0;
    std::int64_t offset = -1;  // -1: free
  };
  [[nodiscard]] Slot hash(ByteView key) const;
  [[nodiscard]] std::size_t place_of(const Slot& wanted) const;
  [[nodiscard]] bool grow();

  const std::size_t slots_max_;
  const std::uint64_t seed_;
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace tributary
