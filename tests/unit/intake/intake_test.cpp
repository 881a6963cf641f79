#include "gateway/intake/intake.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "common/env/file_system.h"
#include "tests/support/sqlite_fault.h"
#include "common/env/random.h"
#include "common/sqlite/database.h"

namespace tributary {
namespace {

constexpr IntakeBinding kBinding{77, ProducerId(5), ProducerEpoch(3)};
const TopicPartition kDestination{"readings", PartitionIndex(2)};

class IntakeTest : public testing::Test {
 protected:
  IntakeTest() {
    std::string pattern = "/dev/shm/tributary-intake-test-XXXXXX";
    options_.folder = mkdtemp(pattern.data());
  }
  ~IntakeTest() override {
    intake_.reset();
    EXPECT_TRUE(remove_recursively(posix_file_system(), options_.folder));
  }

  void open() {
    intake_.reset();
    auto opened = Intake::open(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    intake_ = std::move(*opened);
  }
  void open_bound() {
    open();
    ASSERT_TRUE(intake_->bind(kBinding, {}, BatchId(0)));
  }

  StoreOutcome store(const std::string& payload, std::uint16_t packet_id = 0, bool dup = false,
                     const std::string& mqtt_topic = "sensors/a/t") {
    const UserProperty property{"unit", "C"};
    ReadingView reading;
    reading.topic = "readings";
    reading.key = "a";
    reading.mqtt_topic = mqtt_topic;
    reading.properties = {&property, 1};
    reading.payload = as_bytes(payload);
    reading.received_ms = 1000;
    reading.received = MonoTime(Duration(5));
    auto outcome = intake_->store(reading, {packet_id, dup});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome.value_or(StoreOutcome::kRedelivery);
  }

  std::vector<std::string> read_payloads(std::size_t count_max = 1'000'000) {
    std::vector<std::string> payloads;
    EXPECT_TRUE(intake_->read(count_max, [&](ReadingId id, const ReadingView& reading) {
      last_read_ = id;
      payloads.emplace_back(as_string_view(reading.payload));
      return true;
    }));
    return payloads;
  }

  SealedBatch batch(const std::string& bytes, std::int32_t record_count) {
    SealedBatch sealed;
    sealed.info.id = intake_->next_batch_id();
    sealed.info.destination = kDestination;
    sealed.info.producer_id = intake_->binding()->producer_id;
    sealed.info.epoch = intake_->binding()->epoch;
    sealed.info.base_sequence = intake_->next_sequence(kDestination);
    sealed.info.record_count = record_count;
    sealed.info.oldest_received_ms = 1000;
    sealed.bytes = SharedBytes(to_bytes(as_bytes(bytes)));
    return sealed;
  }

  IntakeOptions options_;
  std::unique_ptr<Intake> intake_;
  ReadingId last_read_{0};
};

TEST_F(IntakeTest, ReadingsComeBackInOrderWithAllTheirFieldsAfterARestart) {
  open();
  store("one", 1);
  store("", 2);
  store("three");
  open();
  std::vector<std::string> payloads;
  ASSERT_TRUE(intake_->read(10, [&](ReadingId, const ReadingView& reading) {
    EXPECT_EQ(reading.topic, "readings");
    EXPECT_EQ(reading.key, "a");
    EXPECT_EQ(reading.mqtt_topic, "sensors/a/t");
    EXPECT_EQ(reading.properties.size(), 1u);
    EXPECT_EQ(reading.properties[0].name, "unit");
    EXPECT_EQ(reading.properties[0].value, "C");
    EXPECT_EQ(reading.received_ms, 1000);
    EXPECT_EQ(reading.received, MonoTime(Duration(5)));
    payloads.emplace_back(as_string_view(reading.payload));
    return true;
  }));
  EXPECT_EQ(payloads, (std::vector<std::string>{"one", "", "three"}));
  EXPECT_TRUE(read_payloads().empty());
}

TEST_F(IntakeTest, ARedeliveryNeedsDupThePacketIdAndTheContent) {
  open();
  EXPECT_EQ(store("20.5", 7), StoreOutcome::kStored);
  EXPECT_EQ(store("20.5", 7, true), StoreOutcome::kRedelivery);
  EXPECT_EQ(store("20.5", 8, true), StoreOutcome::kStored);         // another id
  EXPECT_EQ(store("20.6", 7, true), StoreOutcome::kStored);         // another content
  EXPECT_EQ(store("20.5", 7, true), StoreOutcome::kStored);         // not the newest of that id any more
  EXPECT_EQ(store("20.5", 7), StoreOutcome::kStored);               // an equal new reading
  EXPECT_EQ(store("20.5", 7, true, "sensors/b/t"), StoreOutcome::kStored);
  EXPECT_EQ(store("20.5", 0, true), StoreOutcome::kStored);         // QoS 0 has no packet id
}

TEST_F(IntakeTest, RedeliveriesAreRecognisedAfterSealingAndARestart) {
  open_bound();
  store("x", 1);
  store("no id");
  store(std::string(100'000, 'L'), 2);
  read_payloads();
  ASSERT_TRUE(intake_->seal(last_read_, {batch("sealed", 3)}));
  open();
  EXPECT_TRUE(read_payloads().empty());
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kRedelivery);
  EXPECT_EQ(store(std::string(100'000, 'L'), 2, true), StoreOutcome::kRedelivery);
  EXPECT_EQ(store("no id", 3, true), StoreOutcome::kStored);
}

TEST_F(IntakeTest, WhatCameTogetherIsStoredTogetherOrNotAtAll) {
  open();
  const std::string large(300'000, 'x');
  std::vector<Arrival> arrivals;
  for (std::uint16_t packet_id = 1; packet_id <= 3; ++packet_id) {
    ReadingView reading;
    reading.topic = "new topic";
    reading.mqtt_topic = "t";
    reading.payload = as_bytes(large);
    arrivals.push_back({reading, {packet_id, false}});
  }
  std::vector<StoreOutcome> outcomes;
  {
    const test::SqliteFault full(test::SqliteFault::Kind::kWrite, "-wal", 500'000, 1 << 30, ENOSPC);
    EXPECT_FALSE(intake_->store(arrivals, outcomes));
  }
  EXPECT_EQ(intake_->level().unsealed_readings, 0u);
  for (auto& arrival : arrivals) arrival.delivery.dup = true;  // of none that is known
  ASSERT_TRUE(intake_->store(arrivals, outcomes));
  EXPECT_EQ(outcomes, std::vector<StoreOutcome>(3, StoreOutcome::kStored));
  ASSERT_TRUE(intake_->store(arrivals, outcomes));
  EXPECT_EQ(outcomes, std::vector<StoreOutcome>(3, StoreOutcome::kRedelivery));
  open();
  EXPECT_EQ(read_payloads(), std::vector<std::string>(3, large));
}

TEST_F(IntakeTest, ARedeliveryIsRecognisedAmongWhatCameTogether) {
  open();
  const auto arrival = [](std::string_view payload, std::uint16_t packet_id, bool dup) {
    ReadingView reading;
    reading.topic = "readings";
    reading.mqtt_topic = "t";
    reading.payload = as_bytes(payload);
    return Arrival{reading, {packet_id, dup}};
  };
  std::vector<StoreOutcome> outcomes;
  ASSERT_TRUE(intake_->store(std::vector{arrival("old", 5, false)}, outcomes));
  ASSERT_TRUE(intake_->store(std::vector{arrival("old", 5, true), arrival("new", 5, false), arrival("new", 5, true),
                                         arrival("old", 5, true), arrival("new", 6, true), arrival("qos 0", 0, false),
                                         arrival("qos 0", 0, true)},
                             outcomes));
  constexpr auto kStored = StoreOutcome::kStored, kRedelivery = StoreOutcome::kRedelivery;
  EXPECT_EQ(outcomes, (std::vector{kRedelivery, kStored, kRedelivery, kStored, kStored, kStored, kStored}));
}

// Mosquitto 2.0 has had 1,800 in flight after a reconnection, with a receive maximum of 500.
TEST_F(IntakeTest, AnyNumberOfReadingsInFlightIsRecognisedAfterSealingAndARestart) {
  open_bound();
  for (std::uint16_t id = 1; id <= 3000; ++id) store(fmt::format("p{}", id), id);
  read_payloads();
  ASSERT_TRUE(intake_->seal(last_read_, {batch("sealed", 3000)}));
  open();
  for (std::uint16_t id = 1; id <= 3000; ++id) {
    ASSERT_EQ(store(fmt::format("p{}", id), id, true), StoreOutcome::kRedelivery) << id;
  }
}

TEST_F(IntakeTest, WhatIsSettledIsNewWhenItComesAgain) {
  open();
  store("x", 1);
  const auto up_to = intake_->newest();
  store("y", 2);
  store("x", 3);
  const std::uint16_t all[] = {1, 2, 3, 4};
  intake_->settle(all, up_to);
  EXPECT_EQ(store("y", 2, true), StoreOutcome::kRedelivery);  // newer than what is settled
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kStored);
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kRedelivery);
  const std::uint16_t three[] = {3};
  intake_->settle(three, intake_->newest());
  store("z", 5);  // and with it the other is durable
  open();
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kRedelivery);
  EXPECT_EQ(store("x", 3, true), StoreOutcome::kStored);
}

TEST_F(IntakeTest, ANewSessionForgetsThePacketIdsForGood) {
  open();
  store("x", 1);
  ASSERT_TRUE(intake_->forget_deliveries());
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kStored);
  ASSERT_TRUE(intake_->forget_deliveries());
  open();
  EXPECT_EQ(store("x", 1, true), StoreOutcome::kStored);
}

TEST_F(IntakeTest, SealingMovesTheCursorAndTheSequences) {
  open_bound();
  for (int i = 0; i < 5; ++i) store(std::to_string(i));
  EXPECT_EQ(read_payloads(3).size(), 3u);
  ASSERT_TRUE(intake_->seal(last_read_, {batch("first", 3)}));
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(3));
  EXPECT_EQ(intake_->next_batch_id(), BatchId(2));
  EXPECT_EQ(intake_->level().unsealed_readings, 2u);
  open();
  EXPECT_EQ(intake_->binding(), kBinding);
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(3));
  EXPECT_EQ(read_payloads(), (std::vector<std::string>{"3", "4"}));
  const auto sealed = intake_->sealed().value();
  ASSERT_EQ(sealed.size(), 1u);
  EXPECT_EQ(sealed[0].destination, kDestination);
  EXPECT_EQ(sealed[0].base_sequence, Sequence(0));
  EXPECT_EQ(sealed[0].record_count, 3);
  EXPECT_EQ(as_string_view(intake_->sealed_bytes(BatchId(1)).value().view()), "first");
  ASSERT_TRUE(intake_->remove_sealed({BatchId(1), BatchId(99)}, {BatchId(40)}));
  EXPECT_EQ(intake_->sealed_bytes(BatchId(1)).error().code, Errc::kNotFound);
  EXPECT_EQ(intake_->acked_on_flash().value(), std::vector<BatchId>{BatchId(40)});
  EXPECT_EQ(intake_->level().sealed_bytes, 0u);
}

TEST_F(IntakeTest, BindingRestartsSequencesButNeverBatchIds) {
  open_bound();
  store("a");
  read_payloads();
  ASSERT_TRUE(intake_->seal(last_read_, {batch("a", 1)}));
  ASSERT_TRUE(intake_->bind({78, ProducerId(5), ProducerEpoch(4)}, {{kDestination, Sequence(9)}}, BatchId(50)));
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(9));
  EXPECT_EQ(intake_->next_sequence({"readings", PartitionIndex(0)}), Sequence(0));
  EXPECT_EQ(intake_->next_batch_id(), BatchId(51));
  open();
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(9));
  EXPECT_EQ(intake_->next_batch_id(), BatchId(51));
  EXPECT_EQ(intake_->sealed().value().at(0).epoch, ProducerEpoch(3));
}

TEST_F(IntakeTest, ADestinationThatOnlyTheBindingNamesIsSealedForAfterwards) {
  open();
  ASSERT_TRUE(intake_->bind(kBinding, {{kDestination, Sequence(9)}}, BatchId(50)));
  for (int round = 0; round < 2; ++round) {
    store("one");
    (void)read_payloads();
    const auto sealed = intake_->seal(last_read_, {batch("batch", 1)});
    ASSERT_TRUE(sealed) << sealed.error().message;
  }
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(11));
  open();
  EXPECT_EQ(intake_->next_sequence(kDestination), Sequence(11));
}

