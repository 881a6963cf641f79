// The simulated disk must be as nasty as it says, or the crash test proves nothing.

#include "tests/sim/files/simulated_file_system.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace tributary::sim {
namespace {

class SimulatedFileSystemTest : public testing::Test {
 protected:
  void Write(File& file, std::uint64_t position, std::string_view text) {
    const std::array parts{as_bytes(text)};
    ASSERT_TRUE(file.write_at(position, parts));
  }
  /// What a file may hold after a power cut: all contents that some seeds gave ("-" if it is missing).
  std::set<std::string> Outcomes(const std::string& path) {
    std::set<std::string> outcomes;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      SeededRandom random(seed);
      const auto image = fs_.after_power_cut(random);
      const auto content = read_file(*image, path, 1 << 20);
      outcomes.insert(content ? std::string(as_string_view(*content)) : "-");
    }
    return outcomes;
  }

  SimulatedFileSystem fs_;
};

TEST_F(SimulatedFileSystemTest, OnlySyncedBytesUnderASyncedNameAreCertain) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  Write(*file, 0, "abc");
  EXPECT_EQ(Outcomes("/f"), (std::set<std::string>{"-", "", "abc", std::string(3, '\0')}) ) << "torn ones apart";
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(Outcomes("/f"), (std::set<std::string>{"-", "abc"}));
  ASSERT_TRUE(fs_.sync_directory("/"));
  EXPECT_EQ(Outcomes("/f"), (std::set<std::string>{"abc"}));
}

TEST_F(SimulatedFileSystemTest, SectorsAreKeptOrLostEachForItself) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  Write(*file, 0, std::string(4 * 512, 'a'));
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(fs_.sync_directory("/"));
  Write(*file, 0, std::string(4 * 512, 'b'));
  bool later_without_earlier = false, torn = false;
  for (const auto& outcome : Outcomes("/f")) {
    if (outcome[0] == 'a' && outcome[3 * 512] == 'b') later_without_earlier = true;
    for (std::size_t sector = 0; sector < 4; ++sector)
      if (outcome[sector * 512] == 'b' && outcome[sector * 512 + 511] == 'a') torn = true;
  }
  EXPECT_TRUE(later_without_earlier);
  EXPECT_TRUE(torn);
}

TEST_F(SimulatedFileSystemTest, ARenameHappensWhollyOrNot) {
  auto a = fs_.open("/a", OpenMode::kCreate).value();
  Write(*a, 0, "new");
  ASSERT_TRUE(a->sync_data());
  auto b = fs_.open("/b", OpenMode::kCreate).value();
  Write(*b, 0, "old");
  ASSERT_TRUE(b->sync_data());
  ASSERT_TRUE(fs_.sync_directory("/"));
  ASSERT_TRUE(fs_.rename("/a", "/b"));
  EXPECT_EQ(Outcomes("/b"), (std::set<std::string>{"old", "new"}));
  EXPECT_EQ(Outcomes("/a"), (std::set<std::string>{"new", "-"}));
}

TEST_F(SimulatedFileSystemTest, AfterAFailedSyncALaterOneProvesNothing) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  ASSERT_TRUE(fs_.sync_directory("/"));
  Write(*file, 0, std::string(512, 'a'));
  fs_.set_hook([](auto operation, const auto&) -> Result<> {
    if (operation == SimulatedFileSystem::Operation::kSyncData) return fail(Errc::kIo, "broken");
    return {};
  });
  EXPECT_FALSE(file->sync_data());
  fs_.set_hook(nullptr);
  ASSERT_TRUE(file->sync_data());
  EXPECT_GT(Outcomes("/f").size(), 1u);
  Write(*file, 0, std::string(512, 'b'));
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(Outcomes("/f"), (std::set<std::string>{std::string(512, 'b')}));
}

TEST_F(SimulatedFileSystemTest, ATruncationMayBeUndone) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  Write(*file, 0, "abcdef");
  ASSERT_TRUE(file->sync_data());
  ASSERT_TRUE(fs_.sync_directory("/"));
  ASSERT_TRUE(file->truncate(3));
  EXPECT_TRUE(Outcomes("/f").contains("abcdef"));
  EXPECT_TRUE(Outcomes("/f").contains("abc"));
  ASSERT_TRUE(file->sync_data());
  EXPECT_EQ(Outcomes("/f"), (std::set<std::string>{"abc"}));
}

TEST_F(SimulatedFileSystemTest, AFullDiskTakesWhatFits) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  fs_.set_capacity(4);
  const std::array parts{as_bytes("abc"), as_bytes("def")};
  EXPECT_EQ(file->write_at(0, parts).error().code, Errc::kNoSpace);
  EXPECT_EQ(file->size().value(), 4u);
}

TEST_F(SimulatedFileSystemTest, ACopyKeepsWhatIsNotDurableInDoubt) {
  auto file = fs_.open("/f", OpenMode::kCreate).value();
  Write(*file, 0, "abc");
  const auto copy = fs_.copy();
  EXPECT_EQ(as_string_view(read_file(*copy, "/f", 10).value()), "abc");
  std::set<bool> present;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SeededRandom random(seed);
    present.insert(copy->after_power_cut(random)->exists("/f"));
  }
  EXPECT_EQ(present.size(), 2u);
}

}  // namespace
}  // namespace tributary::sim
