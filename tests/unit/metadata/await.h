#pragma once
// Turns a call with a `done` into one that waits for it.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/env/file_system.h"
#include "common/env/random.h"

namespace tributary {

template <class T, class Call>
Result<T> await(Call call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  call([promise](Result<T> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
    return fail(Errc::kTimeout, "`done` did not run within 30 s");
  return future.get();
}

/// A folder that is gone when the test is over.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(::testing::TempDir() + "tributary-" + std::to_string(random_u64_from_os())) {
    EXPECT_TRUE(posix_file_system().create_directories(path_));
  }
  ~TemporaryFolder() { EXPECT_TRUE(remove_recursively(posix_file_system(), path_)); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tributary