TEST_F(IntakeTest, AnotherBootIdTellsThatItIsOfAFormerBootUntilItIsBoundAgain) {
  options_.boot_id = "one";
  open();
  EXPECT_FALSE(intake_->is_of_former_boot());
  ASSERT_TRUE(intake_->bind(kBinding, {}, BatchId(0)));
  store("kept");
  open();
  EXPECT_FALSE(intake_->is_of_former_boot());
  options_.boot_id = "two";
  open();
  EXPECT_TRUE(intake_->is_of_former_boot());
  ASSERT_TRUE(intake_->remove_sealed({}, {BatchId(40)}));
  ASSERT_TRUE(intake_->unbind());
  EXPECT_TRUE(intake_->acked_on_flash()->empty());
  EXPECT_FALSE(intake_->binding());
  open();
  EXPECT_FALSE(intake_->binding());
  ASSERT_TRUE(intake_->bind(kBinding, {}, BatchId(0)));
  open();
  EXPECT_FALSE(intake_->is_of_former_boot());
  EXPECT_EQ(read_payloads(), std::vector<std::string>{"kept"});
}

TEST_F(IntakeTest, AFileFromBeforeBootsWereNotedIsTaken) {
  open_bound();
  store("kept");
  intake_.reset();
  ASSERT_TRUE(Database::open(options_.folder + "/intake.db")->execute("DROP TABLE boot"));
  open();
  EXPECT_FALSE(intake_->is_of_former_boot());  // a tmpfs outlives no boot
  EXPECT_EQ(intake_->binding(), kBinding);
  EXPECT_EQ(read_payloads(), std::vector<std::string>{"kept"});
}

