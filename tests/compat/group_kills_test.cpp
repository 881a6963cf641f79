// A group whose members are killed all the time: every record is delivered, and each rebalance ends in time.
// The members are processes of this program, on librdkafka or on the native client.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <thread>
#include <variant>
#include <vector>

#include "cluster/client/group_consumer.h"
#include "cluster/groups/offset_records.h"
#include "common/env/random.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/fetch.h"
#include "common/record/record_batch.h"
#include "common/record/record_reader.h"
#include "tests/compat/raw_connection.h"
#include "tests/compat/rdkafka_client.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kMembers = 8;
constexpr int kPartitions = 64;
constexpr auto kSessionTimeout = 6s;
constexpr char kTopic[] = "killed";
constexpr char kGroup[] = "victims";

/// Notes "partition offset" in a file for each record, and only then lets it be committed. Until it is killed.
int be_a_member(const char* address, const char* assignor, const char* path) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  auto* client = make_rdkafka_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", address},
                                                         {"group.id", kGroup},
                                                         {"partition.assignment.strategy", assignor},
                                                         {"session.timeout.ms", std::to_string(kSessionTimeout / 1ms)},
                                                         {"heartbeat.interval.ms", "300"},
                                                         {"enable.auto.offset.store", "false"},
                                                         {"auto.commit.interval.ms", "200"},
                                                         {"auto.offset.reset", "earliest"}});
  rd_kafka_poll_set_consumer(client);
  auto* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, kTopic, RD_KAFKA_PARTITION_UA);
  if (rd_kafka_subscribe(client, topics)) return 1;
  for (;;) {
    auto* message = rd_kafka_consumer_poll(client, 1000);
    if (!message) continue;
    if (!message->err) {
      char line[64];
      const int size = snprintf(line, sizeof line, "%d %ld\n", message->partition, static_cast<long>(message->offset));
      if (write(file, line, static_cast<std::size_t>(size)) != size) return 1;
      auto* done = rd_kafka_topic_partition_list_new(1);
      rd_kafka_topic_partition_list_add(done, kTopic, message->partition)->offset = message->offset + 1;
      (void)rd_kafka_offsets_store(client, done);  // refused once the partition is another member's
      rd_kafka_topic_partition_list_destroy(done);
    }
    rd_kafka_message_destroy(message);
  }
}

