#include "cluster/storage/log_directory.h"

#include <stdlib.h>

#include "tests/unit/storage/log_fixture.h"

namespace tributary {
namespace {

using Operation = sim::SimulatedFileSystem::Operation;

class LogDirectoryTest : public testing::Test {
 protected:
  LogDirectoryTest() {
    options_.folder = "/var/lib/broker";
    options_.lock = false;
  }
  Result<> TryOpen() {
    directory_.reset();
    auto opened = LogDirectory::open(*fs_, clock_, options_);
    if (!opened) return tl::unexpected<Error>(opened.error());
    directory_ = *std::move(opened);
    return {};
  }
  void Open() {
    const auto opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  void PowerCut(std::uint64_t seed = 1) {
    SeededRandom random(seed);
    fs_ = fs_->after_power_cut(random);
  }
  std::unique_ptr<Log> Create(const TopicPartition& tp = kPartition, std::uint64_t id = 5) {
    auto log = directory_->create_log(tp, uuid_from_random(id, id), {});
    EXPECT_TRUE(log) << log.error().message;
    return *std::move(log);
  }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(*fs_, options_.folder + "/" + name, as_bytes(text)));
  }
  std::string Text(const std::string& name) {
    return std::string(as_string_view(read_file(*fs_, options_.folder + "/" + name, 1 << 20).value()));
  }
  std::vector<std::string> Names() { return fs_->list(options_.folder).value(); }
  std::vector<std::string> FoundNames() {
    std::vector<std::string> names;
    for (const auto& found : directory_->found()) names.push_back(partition_folder_name(found.partition));
    return names;
  }

  inline static const TopicPartition kPartition{"readings", PartitionIndex(0)};
  inline static const Uuid kTopic = uuid_from_random(5, 5);  // of what Create() creates
  std::unique_ptr<sim::SimulatedFileSystem> fs_ = std::make_unique<sim::SimulatedFileSystem>();
  FakeClock clock_;
  LogDirectoryOptions options_;
  std::unique_ptr<LogDirectory> directory_;
};

TEST_F(LogDirectoryTest, ANewFolderGetsAnIdentityThatStays) {
  Open();
  const auto id = directory_->cluster_id();
  EXPECT_EQ(id.size(), 22u);
  EXPECT_EQ(Text("meta.properties"), "version=1\ncluster.id=" + id + "\nnode.id=0\n");
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    PowerCut(seed);
    Open();
    EXPECT_EQ(directory_->cluster_id(), id);
  }
}

TEST_F(LogDirectoryTest, AFolderOfAnotherBrokerClusterOrVersionIsRefused) {
  options_.cluster_id = "one";
  Open();
  options_.broker_id = BrokerId(4);
  EXPECT_EQ(TryOpen().error().message,
            "/var/lib/broker belongs to broker 0, not to broker 4; choose another data folder");
  options_.broker_id = BrokerId(0);
  options_.cluster_id = "two";
  EXPECT_EQ(TryOpen().error().message,
            "/var/lib/broker belongs to the cluster one, not to two; choose another data folder");
  options_.cluster_id = "";
  Open();
  EXPECT_EQ(directory_->cluster_id(), "one");
  Write("meta.properties", "version=7\n");
  EXPECT_EQ(TryOpen().error().code, Errc::kUnsupported);
  Write("meta.properties", "\x01\x02");
  EXPECT_EQ(TryOpen().error().code, Errc::kCorrupt);
  EXPECT_NE(TryOpen().error().message.find("/var/lib/broker/meta.properties"), std::string::npos);
}

TEST_F(LogDirectoryTest, PartitionsWithoutAnIdentityAreRefused) {
  ASSERT_TRUE(fs_->create_directories("/var/lib/broker/readings-0"));
  EXPECT_EQ(TryOpen().error().code, Errc::kCorrupt);
}

