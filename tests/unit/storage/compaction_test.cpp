// Cleaning one log. What a crash leaves of it: tests/sim/storage/compaction_crash_test.cpp.

#include <algorithm>
#include <limits>
#include <map>

#include "cluster/storage/compaction_point.h"
#include "cluster/storage/key_map.h"
#include "common/record/record_writer.h"
#include "tests/unit/storage/cleaner_fixture.h"

namespace tributary {
namespace {

TEST_F(LogCleanerTest, TheNewestRecordOfEachKeyStaysAndTheOpenSegmentIsLeftAlone) {
  Open();
  AppendKeys({"a", "b", "a"});
  AppendKeys({"c", "b"});
  CloseSegment();
  AppendKeys({"a", "c"});
  Flush();
  const auto report = Clean();
  EXPECT_EQ(report.first_dirty, Offset(5));
  EXPECT_EQ(report.records_read, 5u);
  EXPECT_EQ(report.records_kept, 3u);
  EXPECT_EQ(Records(), (Strings{"2:a", "3:c", "4:b", "5:a", "6:c"}));
  EXPECT_FALSE(Plan());  // nothing new
  Kill();
  Open();
  EXPECT_EQ(Records(), (Strings{"2:a", "3:c", "4:b", "5:a", "6:c"}));
  EXPECT_FALSE(Plan());  // it knows what is clean
  CloseSegment();
  EXPECT_EQ(Clean().first_dirty, Offset(7));
  EXPECT_EQ(Records(), (Strings{"4:b", "5:a", "6:c"}));
}

TEST_F(LogCleanerTest, SmallSegmentsBecomeOne) {
  Open();
  for (int i = 0; i < 5; ++i) {
    AppendKeys({fmt::format("key-{}", i), "same"});
    CloseSegment();
  }
  const auto report = Clean();
  EXPECT_EQ(report.segments_before, 5u);
  EXPECT_EQ(report.segments_after, 1u);
  EXPECT_EQ(log_->segment_count(), 2u);
  EXPECT_EQ(Records(), (Strings{"0:key-0", "2:key-1", "4:key-2", "6:key-3", "8:key-4", "9:same"}));
  EXPECT_EQ(log_->read(Offset(1), 1, Offset(10), true)->first_offset, Offset(0));  // the batch of what was there
}

TEST_F(LogCleanerTest, CodecsTimesProducersAndSequencesStay) {
  Open();
  for (const auto codec : {Compression::kNone, Compression::kGzip, Compression::kSnappy, Compression::kLz4, Compression::kZstd}) {
    Strings keys(60, "same");
    keys.back() = fmt::format("last of {}", static_cast<int>(codec));
    AppendKeys(keys, {.compression = codec, .producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(0),
                      .base_sequence = Sequence(static_cast<std::int32_t>(log_->log_end_offset().value()))}, 5'000);
    CloseSegment();
  }
  EXPECT_EQ(Clean().records_kept, 6u);
  const auto found = log_->offset_for_time(5'000, log_->log_end_offset());
  EXPECT_EQ((*found)->offset, Offset(59));
  EXPECT_EQ((*found)->timestamp_ms, 5'000);
  EXPECT_EQ(Records().size(), 6u);
}

TEST_F(LogCleanerTest, TheTimeThatTheBrokerGaveStaysToo) {
  options_.config.timestamp_type = TimestampType::kLogAppendTime;
  options_.config.compression = Compression::kLz4;
  Open();
  const auto first_ms = clock_.wall_now_ms();
  AppendKeys({"a", "b", "a"});
  clock_.advance(std::chrono::seconds(1));
  AppendKeys({"-c", "b"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"2:a", "3:-c", "4:b"}));
  const auto found = log_->offset_for_time(first_ms, log_->log_end_offset()).value();
  EXPECT_EQ(found->offset, Offset(2));
  EXPECT_EQ(found->timestamp_ms, first_ms);
  const auto largest = log_->offset_of_max_timestamp(log_->log_end_offset()).value();
  EXPECT_EQ(largest->offset, Offset(3));
  EXPECT_EQ(largest->timestamp_ms, first_ms + 1'000);
}

TEST_F(LogCleanerTest, ATombstoneGoesWhenItsTimeHasComeAfterItsFirstCleaning) {
  Open();
  AppendKeys({"a", "b"});
  AppendKeys({"-a"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"1:b", "2:-a"}));
  clock_.advance(std::chrono::milliseconds(999));
  AppendKeys({"c"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"1:b", "2:-a", "3:c"}));
  clock_.advance(std::chrono::milliseconds(1));
  AppendKeys({"d"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"1:b", "3:c", "4:d"}));
}

TEST_F(LogCleanerTest, ItStopsWhenItIsToldAndLeavesTheLogAsItWas) {
  Open();
  for (int i = 0; i < 5; ++i) AppendKeys({"a", "b"});
  CloseSegment();
  const auto before = Records();
  const auto plan = Plan();
  SameThreadHost host(*log_);
  host.spent_max = 300;
  EXPECT_EQ(clean_log(*fs_, clock_, *plan, cleaner_, host).error().code, Errc::kUnavailable);
  EXPECT_EQ(Records(), before);
  for (const auto& name : Names()) EXPECT_FALSE(name.ends_with(".cleaned")) << name;
  EXPECT_EQ(Clean().records_kept, 2u);  // another time
}

TEST_F(LogCleanerTest, ADamagedBatchIsNamedAndNothingIsRewritten) {
  Open();
  AppendKeys({"a", "b"});
  AppendKeys({"a", "b"});
  CloseSegment();
  FlipByte(Path(0, kLogSuffix), 70);
  const auto report = TryClean();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::kCorrupt);
  EXPECT_NE(report.error().message.find(Path(0, kLogSuffix)), std::string::npos);
  EXPECT_TRUE(fs_->exists(Path(0, kLogSuffix)));
}

TEST_F(LogCleanerTest, KeysThatDoNotFitInMemoryAreCleanedByTheNextCleanings) {
  Open();
  for (int i = 0; i < 10; ++i) AppendKeys({fmt::format("key-{}", i % 5), fmt::format("key-{}", i), "same"});
  CloseSegment();
  cleaner_.memory_bytes = 24 * 8;  // six keys
  int cleanings = 0;
  for (; Plan(); ++cleanings) {
    log_->end_cleaning(std::nullopt, true);
    Clean();
    ASSERT_LT(cleanings, 20);
  }
  EXPECT_GT(cleanings, 1);
  Strings keys;
  for (const auto& record : Records()) keys.push_back(record.substr(record.find(':') + 1));
  std::ranges::sort(keys);
  EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
  EXPECT_EQ(keys.size(), 11u);

  AppendKeys({"1", "2", "3", "4", "5", "6", "7", "8", "9"});
  CloseSegment();
  EXPECT_EQ(TryClean().error().code, Errc::kNoSpace);  // not one batch
}

TEST_F(LogCleanerTest, SegmentsAreNotRemovedWhileTheyAreCleaned) {
  Open();
  AppendKeys({"a"});
  CloseSegment();
  AppendKeys({"b"});
  CloseSegment();
  const auto plan = Plan();
  ASSERT_TRUE(plan);
  log_->raise_log_start(Offset(1));
  log_->prepare_removal();
  Flush();
  EXPECT_EQ(log_->take_removable_files().segments, 0u);
  SameThreadHost host(*log_);
  ASSERT_TRUE(clean_log(*fs_, clock_, *plan, cleaner_, host));
  EXPECT_EQ(Records(), (Strings{"1:b"}));
}

TEST_F(LogCleanerTest, WithoutASnapshotTheLogStillKnowsEachProducersNewestBatch) {
  Open();
  const BatchOptions options{.producer_id = ProducerId(3), .producer_epoch = ProducerEpoch(0), .base_sequence = Sequence(0)};
  AppendKeys({"a", "a"}, options);
  AppendKeys({"a"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"2:a"}));
  Kill();
  for (const auto& name : Names())
    if (name.ends_with(kSnapshotSuffix)) {
      EXPECT_TRUE(fs_->remove(std::string(kFolder) + "/" + name)) << name;
    }
  Open();
  BatchBuilder builder;
  builder.append(1'000, as_bytes("a"), as_bytes("0"));
  builder.append(1'000, as_bytes("a"), as_bytes("1"));
  const auto again = log_->append(builder.finish(options).value(), LeaderEpoch(0));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->base_offset, Offset(0));
}

TEST_F(LogCleanerTest, ATombstoneThatIsToStayForEverDoes) {
  cleaner_.delete_retention_ms = std::numeric_limits<std::int64_t>::max();
  Open();
  AppendKeys({"a"});
  AppendKeys({"-a"});
  CloseSegment();
  Clean();
  AppendKeys({"b"});
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"1:-a", "2:b"}));
}

