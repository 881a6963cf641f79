#include "common/protocol/payload.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/protocol/types.h"

namespace tributary {
namespace {

class PayloadTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tributary-payload-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    auto file = posix_file_system().open(folder_ + "/f", OpenMode::kCreate);
    ASSERT_TRUE(file);
    const ByteView text = as_bytes("0123456789");
    ASSERT_TRUE((*file)->write_at(0, std::span(&text, 1)));
    file_ = *file;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::shared_ptr<const File> file_;
};

TEST_F(PayloadTest, FlattensBytesAndFileSlicesInOrder) {
  Payload payload;
  payload.append(SharedBytes(to_bytes(as_bytes("a"))));
  payload.append(FileSlice{file_, 3, 4});
  payload.append(SharedBytes());
  payload.append(FileSlice{file_, 3, 0});
  EXPECT_EQ(payload.parts().size(), 2u);
  EXPECT_TRUE(payload.has_file_slices());
  Payload twice = payload;
  twice.append(payload);
  EXPECT_EQ(twice.size_bytes(), 10u);
  EXPECT_EQ(as_string_view(twice.flatten().value()), "a3456a3456");
}

TEST_F(PayloadTest, AFileThatEndsTooEarlyIsAnError) {
  Payload payload;
  payload.append(FileSlice{file_, 8, 5});
  const auto flat = payload.flatten();
  ASSERT_FALSE(flat);
  EXPECT_EQ(flat.error().code, Errc::kCorrupt);
  EXPECT_EQ(flat.error().message, "the file ends 3 bytes before its slice [8, 13) does");
  EXPECT_FALSE(read_slice({file_, 8, 5}));
}

TEST_F(PayloadTest, RecordsFromAFileEqualTheSameBytesInMemory) {
  const Records in_file(FileSlice{file_, 0, 10});
  EXPECT_EQ(in_file, Records(as_bytes("0123456789")));
  EXPECT_EQ(in_file.size_bytes(), 10u);
  EXPECT_FALSE(in_file == Records(as_bytes("012345678x")));
  EXPECT_FALSE(in_file == Records());
  EXPECT_FALSE(Records(FileSlice{file_, 9, 5}) == Records(FileSlice{file_, 9, 5}));
}

TEST_F(PayloadTest, ASliceOutlivesTheNameOfItsFile) {
  const Records records(FileSlice{file_, 2, 3});
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(records, Records(as_bytes("234")));
}

}  // namespace
}  // namespace tributary