TEST_F(LogDirectoryTest, ACreatedPartitionIsFoundAfterAPowerCut) {
  Open();
  auto log = Create();
  ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  log.reset();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    PowerCut(seed);
    Open();
    ASSERT_EQ(FoundNames(), std::vector<std::string>{"readings-0"});
    EXPECT_EQ(directory_->found()[0].topic_id, uuid_from_random(5, 5));
    EXPECT_EQ(directory_->open_log(kPartition, {}).value()->log_end_offset(), Offset(1));
  }
}

TEST_F(LogDirectoryTest, NamesAreCheckedAndUnique) {
  Open();
  Create();
  EXPECT_EQ(directory_->create_log(kPartition, {}, {}).error().code, Errc::kAlreadyExists);
  EXPECT_EQ(directory_->create_log({"../x", PartitionIndex(0)}, {}, {}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(directory_->open_log({"none", PartitionIndex(0)}, {}).error().code, Errc::kNotFound);
  EXPECT_EQ(directory_->remove_log({"none", PartitionIndex(0)}, kTopic).error().code, Errc::kNotFound);
}

TEST_F(LogDirectoryTest, ACreationThatFailsCanBeTriedAgain) {
  Open();
  fs_->set_hook([](Operation operation, const std::string& path) -> Result<> {
    if (operation == Operation::kCreate && path.ends_with(".log")) return fail(Errc::kNoSpace, "full");
    return {};
  });
  EXPECT_EQ(directory_->create_log(kPartition, {}, {}).error().code, Errc::kNoSpace);
  fs_->set_hook(nullptr);
  Create();
}

TEST_F(LogDirectoryTest, ACleanStopIsTrustedOnce) {
  Open();
  EXPECT_FALSE(directory_->was_clean());
  auto log = Create();
  ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->close_cleanly());
  directory_->set_recovery_point(kPartition, log->stable_offset());
  ASSERT_TRUE(directory_->mark_clean_shutdown());
  EXPECT_EQ(Text("recovery-point-offset-checkpoint"), "0\n1\nreadings 0 1\n");
  PowerCut();
  Open();
  EXPECT_TRUE(directory_->was_clean());
  EXPECT_FALSE(directory_->open_log(kPartition, {}).value()->recovery().scanned);
  EXPECT_TRUE(directory_->open_log(kPartition, {}).value()->recovery().scanned);  // not closed cleanly
  PowerCut();
  Open();
  EXPECT_FALSE(directory_->was_clean());
}

TEST_F(LogDirectoryTest, LogStartsSurviveAndOnlyRise) {
  Open();
  auto log = Create();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  ASSERT_TRUE(directory_->raise_log_starts({{kPartition, Offset(3)}}));
  ASSERT_TRUE(directory_->raise_log_starts({{kPartition, Offset(2)}}));
  EXPECT_EQ(Text("log-start-offset-checkpoint"), "0\n1\nreadings 0 3\n");
  log.reset();
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    PowerCut(seed);
    Open();
    EXPECT_EQ(directory_->open_log(kPartition, {}).value()->log_start_offset(), Offset(3));
  }
}

TEST_F(LogDirectoryTest, ALogStartThatCouldNotBeWrittenIsNotWrittenWithTheNextOne) {
  const TopicPartition other{"readings", PartitionIndex(1)};
  Open();
  Create();
  Create(other);
  fs_->set_hook([](Operation operation, const std::string&) -> Result<> {
    return operation == Operation::kSyncData ? Result<>(fail(Errc::kIo, "broken")) : Result<>{};
  });
  EXPECT_EQ(directory_->raise_log_starts({{kPartition, Offset(3)}}).error().code, Errc::kIo);
  fs_->set_hook(nullptr);
  ASSERT_TRUE(directory_->raise_log_starts({{other, Offset(2)}}));
  EXPECT_EQ(Text("log-start-offset-checkpoint"), "0\n1\nreadings 1 2\n");
}

