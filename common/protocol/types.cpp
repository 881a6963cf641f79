#include "common/protocol/types.h"

#include <algorithm>

namespace tributary {
namespace {

Result<Bytes> bytes_of(const Records& records) {
  return records.external() ? records.external()->flatten() : Result<Bytes>(to_bytes(records.view()));
}

}  // namespace

bool operator==(const Records& a, const Records& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  if (!a.external() && !b.external()) return std::ranges::equal(a.view(), b.view());
  const auto left = bytes_of(a);
  const auto right = bytes_of(b);
  return left && right && *left == *right;
}

}  // namespace tributary
