// The controller alone, on a disk and a metadata store that fail when told to.

#include "cluster/server/controller.h"

#include "cluster/metadata/sqlite_metadata_store.h"
#include "cluster/server/await.h"
#include "cluster/server/server_metrics.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

/// A real store whose commits that touch a given key fail: undone with kNoSpace, or done with kIo.
class FailingStore final : public MetadataStore {
 public:
  enum class Doing { kNothing, kAll };

  explicit FailingStore(const std::string& path) : real_(SqliteMetadataStore::open(path).value()) {}

  /// The first `passing` ones still pass, and `failing` after them fail.
  void fail_commits(std::string key_part, Doing doing = Doing::kNothing, int passing = 0, int failing = 1'000'000) {
    const std::scoped_lock lock(mutex_);
    failing_ = std::move(key_part);
    doing_ = doing;
    from_ = passing;
    below_ = passing + failing;
    seen_ = 0;
  }

  void get(std::string key, Done<std::optional<MetadataEntry>> done) override {
    real_->get(std::move(key), std::move(done));
  }
  void list(std::string parent, Done<std::vector<MetadataEntry>> done) override {
    real_->list(std::move(parent), std::move(done));
  }
  void commit(std::vector<MetadataWrite> writes, Done<NewVersions> done) override {
    const std::scoped_lock lock(mutex_);
    const bool matches = std::ranges::any_of(writes, [&](const MetadataWrite& write) {
      return !failing_.empty() && write.key.find(failing_) != std::string::npos;
    });
    const int number = matches ? seen_++ : -1;
    const bool fails = number >= from_ && number < below_;
    if (fails && doing_ == Doing::kNothing) return done(fail(Errc::kNoSpace, "the store is full"));
    if (!fails) return real_->commit(std::move(writes), std::move(done));
    real_->commit(std::move(writes), [done = std::move(done)](const Result<NewVersions>&) {
      done(fail(Errc::kIo, "the answer is lost"));
    });
  }
  WatchId watch(std::string key, std::function<void(const std::string&)> changed) override {
    return real_->watch(std::move(key), std::move(changed));
  }
  void unwatch(WatchId id) override { real_->unwatch(id); }
  void on_session_state(std::function<void(SessionState)> changed) override {
    real_->on_session_state(std::move(changed));
  }

 private:
  const std::unique_ptr<SqliteMetadataStore> real_;
  std::mutex mutex_;
  std::string failing_;  // under mutex_; empty: none
  Doing doing_{};        // under mutex_
  int from_ = 0, below_ = 0, seen_ = 0;  // under mutex_
};

/// What a broker has without its listeners.
struct Parts {
  Parts(const BrokerOptions& options, ControlledFileSystem& fs)
      : defaults(topic_defaults(options)),
        directory(LogDirectory::open(fs, system_clock(), {.folder = options.data, .broker_id = options.node_id}).value()),
        store(options.data + "/metadata.db"), flusher(fs, system_clock()),
        services{fs, system_clock(), flusher, metrics, [](const TopicPartition&, const Error&) {},
                 [](const TopicPartition&) {}, [](const TopicPartition&) {}} {
    shards.push_back(std::make_unique<Shard>(0, "shard-0"));
    shards[0]->start();
    controller = std::make_unique<Controller>(options, defaults, *directory, store, services, shards);
  }
  ~Parts() {
    controller->stop();
    flusher.stop();
    for (int round = 0; round < 3; ++round) shards[0]->run_and_wait([] {});
    shards[0]->stop();
  }