TEST_F(LogDirectoryTest, ALogStartIsForgottenWithItsPartition) {
  Open();
  auto log = Create();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  ASSERT_TRUE(directory_->raise_log_starts({{kPartition, Offset(3)}}));
  log.reset();
  ASSERT_TRUE(directory_->remove_log(kPartition, kTopic));
  EXPECT_EQ(Create(kPartition, 6)->log_start_offset(), Offset(0));
  PowerCut();
  Open();
  EXPECT_EQ(directory_->open_log(kPartition, {}).value()->log_start_offset(), Offset(0));
}

TEST_F(LogDirectoryTest, TheCheckpointIsTheDurablePoint) {
  Open();
  auto log = Create();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  directory_->set_recovery_point(kPartition, log->stable_offset());
  ASSERT_TRUE(directory_->write_checkpoint());
  log.reset();
  auto file = fs_->open(options_.folder + "/readings-0/00000000000000000000.log", OpenMode::kReadWrite).value();
  ASSERT_TRUE(file->truncate(10));
  Open();
  EXPECT_EQ(directory_->open_log(kPartition, {}).error().code, Errc::kCorrupt);
}

TEST_F(LogDirectoryTest, ADamagedCheckpointIsIgnoredWithAWarning) {
  Open();
  Create();
  Write("recovery-point-offset-checkpoint", "garbage");
  Open();
  ASSERT_EQ(directory_->warnings().size(), 1u);
  EXPECT_NE(directory_->warnings()[0].find("recovery-point-offset-checkpoint"), std::string::npos);
  EXPECT_TRUE(directory_->open_log(kPartition, {}));
}

TEST_F(LogDirectoryTest, ADeletedPartitionStaysDeletedAndItsNameCanBeUsedAgain) {
  Open();
  auto log = Create();
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  directory_->set_recovery_point(kPartition, log->stable_offset());
  ASSERT_TRUE(directory_->write_checkpoint());
  ASSERT_TRUE(directory_->remove_log(kPartition, kTopic));
  EXPECT_FALSE(fs_->exists(options_.folder + "/readings-0"));
  log.reset();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto before = fs_->copy();
    PowerCut(seed);
    Open();
    EXPECT_TRUE(FoundNames().empty());
    for (const auto& name : Names()) EXPECT_FALSE(name.ends_with("-delete"));
    EXPECT_EQ(Create()->log_end_offset(), Offset(0));  // the old recovery point is gone
    Open();
    EXPECT_EQ(directory_->open_log(kPartition, {}).value()->log_end_offset(), Offset(0));
    fs_ = std::move(before);
  }
}

TEST_F(LogDirectoryTest, AnInterruptedDeletionIsFinishedAtTheNextOpen) {
  Open();
  Create().reset();
  fs_->set_hook([](Operation operation, const std::string&) -> Result<> {
    if (operation == Operation::kRemove) return fail(Errc::kIo, "killed");
    return {};
  });
  EXPECT_FALSE(directory_->remove_log(kPartition, kTopic));
  fs_->set_hook(nullptr);
  EXPECT_EQ(Names().back().substr(0, 11), "readings-0.");
  Open();
  EXPECT_TRUE(FoundNames().empty());
  for (const auto& name : Names()) EXPECT_FALSE(name.starts_with("readings"));
}

TEST_F(LogDirectoryTest, APartitionOfAnotherTopicIsNotDeleted) {
  Open();
  Create().reset();
  EXPECT_EQ(directory_->remove_log(kPartition, uuid_from_random(6, 6)).error().code, Errc::kNotFound);
  EXPECT_TRUE(directory_->open_log(kPartition, {}));
  EXPECT_TRUE(directory_->remove_log(kPartition, kTopic));
}

TEST_F(LogDirectoryTest, APartitionWithoutItsIdIsDeletedOnlyIfItWasOpened) {
  for (const char* metadata : {"", "garbage"}) {
    Open();
    auto log = Create();
    ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
    log.reset();
    Write("readings-0/partition.metadata", metadata);
    Open();
    EXPECT_EQ(directory_->remove_log(kPartition, kTopic).error().code, Errc::kNotFound);
    EXPECT_TRUE(directory_->open_log(kPartition, {}));
    EXPECT_TRUE(directory_->remove_log(kPartition, kTopic));
    // What is put in its place is not the same.
    ASSERT_TRUE(fs_->create_directories(options_.folder + "/readings-0"));
    EXPECT_EQ(directory_->remove_log(kPartition, kTopic).error().code, Errc::kNotFound);
    ASSERT_TRUE(fs_->remove(options_.folder + "/readings-0"));
  }
}

