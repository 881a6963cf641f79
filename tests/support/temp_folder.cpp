#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>

#include "common/base/check.h"

namespace tributary::test {

TempFolder::TempFolder(const std::string& parent) {
  const char* from_environment = ::getenv("TMPDIR");
  path_ = (!parent.empty() ? parent : from_environment != nullptr ? from_environment : "/tmp") +
          std::string("/tributary-test-XXXXXX");
  CHECK(::mkdtemp(path_.data()) != nullptr, "cannot make {}: errno {}", path_, errno);
}

TempFolder::~TempFolder() {
  if (::getenv("TRIBUTARY_KEEP") != nullptr || ::testing::Test::HasFailure()) {
    std::fprintf(stderr, "kept: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tributary::test
