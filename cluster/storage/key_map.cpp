#include "cluster/storage/key_map.h"

#include <xxhash.h>

#include <algorithm>

namespace tributary {
namespace {

constexpr std::size_t kSlotsAtFirst = 1u << 10;
constexpr std::size_t kSlotsMin = 8;

/// How many keys so many slots take.
constexpr std::size_t keys_of(std::size_t slots) { return slots / 100 * 85 + slots % 100 * 85 / 100; }

}  // namespace

KeyMap::KeyMap(std::size_t bytes_max, std::uint64_t seed)
    : slots_max_(std::max(kSlotsMin, bytes_max / sizeof(Slot))),
      seed_(seed),
      slots_(std::min(kSlotsAtFirst, slots_max_)) {}

KeyMap::Slot KeyMap::hash(ByteView key) const {
  const auto hash = XXH3_128bits_withSeed(key.data(), key.size(), seed_);
  return {hash.high64, hash.low64, -1};
}

/// Where `wanted` is, or the free slot where it belongs. One is always free.
std::size_t KeyMap::place_of(const Slot& wanted) const {
  auto place = static_cast<std::size_t>((static_cast<unsigned __int128>(wanted.high) * slots_.size()) >> 64);
  while (slots_[place].offset >= 0 && (slots_[place].high != wanted.high || slots_[place].low != wanted.low))
    if (++place == slots_.size()) place = 0;
  return place;
}

bool KeyMap::put(ByteView key, Offset offset) {
  auto wanted = hash(key);
  wanted.offset = offset.value();
  auto place = place_of(wanted);
  if (slots_[place].offset >= 0) {
    slots_[place].offset = std::max(slots_[place].offset, offset.value());
    return true;
  }
  if (size_ >= keys_of(slots_.size())) {
    if (!grow()) return false;
    place = place_of(wanted);
  }
  slots_[place] = wanted;
  ++size_;
  return true;
}

std::optional<Offset> KeyMap::find(ByteView key) const {
  const auto& slot = slots_[place_of(hash(key))];
  return slot.offset >= 0 ? std::optional(Offset(slot.offset)) : std::nullopt;
}

bool KeyMap::grow() {
  const auto slots = std::min(slots_max_, 2 * slots_.size());
  if (slots == slots_.size()) return false;
  std::vector<Slot> former(slots);
  former.swap(slots_);
  for (const auto& slot : former)
    if (slot.offset >= 0) slots_[place_of(slot)] = slot;
  return true;
}

}  // namespace tributary