TEST_F(IntakeTest, WakesOnceWhenSoMuchIsUnread) {
  open();
  int woken = 0;
  intake_->set_wake([&] { ++woken; });
  EXPECT_TRUE(intake_->wake_after(1));
  store("a");
  store("b");
  EXPECT_EQ(woken, 1);
  EXPECT_FALSE(intake_->wake_after(1));
  EXPECT_TRUE(intake_->wake_after(100'000));
  store(std::string(100'000, 'x'));
  EXPECT_EQ(woken, 2);
  read_payloads();
  EXPECT_TRUE(intake_->wake_after(1));
}

TEST_F(IntakeTest, AReadingWithManyUserPropertiesLeavesNoMemoryBehind) {
  open();
  store("small");
  read_payloads();
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const auto before = in_use();
  {
    const std::vector<UserProperty> properties(300'000);
    ReadingView reading;
    reading.topic = "readings";
    reading.properties = properties;
    ASSERT_TRUE(intake_->store(reading, {}));
  }
  read_payloads();
  EXPECT_LT(in_use(), before + 3'000'000);  // SQLite keeps its page cache of 1 MiB
}

TEST_F(IntakeTest, SpaceIsGivenBackAfterABacklog) {
  open_bound();
  for (int i = 0; i < 200; ++i) store(std::string(100'000, 'x'));
  EXPECT_GT(intake_->level().bytes(), 20'000'000u);
  read_payloads();
  ASSERT_TRUE(intake_->seal(last_read_, {batch("small", 200)}));
  ASSERT_TRUE(intake_->give_space_back());
  EXPECT_LT(std::filesystem::file_size(options_.folder + "/intake.db"), 1'000'000u);
  store("after");
  EXPECT_EQ(read_payloads(), std::vector<std::string>{"after"});
}

TEST_F(IntakeTest, RefusesALockedFolderGarbageAnotherVersionAndADisk) {
  open();
  EXPECT_EQ(Intake::open(options_).error().code, Errc::kLocked);
  intake_.reset();
  const auto path = options_.folder + "/intake.db";
  std::filesystem::remove(path + "-wal");
  std::ofstream(path, std::ios::trunc) << std::string(20'000, 'g');
  const auto garbage = Intake::open(options_);
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code, Errc::kCorrupt);
  EXPECT_NE(garbage.error().message.find(path), std::string::npos);
  IntakeOptions on_disk{fmt::format("/var/tmp/tributary-intake-test-{}", getpid()), false};
  const bool var_tmp_is_tmpfs = is_on_tmpfs("/var/tmp").value();
  if (!var_tmp_is_tmpfs) {
    EXPECT_EQ(Intake::open(on_disk).error().code, Errc::kInvalidArgument);
    on_disk.allow_disk = true;
    EXPECT_TRUE(Intake::open(on_disk));
    EXPECT_TRUE(remove_recursively(posix_file_system(), on_disk.folder));
  }
}

TEST_F(IntakeTest, ItsBoundsAreWhatIsAskedForOrWhatTheFileSystemHolds) {
  const auto space = std::filesystem::space("/dev/shm");
  EXPECT_EQ(intake_bounds("/dev/shm", 1000)->bytes_max, 1000u);
  EXPECT_EQ(intake_bounds("/dev/shm", SIZE_MAX)->bytes_max, space.capacity / 10 * 6);
  EXPECT_EQ(intake_bounds("/dev/shm", 1000)->room_min, std::min<std::size_t>(space.capacity / 8, 16 << 20));
  EXPECT_EQ(intake_bounds("/nowhere", 1000).error().code, Errc::kNotFound);
}

TEST_F(IntakeTest, TheFolderIsFoundAgainAndDiffersByDataFolder) {
  const auto one = find_intake_folder("/data/one");
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(*one, find_intake_folder("/data/../data/one").value());
  EXPECT_NE(*one, find_intake_folder("/data/two").value());
}

TEST_F(IntakeTest, TheFirstTmpfsIsTakenUnlessOneHasTheIntakeAlready) {
  const auto first = options_.folder + "/first";
  const auto second = options_.folder + "/second";
  const std::vector<std::string> roots{"/proc/none", "/var/nowhere/run", first, second};
  EXPECT_TRUE(find_intake_folder("/data", roots)->starts_with(first + "/tributary-"));
  options_.folder = find_intake_folder("/data", {second}).value();
  open();
  EXPECT_EQ(find_intake_folder("/data", roots).value(), options_.folder);
  EXPECT_EQ(find_intake_folder("/data", {"/proc/none"}).error().code, Errc::kNotFound);
  intake_.reset();
  options_.folder = std::filesystem::path(first).parent_path();
}

TEST_F(IntakeTest, TheRootsThatLogindLeavesAloneComeFirst) {
  const char* former = getenv("XDG_RUNTIME_DIR");
  const std::optional<std::string> kept = former == nullptr ? std::nullopt : std::optional<std::string>(former);
  setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
  EXPECT_EQ(default_intake_roots(), (std::vector<std::string>{"/run/tributary", "/run/user/1000", "/dev/shm"}));
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(default_intake_roots(), (std::vector<std::string>{"/run/tributary", "/dev/shm"}));
  if (kept) setenv("XDG_RUNTIME_DIR", kept->c_str(), 1);
}

TEST_F(IntakeTest, FoldersThatALogoutRemovesAreTold) {
  EXPECT_FALSE(why_it_may_vanish("/run/user/0/tributary-1", 0).empty());
  EXPECT_FALSE(why_it_may_vanish("/run/user/1000", 1000).empty());
  EXPECT_FALSE(why_it_may_vanish("/dev/shm/tributary-1", 1000).empty());
  EXPECT_TRUE(why_it_may_vanish("/dev/shm/tributary-1", 999).empty());
  EXPECT_TRUE(why_it_may_vanish("/run/tributary/tributary-1", 1000).empty());
  EXPECT_TRUE(why_it_may_vanish("/var/lib/intake", 1000).empty());
}

// A child stores numbered readings, seals them, and drops sealed batches, until it is killed at a random
// moment. What it reported as stored is there, once and in order.
class KilledChild {
 public:
  /// How many are stored in one go, beginning with this number.
  static int together(int first) { return first % 5 + 1; }

  KilledChild(const IntakeOptions& options, int first) {
    EXPECT_EQ(pipe(pipe_), 0);
    child_ = fork();
    if (child_ == 0) run(options, first);
    close(pipe_[1]);
  }
  // The last number that was reported as stored, or first - 1.
  int kill_and_last_stored(int otherwise) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    int last = otherwise;
    for (int number = 0; read(pipe_[0], &number, sizeof number) == sizeof number;) last = number;
    close(pipe_[0]);
    return last;
  }

 private:
  [[noreturn]] void run(const IntakeOptions& options, int first) {
    auto intake = Intake::open(options).value();
    if (!intake->binding()) (void)intake->bind(kBinding, {}, BatchId(0)).has_value();
    std::vector<StoreOutcome> outcomes;
    for (int number = first;;) {
      std::deque<std::string> payloads;
      std::vector<Arrival> arrivals;
      for (int left = together(number); left > 0; --left, ++number) {
        ReadingView reading;
        reading.topic = "readings";
        reading.mqtt_topic = "t";
        reading.payload = as_bytes(payloads.emplace_back(std::to_string(number)));
        arrivals.push_back({reading, {static_cast<std::uint16_t>(number % 65'535 + 1), false}});
      }
      if (!intake->store(arrivals, outcomes)) _exit(1);
      const int last = number - 1;
      if (write(pipe_[1], &last, sizeof last) != sizeof last) _exit(1);
      if (last % 7 == 0 && !seal_all(*intake)) _exit(1);
    }
  }
  static bool seal_all(Intake& intake) {
    std::string content;
    std::int32_t count = 0;
    ReadingId last{0};
    (void)intake.read(1000, [&](ReadingId id, const ReadingView& reading) {
      content.append(as_string_view(reading.payload)).append("\n");
      last = id;
      ++count;
      return true;
    });
    SealedBatch sealed;
    sealed.info.id = intake.next_batch_id();
    sealed.info.destination = kDestination;
    sealed.info.producer_id = kBinding.producer_id;
    sealed.info.epoch = kBinding.epoch;
    sealed.info.base_sequence = intake.next_sequence(kDestination);
    sealed.info.record_count = count;
    sealed.bytes = SharedBytes(to_bytes(as_bytes(content)));
    return count == 0 || intake.seal(last, {sealed}).has_value();
  }

  int pipe_[2] = {-1, -1};
  pid_t child_ = -1;
};

TEST_F(IntakeTest, NothingThatWasStoredIsLostOrDoubledByKillsAtRandomMoments) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  int stored = -1;
  for (int round = 0; round < 15; ++round) {
    KilledChild child(options_, stored + 1);
    std::this_thread::sleep_for(std::chrono::microseconds(3000 + random.below(30'000)));  // the random moment
    const int reported = child.kill_and_last_stored(stored);
    open();
    std::string all;
    Sequence expected_sequence{0};
    const auto sealed = intake_->sealed().value();
    for (const auto& info : sealed) {
      EXPECT_EQ(info.base_sequence, expected_sequence);
      expected_sequence = advanced(info.base_sequence, info.record_count);
      all += as_string_view(intake_->sealed_bytes(info.id).value().view());
    }
    EXPECT_EQ(intake_->next_sequence(kDestination), expected_sequence);
    for (const auto& payload : read_payloads()) all.append(payload).append("\n");
    intake_.reset();
    std::string expected;
    const auto count = static_cast<int>(std::count(all.begin(), all.end(), '\n'));
    for (int i = 0; i < count; ++i) expected.append(std::to_string(i)).append("\n");
    EXPECT_EQ(all, expected);
    if (count - 1 != reported) {
      EXPECT_EQ(count - 1, reported + KilledChild::together(reported + 1));  // stored, and killed before the report
    }
    stored = count - 1;
  }
  EXPECT_GT(stored, 0);
}

}  // namespace
}  // namespace tributary
