#include "common/env/random.h"

#include <sys/random.h>

#include "common/base/check.h"

namespace tributary {

std::uint64_t random_u64_from_os() {
  std::uint64_t value = 0;
  CHECK(getrandom(&value, sizeof value, 0) == sizeof value, "getrandom gave no bytes");
  return value;
}

}  // namespace tributary
