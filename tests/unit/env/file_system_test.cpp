#include "common/env/file_system.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace tributary {
namespace {

class PosixFileSystemTest : public testing::Test {
 protected:
  PosixFileSystemTest() {
    std::string pattern = testing::TempDir() + "tributary-env-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~PosixFileSystemTest() override { EXPECT_TRUE(remove_recursively(fs_, folder_)); }

  FileSystem& fs_ = posix_file_system();
  std::string folder_;
};

TEST_F(PosixFileSystemTest, GatheredWritesOfManyPartsAreReadBackWhole) {
  auto file = fs_.open(folder_ + "/a", OpenMode::kCreate).value();
  std::vector<Bytes> owned;
  std::vector<ByteView> parts;
  Bytes expected;
  for (int i = 0; i < 200; ++i) owned.emplace_back(static_cast<std::size_t>(i), static_cast<std::uint8_t>(i));
  for (const auto& part : owned) {
    parts.emplace_back(part);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  ASSERT_TRUE(file->write_at(10, parts));
  Bytes read(expected.size() + 100);
  EXPECT_EQ(file->read_at(10, read).value(), expected.size());
  read.resize(expected.size());
  EXPECT_EQ(read, expected);
}

TEST_F(PosixFileSystemTest, AVolumeHasMoreBytesInAllThanAreUsable) {
  const auto space = fs_.volume_space(folder_).value();
  EXPECT_GT(space.usable_bytes, 0u);
  EXPECT_GT(space.total_bytes, space.usable_bytes);
  EXPECT_EQ(fs_.volume_space(folder_ + "/missing").error().code, Errc::kNotFound);
}

TEST_F(PosixFileSystemTest, ErrorsNameThePathAndKeepTheirKind) {
  const auto missing = fs_.open(folder_ + "/missing", OpenMode::kRead);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_NE(missing.error().message.find(folder_ + "/missing"), std::string::npos);
}

TEST_F(PosixFileSystemTest, AnAtomicWriteReplacesTheContent) {
  ASSERT_TRUE(write_file_atomically(fs_, folder_ + "/f", as_bytes("one")));
  ASSERT_TRUE(write_file_atomically(fs_, folder_ + "/f", as_bytes("second")));
  EXPECT_EQ(as_string_view(read_file(fs_, folder_ + "/f", 100).value()), "second");
  EXPECT_EQ(fs_.list(folder_).value(), std::vector<std::string>{"f"});
  EXPECT_EQ(read_file(fs_, folder_ + "/f", 5).error().code, Errc::kTooLarge);
}

TEST_F(PosixFileSystemTest, AFolderIsLockedUntilItsLockIsGone) {
  {
    auto lock = FolderLock::acquire(folder_);
    ASSERT_TRUE(lock);
    auto second = FolderLock::acquire(folder_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::kLocked);
    EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos);
  }
  EXPECT_TRUE(FolderLock::acquire(folder_));
}

}  // namespace
}  // namespace tributary
