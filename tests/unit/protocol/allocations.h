#pragma once
// How much memory operator new has handed out in this executable, ever.

#include <cstddef>

namespace tributary {
[[nodiscard]] std::size_t allocated_bytes();
}
