// Data folders that a disk, a tool or a person has spoilt: a clear error or a valid log, never a crash.
//
// TRIBUTARY_TEST_SEED=n     the first seed (default: a random one, printed on failure)
// TRIBUTARY_TEST_ROUNDS=n   how many spoilt folders (default 600)

#include <cstdlib>

#include "cluster/storage/log_directory.h"
#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class GarbageFolderTest : public testing::Test {
 protected:
  static constexpr const char* kData = "/data";

  GarbageFolderTest() {
    options_.folder = kData;
    options_.lock = false;
    config_.segment_bytes = 2000;
    config_.index_interval_bytes = 300;
  }

  /// Two partitions with several segments and producers; stopped cleanly, or killed.
  std::unique_ptr<sim::SimulatedFileSystem> ValidFolder(bool clean) {
    auto fs = std::make_unique<sim::SimulatedFileSystem>();
    auto directory = LogDirectory::open(*fs, clock_, options_).value();
    for (int number = 0; number < 2; ++number) {
      const TopicPartition tp{"readings", PartitionIndex(number)};
      auto log = directory->create_log(tp, uuid_from_random(1, 2), config_).value();
      for (int i = 0; i < 30; ++i) {
        auto spec = from_producer(i % 3, 0, i / 3 * 2, 2);
        spec.value_bytes = static_cast<std::size_t>(i * 7 % 90);
        spec.timestamp_ms = 1000 + 10 * i;
        EXPECT_TRUE(log->append(batch(spec), LeaderEpoch(i / 10)));
        if (i % 4 == 0) {
          EXPECT_TRUE(log->flush());
        }
      }
      directory->set_recovery_point(tp, log->stable_offset());
      if (!clean) continue;
      EXPECT_TRUE(log->close_cleanly());
      directory->set_recovery_point(tp, log->stable_offset());
    }
    EXPECT_TRUE(clean ? directory->mark_clean_shutdown() : directory->write_checkpoint());
    return fs;
  }

  std::string AnyFile(FileSystem& fs, Random& random) {
    std::vector<std::string> files;
    const auto collect = [&](const auto& self, const std::string& folder) -> void {
      const auto names = fs.list(folder).value();
      for (const auto& name : names) {
        const auto path = folder + "/" + name;
        if (fs.list(path)) self(self, path);
        else files.push_back(path);
      }
    };
    collect(collect, kData);
    return files.empty() ? "" : files[random.below(files.size())];
  }

  void WriteWhole(FileSystem& fs, const std::string& path, ByteView content) {
    const auto file = fs.open(path, OpenMode::kTruncate).value();
    const std::array parts{content};
    ASSERT_TRUE(file->write_at(0, parts));
  }

  static Bytes Garbage(std::size_t size, Random& random) {
    Bytes bytes(size);
    const auto style = random.below(3);
    for (auto& byte : bytes)
      byte = style == 0 ? 0 : style == 1 ? 0xff : static_cast<std::uint8_t>(random.next_u64());
    return bytes;
  }

  /// One thing that goes wrong with one file.
  void Spoil(FileSystem& fs, Random& random) {
    const auto path = AnyFile(fs, random);
    if (path.empty()) return;
    auto content = read_file(fs, path, 1 << 20).value();
    switch (random.below(9)) {
      case 0: ASSERT_TRUE(fs.remove(path)); return;
      case 1: content.resize(random.below(content.size() + 1)); break;
      case 2: {
        const auto more = Garbage(1 + random.below(2000), random);
        content.insert(content.end(), more.begin(), more.end());
        break;
      }
      case 3: content = Garbage(random.below(300), random); break;
      case 4: {  // takes another file's place
        const auto other = AnyFile(fs, random);
        WriteWhole(fs, other, content);
        return;
      }
      case 5: {  // appears under another name
        const std::array suffixes{kLogSuffix, kOffsetIndexSuffix, kTimeIndexSuffix, kSnapshotSuffix};
        const auto offset = random.below(2) == 0 ? random.below(70) : random.next_u64() >> 1;
        WriteWhole(fs, path.substr(0, path.rfind('/') + 1) +
                           segment_file_name(Offset(static_cast<std::int64_t>(offset)), suffixes[random.below(4)]),
                   content);
        return;
      }
      case 6: RepairedHeader(content, random); break;
      default:
        for (auto n = 1 + random.below(4); n > 0 && !content.empty(); --n)
          content[random.below(content.size())] = static_cast<std::uint8_t>(random.next_u64());
    }
    WriteWhole(fs, path, content);
  }

  /// A batch's header fields are changed and its CRC made good again: only their meaning is wrong.
  static void RepairedHeader(Bytes& content, Random& random) {
    if (content.size() < kBatchHeaderSize) return;
    const auto header = parse_batch_header(content);
    if (!header || header->total_bytes() > content.size()) return;
    content[random.below(kBatchHeaderSize)] = static_cast<std::uint8_t>(random.next_u64());
    const auto changed = parse_batch_header(content);
    if (changed && changed->total_bytes() <= content.size())
      patch_producer(std::span(content).first(changed->total_bytes()), changed->producer_id,
                     changed->producer_epoch, changed->base_sequence);
  }

  static void ExpectClear(const Error& error) {
    EXPECT_NE(error.message.find(kData), std::string::npos) << error.message;
    EXPECT_TRUE(error.code == Errc::kCorrupt || error.code == Errc::kUnsupported ||
                error.code == Errc::kInvalidArgument)
        << name_of(error.code) << ": " << error.message;
  }

  /// Everything that a broker does with a log; damage may be reported, but only as such.
  void Use(Log& log) {
    EXPECT_LE(log.log_start_offset(), log.stable_offset());
    EXPECT_LE(log.stable_offset(), log.log_end_offset());
    for (auto offset = log.log_start_offset(); offset < log.log_end_offset();) {
      const auto slice = log.read(offset, 700, log.log_end_offset(), true);
      if (!slice) {
        ExpectClear(slice.error());
        break;
      }
      ASSERT_GT(slice->length, 0u);
      ASSERT_GT(slice->next_offset, offset);
      Bytes bytes(slice->length);
      ASSERT_EQ(slice->file->read_at(slice->position, bytes).value(), bytes.size());
      offset = slice->next_offset;
    }
    for (const std::int64_t time : {0, 1000, 1155, 1290, 99'999}) {
      const auto found = log.offset_for_time(time, log.stable_offset());
      if (!found) ExpectClear(found.error());
    }
    const auto largest = log.offset_of_max_timestamp(log.stable_offset());
    if (!largest) ExpectClear(largest.error());

    const auto end = log.log_end_offset();
    const auto info = log.append(batch({.count = 3}), std::max(log.leader_epoch(), LeaderEpoch(0)));
    if (!info) {  // the offsets or epochs that garbage left may have no successor; damage is the disk's
      EXPECT_TRUE(info.error().code == Errc::kOutOfRange || info.error().code == Errc::kIo)
          << info.error().message;
      return;
    }
    EXPECT_EQ(info->base_offset, end);
    ASSERT_TRUE(log.flush());
    const auto slice = log.read(end, 1 << 20, log.stable_offset(), true);
    if (slice) {
      EXPECT_EQ(slice->next_offset, log.log_end_offset());
    } else {
      ExpectClear(slice.error());  // behind damage that has taken the index along
    }
  }

  FakeClock clock_;
  LogDirectoryOptions options_;
  LogConfig config_;
};