  const TopicSettings defaults;
  MetricsRegistry registry;
  ServerMetrics metrics{registry};
  std::unique_ptr<LogDirectory> directory;
  FailingStore store;
  Flusher flusher;
  PartitionServices services;
  Controller::Shards shards;
  std::unique_ptr<Controller> controller;
};

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    options_.data = folder_ / "data";
    options_.checkpoint_interval = 1h;
    start();
  }
  ~ControllerTest() override { fs_.release(); }

  void start() {
    parts_ = std::make_unique<Parts>(options_, fs_);
    const auto opened = parts_->controller->open();
    ASSERT_TRUE(opened) << opened.error().message;
    parts_->controller->start();
  }
  /// Leaves the folder as kill -9 would.
  void restart() {
    parts_.reset();
    start();
  }

  TopicOutcome create(const std::string& name, std::int32_t partitions = 1) {
    return wait([&](auto done) { parts_->controller->create_topics({{name, partitions, {}}}, false, home(), done); });
  }
  TopicOutcome remove(const std::string& name, const Uuid& id = {}) {
    return wait([&](auto done) { parts_->controller->delete_topics({{name, id}}, home(), done); });
  }
  TopicOutcome set_config(const std::string& topic, const std::string& name, const std::string& value) {
    const std::vector<ConfigChange> changes{{name, ConfigChange::Kind::kSet, value}};
    return wait([&](auto done) { parts_->controller->alter_configs({{topic, changes}}, false, home(), done); });
  }
  TopicOutcome grow(const std::string& topic, std::int32_t partitions) {
    return wait([&](auto done) { parts_->controller->grow_topics({{topic, partitions, {}}}, false, home(), done); });
  }
  Topic stored(const std::string& name) {
    TopicRegistry registry(parts_->store);
    const auto topics = await<std::vector<Topic>>([&](auto done) { registry.topics(std::move(done)); }).value();
    for (const auto& topic : topics)
      if (topic.name == name) return topic;
    return {};
  }
  ErrorCode append(const std::string& topic, std::int32_t index = 0) {
    auto appended = std::make_shared<Appended>();
    auto outcome = appended->outcome.get_future();
    home().post([=, this, batch = make_batch(3)] {
      const auto found = partition(topic, index);
      if (!found) return appended->on_appended(0, {.error = ErrorCode::kUnknownTopicOrPartition});
      found->append(batch, true, kDeadline, appended, 0);
    });
    return outcome.get().error;
  }
  /// -1 if there is no such partition, or it has no log.
  std::int64_t end_offset(const std::string& topic, std::int32_t index = 0) {
    std::int64_t end = -1;
    home().run_and_wait([&] {
      const auto found = partition(topic, index);
      if (found && found->is_open()) end = found->high_watermark().value();
    });
    return end;
  }
  std::size_t notes() {
    TopicRegistry registry(parts_->store);
    return await<std::vector<RemovedTopic>>([&](auto done) { registry.removed_topics(std::move(done)); })->size();
  }
  bool exists(const std::string& name) { return fs_.exists(path(name)); }
  std::string path(const std::string& name) { return options_.data + "/" + name; }
  Shard& home() { return *parts_->shards[0]; }

  TempFolder folder_;
  BrokerOptions options_;
  ControlledFileSystem fs_;
  std::unique_ptr<Parts> parts_;

 private:
  struct Appended final : AppendObserver {
    std::promise<AppendOutcome> outcome;
    void on_appended(std::uint32_t, AppendOutcome result) override { outcome.set_value(std::move(result)); }
  };
  std::shared_ptr<Partition> partition(const std::string& topic, std::int32_t index) {
    const auto* found = home().image()->find(topic);
    return found ? found->partition(PartitionIndex(index)) : nullptr;
  }
  template <class Call>
  TopicOutcome wait(Call call) {
    auto promise = std::make_shared<std::promise<TopicOutcome>>();
    auto future = promise->get_future();
    call([promise](const std::vector<TopicOutcome>& outcomes) { promise->set_value(outcomes.at(0)); });
    return future.get();
  }
};

TEST_F(ControllerTest, ANoteOfARemovedTopicNeverTouchesANewerOneOfItsName) {
  ASSERT_EQ(create("t", 2).error, ErrorCode::kNone);
  ASSERT_EQ(append("t"), ErrorCode::kNone);
  const auto note = MetadataWrite::create("/removed_topics/" + to_string(uuid_from_random(1, 2)),
                                          R"({"format":1,"name":"t","partitions":2})");
  ASSERT_TRUE(await<MetadataStore::NewVersions>([&](auto done) { parts_->store.commit({note}, std::move(done)); }));
  restart();
  EXPECT_EQ(end_offset("t"), 3);
  EXPECT_EQ(end_offset("t", 1), 0);
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ControllerTest, ANameIsGivenAgainOnlyWhenItsFormerFoldersAreGone) {
  const auto first = create("t").topic;
  append("t");
  fs_.refuse_changes("/t-0");
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(notes(), 1u);
  EXPECT_EQ(create("u").error, ErrorCode::kNone);
  fs_.refuse_changes("");
  const auto second = create("t");
  EXPECT_EQ(second.error, ErrorCode::kNone) << second.message;
  EXPECT_NE(second.topic.id, first.id);
  EXPECT_EQ(notes(), 0u);
  append("t");
  restart();
  EXPECT_EQ(end_offset("t"), 3);
}