TEST_F(LogCleanerTest, ABatchThatWasMissingBeforeIsNotMadeAGap) {
  Open();
  AppendKeys({"a"});
  AppendKeys({"b"});
  AppendKeys({"c"});
  CloseSegment();
  AppendKeys({"d"});
  CloseSegment();
  AppendKeys({"e"});
  CloseSegment();
  auto bytes = FileBytes(Path(0, kLogSuffix));
  const auto first = static_cast<std::ptrdiff_t>(parse_batch_header(bytes)->total_bytes());
  bytes.erase(bytes.begin() + first, bytes.begin() + 2 * first);
  CloseCleanly();
  ASSERT_TRUE(fs_->remove(Path(0, kLogSuffix)));
  Overwrite(Path(0, kLogSuffix), 0, bytes);
  Open();
  EXPECT_EQ(TryClean().error().code, Errc::kCorrupt);
  EXPECT_EQ(log_->read(Offset(1), 1, Offset(5), true).error().code, Errc::kCorrupt);
}

TEST_F(LogCleanerTest, ADiskThatIsFullAtTheRenameLeavesNothingBehindAndItCanBeTriedAgain) {
  Open();
  AppendKeys({"a"});
  AppendKeys({"a"});
  CloseSegment();
  fs_->set_hook([](sim::SimulatedFileSystem::Operation operation, const std::string&) -> Result<> {
    if (operation == sim::SimulatedFileSystem::Operation::kRename) return fail(Errc::kNoSpace, "full");
    return {};
  });
  EXPECT_EQ(TryClean().error().code, Errc::kNoSpace);
  fs_->set_hook({});
  for (const auto& name : Names()) EXPECT_FALSE(name.ends_with(".cleaned")) << name;
  EXPECT_EQ(Clean().records_kept, 1u);
}