TEST_F(LogDirectoryTest, AFullDiskDoesNotKeepAPartitionFromBeingDeleted) {
  Open();
  auto log = Create();
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  directory_->set_recovery_point(kPartition, log->stable_offset());
  ASSERT_TRUE(directory_->write_checkpoint());
  log.reset();
  fs_->set_hook([](Operation operation, const std::string& path) -> Result<> {
    if (operation == Operation::kWrite || operation == Operation::kCreate) return fail(Errc::kNoSpace, path);
    return {};
  });
  EXPECT_TRUE(directory_->remove_log(kPartition, kTopic));
  EXPECT_FALSE(fs_->exists(options_.folder + "/readings-0"));

  // Only the checkpoint cannot be written now: the old point would be the new partition's after a crash.
  fs_->set_hook([](Operation operation, const std::string& path) -> Result<> {
    if (operation == Operation::kCreate && path.find("checkpoint") != std::string::npos)
      return fail(Errc::kNoSpace, path);
    return {};
  });
  EXPECT_EQ(directory_->create_log(kPartition, kTopic, {}).error().code, Errc::kNoSpace);
  fs_->set_hook(nullptr);
  Create().reset();
  Open();
  const auto opened = directory_->open_log(kPartition, {});
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->log_end_offset(), Offset(0));
}

TEST_F(LogDirectoryTest, ADeletionThatFailsCanBeTriedAgain) {
  for (const auto failing : {Operation::kRename, Operation::kSyncDirectory, Operation::kRemove}) {
    Open();
    Create().reset();
    fs_->set_hook([failing](Operation operation, const std::string&) -> Result<> {
      if (operation == failing) return fail(Errc::kIo, "for a while");
      return {};
    });
    EXPECT_EQ(directory_->remove_log(kPartition, kTopic).error().code, Errc::kIo);
    fs_->set_hook(nullptr);
    const auto again = directory_->remove_log(kPartition, kTopic);
    EXPECT_TRUE(again || again.error().code == Errc::kNotFound) << again.error().message;
    PowerCut();
    Open();
    EXPECT_TRUE(FoundNames().empty());
  }
}

TEST_F(LogDirectoryTest, APartitionFolderRemovedByHandTakesItsRecoveryPointAlong) {
  Open();
  Create().reset();
  directory_->set_recovery_point(kPartition, Offset(7));
  ASSERT_TRUE(directory_->write_checkpoint());
  ASSERT_TRUE(remove_recursively(*fs_, options_.folder + "/readings-0"));
  Open();
  EXPECT_EQ(Text("recovery-point-offset-checkpoint"), "0\n0\n");
  EXPECT_EQ(Create()->log_end_offset(), Offset(0));
}

TEST_F(LogDirectoryTest, ADeletedPartitionWhoseFolderWasGoneLeavesNoRecoveryPoint) {
  Open();
  Create().reset();
  directory_->set_recovery_point(kPartition, Offset(7));
  ASSERT_TRUE(directory_->write_checkpoint());
  ASSERT_TRUE(remove_recursively(*fs_, options_.folder + "/readings-0"));
  EXPECT_EQ(directory_->remove_log(kPartition, kTopic).error().code, Errc::kNotFound);
  Create().reset();
  Open();
  EXPECT_TRUE(directory_->open_log(kPartition, {}));
}