TEST_F(ControllerTest, FoldersThatCannotBeRemovedNowGoWithALaterCheckpoint) {
  options_.checkpoint_interval = 1ms;
  restart();
  create("t");
  fs_.refuse_changes("/t-0");
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  EXPECT_TRUE(exists("t-0"));
  fs_.refuse_changes("");
  EXPECT_TRUE(eventually(kDeadline, [&] { return notes() == 0; }));
  EXPECT_FALSE(exists("t-0"));
}

TEST_F(ControllerTest, FoldersThatCouldNotBeRemovedGoWithTheNextStart) {
  create("t");
  fs_.refuse_changes("/t-0");
  remove("t");
  restart();
  EXPECT_TRUE(exists("t-0"));
  EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  fs_.refuse_changes("");
  restart();
  EXPECT_FALSE(exists("t-0"));
  EXPECT_EQ(create("t").error, ErrorCode::kNone);
}

TEST_F(ControllerTest, APartitionThatCannotBeRemovedDoesNotKeepTheOthers) {
  create("t", 3);
  fs_.refuse_changes("/t-1");
  remove("t");
  EXPECT_FALSE(exists("t-0"));
  EXPECT_TRUE(exists("t-1"));
  EXPECT_FALSE(exists("t-2"));
}

TEST_F(ControllerTest, ANoteThatCannotBeForgottenIsForgottenLater) {
  create("t");
  fs_.refuse_changes("/t-0");
  remove("t");
  fs_.refuse_changes("");
  parts_->store.fail_commits("/removed_topics");
  EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  EXPECT_FALSE(exists("t-0"));
  EXPECT_EQ(notes(), 1u);
  parts_->store.fail_commits("");
  EXPECT_EQ(create("t").error, ErrorCode::kNone);
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ControllerTest, ADeletionThatTheStoreRefusesLeavesTheTopicAsItIs) {
  create("t");
  append("t");
  parts_->store.fail_commits("/removed_topics");
  EXPECT_EQ(remove("t").error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(end_offset("t"), 3);
  EXPECT_EQ(append("t"), ErrorCode::kNone);
}

TEST_F(ControllerTest, AFolderPutInTheWayWhileTheBrokerRunsIsLeftAlone) {
  create("t");
  append("t");
  ASSERT_TRUE(fs_.rename(path("t-0"), folder_ / "kept"));
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  ASSERT_TRUE(fs_.rename(folder_ / "kept", path("t-0")));
  EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  EXPECT_TRUE(exists("t-0"));
  ASSERT_TRUE(fs_.remove(path("t-0/partition.metadata")));
  EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  restart();
  EXPECT_TRUE(exists("t-0"));
}

TEST_F(ControllerTest, ATopicWhoseFoldersDoNotSayWhoseTheyAreCanBeDeleted) {
  create("t");
  append("t");
  ASSERT_TRUE(fs_.remove(path("t-0/partition.metadata")));
  restart();
  EXPECT_EQ(end_offset("t"), 3);
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  EXPECT_FALSE(exists("t-0"));
}

TEST_F(ControllerTest, ANameIsUsableAgainOnceThereIsSpaceAfterACreationThatFailed) {
  fs_.refuse_changes("/t-1");
  parts_->store.fail_commits("/removed_topics");
  EXPECT_EQ(create("t", 2).error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(create("t", 2).error, ErrorCode::kKafkaStorageError);
  fs_.refuse_changes("");
  parts_->store.fail_commits("");
  const auto created = create("t", 3);
  EXPECT_EQ(created.error, ErrorCode::kNone) << created.message;
  EXPECT_EQ(end_offset("t", 2), 0);
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ControllerTest, ANameIsUsableAgainAfterChangesWhoseAnswersWereLost) {
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll);
  EXPECT_EQ(create("t").error, ErrorCode::kKafkaStorageError);
  parts_->store.fail_commits("");
  EXPECT_EQ(create("t").error, ErrorCode::kNone);

  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll);
  EXPECT_EQ(remove("t").error, ErrorCode::kKafkaStorageError);
  parts_->store.fail_commits("");
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  EXPECT_EQ(notes(), 0u);
  EXPECT_EQ(create("t").error, ErrorCode::kNone);
}

