#pragma once
// What an error is compared by.

#include "common/base/result.h"

namespace tributary::test {

/// The code of a result's error; one that no error has, when there is none.
[[nodiscard]] Errc code_of(const auto& result) { return result ? Errc{-1} : result.error().code; }

}  // namespace tributary::test