// Better too long than too short: who reads it only then would keep the key.
TEST_F(LogCleanerTest, ATombstoneStaysForItsTimeThoughTheClockGoesBackMeanwhile) {
  Open();
  AppendKeys({"a", "-b"});
  CloseSegment();
  const auto now = clock_.wall_now_ms();
  Clean();
  for (const WallMs jump : {now - 3'600'000, WallMs{0}, now}) {
    clock_.jump_wall_to(jump);
    AppendKeys({fmt::format("c{}", jump)});
    CloseSegment();
    Clean();
    EXPECT_EQ(std::ranges::count(Records(), "1:-b"), 1) << jump;
  }
  clock_.advance(std::chrono::milliseconds(cleaner_.delete_retention_ms));
  AppendKeys({"d"});
  CloseSegment();
  Clean();
  EXPECT_EQ(std::ranges::count(Records(), "1:-b"), 0);
}

TEST_F(LogCleanerTest, IndexesThatDidNotGetTheirNamesAreNoMatterToTheNextCleaning) {
  options_.config.index_interval_bytes = 50;
  Open();
  for (int i = 0; i < 8; ++i) AppendKeys({fmt::format("a{}", i)}, {}, 1'000 - i);
  CloseSegment();
  fs_->set_hook([](sim::SimulatedFileSystem::Operation operation, const std::string& path) -> Result<> {
    const bool refused = operation == sim::SimulatedFileSystem::Operation::kRename && path.find("index") != std::string::npos;
    return refused ? Result<>(fail(Errc::kIo, "refused")) : Result<>();
  });
  Clean();
  fs_->set_hook({});
  (void)Records();  // the indexes are in use
  AppendKeys({"b"});
  CloseSegment();
  const auto plan = Plan();
  ASSERT_TRUE(plan);
  SameThreadHost host(*log_);
  host.spent_max = 900;
  EXPECT_FALSE(clean_log(*fs_, clock_, *plan, cleaner_, host));
  for (std::int64_t offset = 0; offset < 8; ++offset) {
    const auto read = log_->read(Offset(offset), 1, log_->log_end_offset(), true);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->first_offset, Offset(offset));
    const auto found = log_->offset_for_time(1'000 - offset, log_->log_end_offset());
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ((*found)->offset, Offset(0));
  }
}

TEST_F(LogCleanerTest, AHeaderThatIsLeftHasNoTimestamp) {
  Open();
  AppendKeys({"a"}, {}, 1'000);
  AppendKeys({"b"}, {}, 9'000);  // the segment's last batch
  CloseSegment();
  options_.config.segment_bytes = 100;
  log_->set_config(options_.config);
  AppendKeys({"b"}, {}, 2'000);
  AppendKeys({"c"}, {}, 3'000);
  CloseSegment();
  Clean();
  EXPECT_EQ(Records(), (Strings{"0:a", "2:b", "3:c"}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ((*log_->offset_of_max_timestamp(log_->log_end_offset()))->offset, Offset(3));
    Kill();
    Open();
  }
}

TEST_F(LogCleanerTest, AWrongClockKeepsNothingForEverInACleanedLog) {
  Open();
  fs_->set_wall_ms(clock_.wall_now_ms());
  const auto future = clock_.wall_now_ms() + 1'000'000'000'000;
  AppendKeys({"a"}, {}, future);
  CloseSegment();
  for (int hour = 0; hour < 3; ++hour) {
    clock_.advance(std::chrono::hours(1));
    fs_->set_wall_ms(clock_.wall_now_ms());
    options_.config.segment_bytes = 100;  // nothing is merged
    log_->set_config(options_.config);
    AppendKeys({"b"}, {}, future);
    CloseSegment();
    Clean();
  }
  EXPECT_EQ(log_->retention_point({.ms = 2 * 3'600'000}, clock_.wall_now_ms()), Offset(1));
}

TEST_F(LogCleanerTest, ABatchThatNobodyCanReadToItsEndReplacesNothing) {
  Open();
  AppendKeys({"a"});
  CloseSegment();
  Bytes records;
  append_record(records, 0, 0, as_bytes("a"), as_bytes(std::string(200, 'v')), {});
  records.resize(records.size() + 200, 0xff);  // no record
  BatchHeader header;
  header.last_offset_delta = 1;
  header.record_count = 2;
  Compressor compressor;
  Bytes scratch;
  const auto bad = compress_batch(header, records, Compression::kZstd, std::nullopt, compressor, scratch).value();
  ASSERT_TRUE(log_->append(bad, LeaderEpoch(0)));
  CloseSegment();
  EXPECT_GE(Clean().unreadable_batches, 1u);
  EXPECT_EQ(log_->read(Offset(0), 1, Offset(3), true)->first_offset, Offset(0));
}

TEST_F(LogCleanerTest, AnUnreadableCheckpointCostsACleaningOnly) {
  Open();
  AppendKeys({"a", "b"});
  AppendKeys({"a"});
  CloseSegment();
  Clean();
  const auto path = std::string(kFolder) + "/compaction-checkpoint";
  EXPECT_EQ((*load_compaction_point(*fs_, kFolder))->first_dirty, Offset(3));
  Overwrite(path, 0, as_bytes("x"));
  Kill();
  Open();
  EXPECT_EQ(Records(), (Strings{"1:b", "2:a"}));
  EXPECT_EQ(Clean().first_dirty, Offset(3));
  EXPECT_EQ((*load_compaction_point(*fs_, kFolder))->gaps_below, Offset(3));  // a gap above is damage, as before
}

TEST_F(LogCleanerTest, WithoutCompactionAMissingBatchIsDamage) {
  Open();
  AppendKeys({"a", "b"});
  AppendKeys({"c"});
  AppendKeys({"d"});
  CloseSegment();
  // The middle batch's base offset, which no CRC covers, is raised.
  const auto first = parse_batch_header(FileBytes(Path(0, kLogSuffix))).value().total_bytes();
  const std::uint8_t raised = 3;
  Overwrite(Path(0, kLogSuffix), first + 7, ByteView(&raised, 1));
  EXPECT_EQ(log_->read(Offset(2), 1, Offset(4), true).error().code, Errc::kCorrupt);
}

TEST(KeyMapTest, KeepsTheLargestOffsetOfEachKeyUntilItIsFull) {
  KeyMap keys(24 * 1'000, 42);
  std::map<std::string, Offset> expected;
  std::int64_t offset = 0;
  while (true) {
    const auto key = fmt::format("key-{}", offset * 7919 % 900);
    if (!keys.put(as_bytes(key), Offset(offset))) break;
    expected[key] = Offset(offset++);
    ASSERT_LE(keys.bytes(), 24'000u);
  }
  EXPECT_EQ(keys.size(), 850u);
  for (const auto& [key, at] : expected) EXPECT_EQ(keys.find(as_bytes(key)), at);
  EXPECT_EQ(keys.find(as_bytes("other")), std::nullopt);
  EXPECT_TRUE(keys.put(as_bytes("key-0"), Offset(1'000'000)));  // known ones still rise
  EXPECT_TRUE(keys.put(as_bytes("key-0"), Offset(0)));
  EXPECT_EQ(keys.find(as_bytes("key-0")), Offset(1'000'000));
}

}  // namespace
}  // namespace tributary