TEST_F(ControllerTest, ConfigsThatTheStoreRefusesAreNotGoneBy) {
  create("t");
  parts_->store.fail_commits("/topics/t");
  EXPECT_EQ(set_config("t", "max.message.bytes", "10").error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(append("t"), ErrorCode::kNone);
  parts_->store.fail_commits("");
  restart();
  EXPECT_EQ(append("t"), ErrorCode::kNone);
}

TEST_F(ControllerTest, ConfigsThatTheStoreTookWithoutAnAnswerAreGoneBy) {
  create("t");
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll);
  EXPECT_EQ(set_config("t", "max.message.bytes", "10").error, ErrorCode::kNone);
  EXPECT_EQ(append("t"), ErrorCode::kMessageTooLarge);
  parts_->store.fail_commits("");
  restart();
  EXPECT_EQ(append("t"), ErrorCode::kMessageTooLarge);
}

TEST_F(ControllerTest, AGrowthThatTheDiskRefusesIsTakenBackWhole) {
  create("t", 1);
  append("t");
  fs_.refuse_changes("/t-2/");
  EXPECT_EQ(grow("t", 4).error, ErrorCode::kKafkaStorageError);
  for (const auto* folder : {"t-1", "t-2", "t-3"}) EXPECT_FALSE(exists(folder)) << folder;
  EXPECT_EQ(stored("t").partitions, 1);
  EXPECT_EQ(stored("t").growing_to, 0);
  EXPECT_EQ(end_offset("t"), 3);
  fs_.refuse_changes("");
  EXPECT_EQ(grow("t", 4).error, ErrorCode::kNone);
  EXPECT_EQ(append("t", 3), ErrorCode::kNone);
}

TEST_F(ControllerTest, AGrowthThatACrashCutsShortIsTakenBackAtTheStart) {
  create("t", 1);
  append("t");
  // The crash comes when the folders are there and the last step is not: the store fails and stays so.
  TopicRegistry registry(parts_->store);
  const auto id = stored("t").id;
  ASSERT_TRUE(await<Topic>([&](auto done) { registry.begin_growth("t", id, 3, std::move(done)); }));
  ASSERT_TRUE(parts_->directory->create_log({"t", PartitionIndex(1)}, id, {}));
  restart();
  EXPECT_FALSE(exists("t-1"));
  EXPECT_EQ(stored("t").partitions, 1);
  EXPECT_EQ(stored("t").growing_to, 0);
  EXPECT_EQ(end_offset("t", 1), -1);
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kNone);
  EXPECT_EQ(end_offset("t", 2), 0);
  EXPECT_EQ(end_offset("t"), 3);
}

TEST_F(ControllerTest, AGrowthThatCannotBeTakenBackYetIsTakenBackByTheNextOne) {
  create("t", 1);
  fs_.refuse_changes("/t-2");
  parts_->store.fail_commits("/topics/t");
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kKafkaStorageError);  // not even the intent
  parts_->store.fail_commits("");
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kKafkaStorageError);
  fs_.refuse_changes("");
  EXPECT_EQ(grow("t", 2).error, ErrorCode::kNone);
  EXPECT_EQ(stored("t").partitions, 2);
  EXPECT_EQ(stored("t").growing_to, 0);
  EXPECT_FALSE(exists("t-2"));
  restart();
  EXPECT_EQ(end_offset("t", 1), 0);
  EXPECT_EQ(end_offset("t", 2), -1);
}

TEST_F(ControllerTest, AGrowthWhoseStepsAreTakenWithoutAnAnswerEndsWhole) {
  create("t", 1);
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll);
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kKafkaStorageError);
  parts_->store.fail_commits("");
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kNone);
  EXPECT_EQ(append("t", 2), ErrorCode::kNone);
  restart();
  EXPECT_EQ(end_offset("t", 2), 3);
  EXPECT_EQ(stored("t").partitions, 3);
}

