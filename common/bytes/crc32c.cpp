#include "common/bytes/crc32c.h"

#include <isa-l.h>

namespace tributary {

// ISA-L's crc32_iscsi takes and gives the inverted register, and a non-const pointer and an int
// length; a view longer than that is fed in parts.
std::uint32_t crc32c_extend(std::uint32_t crc, ByteView view) {
  constexpr std::size_t kPartMax = 1u << 30;
  std::uint32_t state = ~crc;
  while (!view.empty()) {
    const auto part = view.first(std::min(view.size(), kPartMax));
    state = crc32_iscsi(const_cast<unsigned char*>(part.data()), static_cast<int>(part.size()), state);
    view = view.subspan(part.size());
  }
  return ~state;
}

std::uint32_t crc32c(ByteView view) { return crc32c_extend(0, view); }

}  // namespace tributary