/// The same on the native client.
int be_a_native_member(const char* address, const char* assignor, const char* path) {
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const auto client = ClusterClient::connect({.bootstrap = {fmt::format("kafka://{}", address)}}, deadline_in(30s));
  if (!client) return 1;
  GroupConsumerOptions options;
  options.group = kGroup;
  options.topics = {kTopic};
  options.assignors = {assignor};
  options.start = OnOutOfRange::kEarliest;
  options.session_timeout = kSessionTimeout;
  options.heartbeat_interval = 300ms;
  options.commit_interval = 200ms;
  const auto consumer = GroupConsumer::create(**client, std::move(options));
  if (!consumer) return 1;
  Decompressor decompressor;
  for (;;) {
    const auto batches = (*consumer)->poll(1s);
    if (!batches) return 1;
    std::string lines;
    for (const auto& batch : *batches) {
      const auto noted = for_each_record(batch, decompressor, 1u << 20, [&](const RecordView& record) {
        lines += fmt::format("{} {}\n", batch.partition.partition, record.offset);
        return true;
      });
      if (!noted) return 1;
    }
    if (write(file, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) return 1;
  }
}

struct MemberKind {
  const char* name;
  const char* assignor;
  std::vector<const char*> programs;  // in turn
};

/// Looks all the time at the group's state, and at __consumer_offsets for the generations that have come into use:
/// between two of them a group may be stable for less than a look takes.
class StateWatch {
 public:
  explicit StateWatch(std::uint16_t port) : raw_(port), thread_([this] { watch(); }) {}
  ~StateWatch() {
    stop_ = true;
    thread_.join();
  }
  [[nodiscard]] bool stable_with(int members) const { return stable_members_ == members; }
  /// The longest time from the first look that showed a rebalance until its generation was in use. After destruction of
  /// the watch it would be complete; before, it grows.
  [[nodiscard]] std::chrono::milliseconds longest_rebalance() const { return std::chrono::milliseconds(longest_ms_); }
  [[nodiscard]] int rebalances() const { return rebalances_; }

 private:
  void watch() {
    DescribeGroupsRequest request;
    request.groups = {kGroup};
    std::optional<SteadyClock::time_point> rebalancing_since;
    while (!stop_) {
      if (generation_came_into_use()) rebalancing_since.reset();
      const auto answer = raw_.ask(5, request);
      if (!answer) {
        ADD_FAILURE() << answer.error().message;
        return;
      }
      const auto& group = answer->groups.at(0);
      const auto now = SteadyClock::now();
      if (group.state == "PreparingRebalance" || group.state == "CompletingRebalance") {
        if (!rebalancing_since) ++rebalances_;
        if (!rebalancing_since) rebalancing_since = now;
        longest_ms_ = std::max<std::int64_t>(longest_ms_, (now - *rebalancing_since) / 1ms);
      } else {
        rebalancing_since.reset();
      }
      stable_members_ = group.state == "Stable" ? static_cast<int>(group.members.size()) : -1;
      std::this_thread::sleep_for(10ms);  // the interval of looking
    }
  }

  /// Whether one has since the last call. Its record is there as soon as its members are told what to read.
  bool generation_came_into_use() {
    FetchRequest fetch;
    fetch.bytes_max = 1 << 20;
    FetchRequest::Partition partition;
    partition.fetch_offset = next_offset_;
    partition.bytes_max = 1 << 20;
    fetch.topics.push_back({"__consumer_offsets", {}, {partition}});
    const auto answer = raw_.ask(12, fetch);
    if (!answer || answer->topics.empty()) return false;  // before there is a group
    bool came = false;
    BatchIterator batches(answer->topics[0].partitions.at(0).records.view(), PartialTail::kIgnore);
    for (auto batch = batches.next(); batch && *batch; batch = batches.next()) {
      next_offset_ = (*batch)->header.next_offset();
      auto reader = RecordReader::open((*batch)->bytes, 1 << 20);
      RecordView record;
      while (reader && reader->next(record).value_or(false)) {
        const auto key = decode_offsets_key(record.key.value_or(ByteView{}));
        if (!key || !std::holds_alternative<GroupMetadataKey>(*key) || !record.value) continue;
        const auto group = decode_group_metadata_value(*record.value);
        came = came || (group && !group->members.empty());
      }
    }
    return came;
  }

  RawConnection raw_;
  Offset next_offset_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> stable_members_{-1}, rebalances_{0};
  std::atomic<std::int64_t> longest_ms_{0};
  std::thread thread_;
};

class GroupKills : public testing::TestWithParam<MemberKind> {
 protected:
  Process start_member() {
    Process::Options options;
    const auto& kind = GetParam();
    const auto* program = kind.programs[static_cast<std::size_t>(started_) % kind.programs.size()];
    options.command = {"/proc/self/exe", program, fmt::format("127.0.0.1:{}", broker_.kafka_port()), kind.assignor,
                       folder_ / fmt::format("member-{}", started_++)};
    options.command[0] = std::filesystem::read_symlink("/proc/self/exe");
    return Process(options);
  }

  /// Everything that some member has noted.
  std::set<std::pair<int, long>> delivered() const {
    std::set<std::pair<int, long>> all;
    for (int i = 0; i < started_; ++i) {
      std::ifstream file(folder_ / fmt::format("member-{}", i));
      int partition = 0;
      for (long offset = 0; file >> partition >> offset;) all.emplace(partition, offset);
    }
    return all;
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  int started_ = 0;
};

TEST_P(GroupKills, EveryRecordIsDeliveredAndEachRebalanceEndsInTime) {
  const auto seed = seed_of_test();
  SeededRandom random(seed);
  const auto seconds = option_of_test("TRIBUTARY_GROUP_SECONDS", 12);
  broker_.extra_args = {"--num-partitions", std::to_string(kPartitions), "--group-initial-rebalance-delay", "100ms",
                        "--offsets-topic-partitions", "1"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  auto* producer = make_rdkafka_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", fmt::format("127.0.0.1:{}", broker_.kafka_port())},
                                                           {"linger.ms", "5"}});
  int produced = 0;
  const auto produce = [&](int count) {
    for (int i = 0; i < count; ++i, ++produced) {
      ASSERT_EQ(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(kTopic), RD_KAFKA_V_PARTITION(produced % kPartitions),
                                  RD_KAFKA_V_VALUE(const_cast<char*>("v"), 1), RD_KAFKA_V_END),
                RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    ASSERT_EQ(rd_kafka_flush(producer, 20'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  };
  produce(kPartitions);

  std::vector<Process> members;
  for (int i = 0; i < kMembers; ++i) members.push_back(start_member());
  StateWatch watch(broker_.kafka_port());
  ASSERT_TRUE(eventually(30s, [&] { return watch.stable_with(kMembers); }));
  const auto end = SteadyClock::now() + std::chrono::seconds(seconds);
  for (auto next = SteadyClock::now(); next < end; next += 1s) {
    auto& victim = members[random.below(kMembers)];
    victim.kill();
    victim = start_member();
    while (SteadyClock::now() < next + 1s) produce(100);
  }
  const auto calm_since = SteadyClock::now();
  EXPECT_TRUE(eventually(30s, [&] { return watch.stable_with(kMembers); }));
  const auto calmed_after = SteadyClock::now() - calm_since;
  produce(1000);
  EXPECT_TRUE(eventually(60s, [&] { return delivered().size() == static_cast<std::size_t>(produced); }, 200ms))
      << delivered().size() << " of " << produced;
  const auto limit = kSessionTimeout + 1s;
  EXPECT_LE(watch.longest_rebalance(), limit);
  // What is still to come then: the last victims' sessions end, and one rebalance.
  EXPECT_LE(calmed_after, 2 * limit);
  std::printf("%s: %d records, %d members started, %d rebalances, the longest %ld ms, stable %ld ms after the last kill\n",
              GetParam().name, produced, started_, watch.rebalances(), static_cast<long>(watch.longest_rebalance() / 1ms),
              static_cast<long>(calmed_after / 1ms));
  rd_kafka_destroy(producer);
}

constexpr char kRdkafkaMember[] = "--member", kNativeMember[] = "--native-member";

INSTANTIATE_TEST_SUITE_P(Assignors, GroupKills,
                         testing::Values(MemberKind{"Eager", "range", {kRdkafkaMember}},
                                         MemberKind{"Cooperative", "cooperative-sticky", {kRdkafkaMember}},
                                         MemberKind{"NativeCooperative", "cooperative-sticky", {kNativeMember}},
                                         MemberKind{"MixedCooperative", "cooperative-sticky", {kNativeMember, kRdkafkaMember}}),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace tributary::test

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == tributary::test::kRdkafkaMember)
    return tributary::test::be_a_member(argv[2], argv[3], argv[4]);
  if (argc == 5 && std::string_view(argv[1]) == tributary::test::kNativeMember)
    return tributary::test::be_a_native_member(argv[2], argv[3], argv[4]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