TEST_F(LogDirectoryTest, StrayFoldersAndFilesAreLeftAlone) {
  Open();
  Create().reset();
  ASSERT_TRUE(fs_->create_directories(options_.folder + "/lost+found"));
  ASSERT_TRUE(fs_->create_directories(options_.folder + "/my.stuff-delete"));
  Write("notes-1", "a file that is called like a partition");
  Write("metadata.db", "x");
  Open();
  EXPECT_EQ(FoundNames(), std::vector<std::string>{"readings-0"});
  EXPECT_EQ(directory_->warnings().size(), 3u);
  EXPECT_TRUE(fs_->exists(options_.folder + "/my.stuff-delete"));
  EXPECT_TRUE(fs_->exists(options_.folder + "/notes-1"));
}

TEST_F(LogDirectoryTest, AnInterruptedCreationIsUndone) {
  Open();
  ASSERT_TRUE(fs_->create_directories(options_.folder + "/readings-0"));
  ASSERT_TRUE(fs_->open(options_.folder + "/readings-0/00000000000000000000.log", OpenMode::kCreate));
  Open();
  EXPECT_TRUE(FoundNames().empty());
  Create();
}

TEST_F(LogDirectoryTest, RecordsWithoutMetadataAreKept) {
  Open();
  auto log = Create();
  ASSERT_TRUE(log->append(batch({}), LeaderEpoch(0)));
  ASSERT_TRUE(log->flush());
  log.reset();
  ASSERT_TRUE(fs_->remove(options_.folder + "/readings-0/partition.metadata"));
  Open();
  EXPECT_EQ(FoundNames(), std::vector<std::string>{"readings-0"});
  EXPECT_EQ(directory_->warnings().size(), 1u);
  directory_->set_recovery_point(kPartition, Offset(1));
  ASSERT_TRUE(directory_->write_checkpoint());
  ASSERT_TRUE(fs_->remove(options_.folder + "/readings-0/00000000000000000000.log"));
  Open();
  EXPECT_EQ(FoundNames(), std::vector<std::string>{"readings-0"});
  EXPECT_EQ(directory_->open_log(kPartition, {}).error().code, Errc::kCorrupt);
}

TEST_F(LogDirectoryTest, APartitionWithDamagedMetadataIsFoundWithoutItsId) {
  Open();
  Create().reset();
  Write("readings-0/partition.metadata", "garbage");
  Open();
  ASSERT_EQ(directory_->found().size(), 1u);
  EXPECT_FALSE(directory_->found()[0].topic_id);
  EXPECT_EQ(directory_->warnings().size(), 1u);
}

TEST(LogDirectoryOnDisk, ALockedFolderIsRefusedAndSurvivesKills) {
  std::string pattern = testing::TempDir() + "tributary-storage-XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  LogDirectoryOptions options;
  options.folder = folder + "/a/b/";
  const TopicPartition tp{"readings", PartitionIndex(3)};
  {
    auto directory = LogDirectory::open(posix_file_system(), system_clock(), options).value();
    const auto second = LogDirectory::open(posix_file_system(), system_clock(), options);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::kLocked);
    auto log = directory->create_log(tp, {}, {.segment_bytes = 3000}).value();
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(log->append(batch({.value_bytes = 200}), LeaderEpoch(0)));
  }
  {
    auto directory = LogDirectory::open(posix_file_system(), system_clock(), options).value();
    auto log = directory->open_log(tp, {.segment_bytes = 3000}).value();
    EXPECT_EQ(log->log_end_offset(), Offset(50));
    EXPECT_GT(log->segment_count(), 3u);
    const auto slice = log->read(Offset(20), 1000, Offset(50), true).value();
    EXPECT_EQ(slice.first_offset, Offset(20));
    EXPECT_GE(slice.file->native_handle(), 0);
    ASSERT_TRUE(log->close_cleanly());
    directory->set_recovery_point(tp, log->stable_offset());
    ASSERT_TRUE(directory->mark_clean_shutdown());
  }
  auto directory = LogDirectory::open(posix_file_system(), system_clock(), options).value();
  EXPECT_TRUE(directory->was_clean());
  EXPECT_FALSE(directory->open_log(tp, {}).value()->recovery().scanned);
  EXPECT_TRUE(remove_recursively(posix_file_system(), folder));
}

}  // namespace
}  // namespace tributary