TEST_F(GarbageFolderTest, ASpoiltFolderGivesAClearErrorOrAValidLog) {
  const auto first_seed = from_environment("TRIBUTARY_TEST_SEED", random_u64_from_os() % 1'000'000'000);
  const auto rounds = from_environment("TRIBUTARY_TEST_ROUNDS", 600);
  const std::array folders{ValidFolder(false), ValidFolder(true)};
  std::size_t opened_logs = 0, refused = 0;
  for (auto seed = first_seed; seed < first_seed + rounds && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("TRIBUTARY_TEST_SEED={}", seed));
    SeededRandom random(seed);
    const auto fs = folders[random.below(2)]->copy();
    for (auto n = 1 + random.below(3); n > 0; --n) Spoil(*fs, random);
    auto directory = LogDirectory::open(*fs, clock_, options_);
    if (!directory) {
      ++refused;
      ExpectClear(directory.error());
      continue;
    }
    for (const auto& found : (*directory)->found()) {
      auto log = (*directory)->open_log(found.partition, config_);
      if (!log) {
        ++refused;
        ExpectClear(log.error());
        continue;
      }
      ++opened_logs;
      Use(**log);
      const auto end = (*log)->log_end_offset();
      const bool scanned = (*log)->recovery().scanned;
      if (!(*log)->close_cleanly()) continue;
      log->reset();
      (*directory)->set_recovery_point(found.partition, end);
      auto again = (*directory)->open_log(found.partition, config_);
      if (again) {
        EXPECT_EQ((*again)->log_end_offset(), end);
      } else {  // a stop that seemed clean hid the damage
        EXPECT_FALSE(scanned) << again.error().message;
        ExpectClear(again.error());
      }
    }
  }
  EXPECT_GT(opened_logs, rounds / 4);
  EXPECT_GT(refused, rounds / 100);
}

}  // namespace
}  // namespace tributary