TEST_F(ControllerTest, AGrowthWhoseLastStepIsTakenWithoutAnAnswerIsFoundToBeTaken) {
  create("t", 1);
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll, 1, 1);
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kNone);
  EXPECT_EQ(append("t", 2), ErrorCode::kNone);
  // The store does not even tell what it has done.
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kAll, 1);
  EXPECT_EQ(grow("t", 4).error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(end_offset("t", 3), -1);
  parts_->store.fail_commits("");
  EXPECT_EQ(grow("t", 5).error, ErrorCode::kNone);
  EXPECT_EQ(append("t", 3), ErrorCode::kNone);
  EXPECT_EQ(append("t", 4), ErrorCode::kNone);
  restart();
  for (const int index : {2, 3, 4}) EXPECT_EQ(end_offset("t", index), 3) << index;
}

TEST_F(ControllerTest, AGrowthWhoseLastStepFailsIsTakenBack) {
  create("t", 1);
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kNothing, 1, 1);
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kKafkaStorageError);
  EXPECT_FALSE(exists("t-1"));
  EXPECT_EQ(stored("t"), [&] { auto topic = stored("t"); topic.partitions = 1; topic.growing_to = 0; return topic; }());
  parts_->store.fail_commits("/topics/t", FailingStore::Doing::kNothing, 1);
  EXPECT_EQ(grow("t", 3).error, ErrorCode::kKafkaStorageError);  // and cannot be taken back
  parts_->store.fail_commits("");
  restart();
  EXPECT_FALSE(exists("t-1"));
  EXPECT_EQ(end_offset("t", 1), -1);
  EXPECT_EQ(grow("t", 2).error, ErrorCode::kNone);
}

TEST_F(ControllerTest, AFolderInTheWayOfAGrowthIsNeverTouched) {
  create("t", 2);
  append("t", 1);
  const auto folder = path("t-1");
  ASSERT_TRUE(fs_.rename(folder, path("t-2")));  // says that it is the topic's
  EXPECT_EQ(grow("t", 4).error, ErrorCode::kKafkaStorageError);
  EXPECT_TRUE(exists("t-2"));
  EXPECT_FALSE(exists("t-3"));
  EXPECT_EQ(stored("t").growing_to, 0);
}

TEST_F(ControllerTest, DeletingATopicWhoseGrowthIsUnsettledRemovesAllItsFolders) {
  create("t", 1);
  TopicRegistry registry(parts_->store);
  const auto id = stored("t").id;
  ASSERT_TRUE(await<Topic>([&](auto done) { registry.begin_growth("t", id, 3, std::move(done)); }));
  ASSERT_TRUE(parts_->directory->create_log({"t", PartitionIndex(2)}, id, {}));
  EXPECT_EQ(remove("t").error, ErrorCode::kNone);
  EXPECT_FALSE(exists("t-2"));
  EXPECT_EQ(create("t", 3).error, ErrorCode::kNone);
}

TEST_F(ControllerTest, DeletionByIdNeverDeletesAnotherTopicOfThatName) {
  const auto first = create("t").topic.id;
  remove("t", first);
  create("t");
  EXPECT_EQ(remove("t", first).error, ErrorCode::kUnknownTopicId);
  EXPECT_EQ(end_offset("t"), 0);
  remove("t");
  EXPECT_EQ(remove("t", first).error, ErrorCode::kUnknownTopicId);
}

TEST_F(ControllerTest, ASyncThatFailsWhileStoppingLeavesNoCleanLog) {
  create("t");
  append("t");
  fs_.hold_syncs("t-0/0000");
  auto stuck = std::async(std::launch::async, [&] { return append("t"); });
  ASSERT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 1; }));
  parts_->controller->stop();
  parts_->controller->close_partitions();
  EXPECT_EQ(stuck.get(), ErrorCode::kNotLeaderOrFollower);

  // Reported once, as Linux does: the next sync of the file succeeds.
  fs_.fail_syncs("t-0/0000");
  ASSERT_TRUE(eventually(kDeadline, [&] { return fs_.held() == 0; }));
  fs_.fail_syncs("");
  fs_.release();
  parts_->flusher.stop();
  home().run_and_wait([] {});
  EXPECT_FALSE(parts_->controller->close_logs());
}

}  // namespace
}  // namespace tributary::test
