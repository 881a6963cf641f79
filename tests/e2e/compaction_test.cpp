// A broker is killed while it compacts, or has no room for it: of each key the newest record is there, and what it took
// away does not come back.
//
//   TRIBUTARY_SEED              repeats the moments of a run
//   TRIBUTARY_COMPACTION_KILLS  how often it is killed (25)

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "cluster/client/admin.h"
#include "cluster/client/consumer.h"
#include "cluster/client/producer.h"
#include "common/env/random.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

constexpr int kKeys = 300;
const std::string kState = "state";
const TopicPartition kStatePartition{kState, PartitionIndex(0)};

/// What was written of one key. Versions rise; a tombstone has one, too.
struct Written {
  std::int64_t acknowledged = 0;            // the newest version
  std::int64_t sent = 0;                    // the newest version, answered or not
  std::map<std::int64_t, bool> tombstones;  // by version, of those from `acknowledged` on
};

/// Writes versions of all keys, on a thread of its own, through whatever befalls the broker.
class Writer {
 public:
  explicit Writer(const std::string& url, std::uint64_t seed) : url_(url), random_(seed) {}
  ~Writer() { stop(); }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::vector<Written> written() const {
    const std::scoped_lock lock(mutex_);
    return written_;
  }
  std::int64_t records() const { return records_; }
  std::string failure() const {
    const std::scoped_lock lock(mutex_);
    return failure_;
  }

 private:
  void run() {
    auto client = ClusterClient::connect({.bootstrap = {url_}, .request_timeout = 2s}, deadline_in(60s));
    if (!client) return fail_with(client.error());
    Producer producer(**client, {.compression = Compression::kLz4, .batch_bytes = 4u << 10});
    for (std::int64_t version = 1; !stop_;) {
      struct One {
        int key;
        bool tombstone;
        std::int64_t version;
      };
      std::vector<One> ones;
      for (int i = 0; i < 100; ++i)
        ones.push_back({static_cast<int>(random_.below(random_.below(2) == 0 ? kKeys : 20)), random_.below(10) == 0, version++});
      {
        const std::scoped_lock lock(mutex_);
        for (const auto& one : ones) {
          auto& key = written_[static_cast<std::size_t>(one.key)];
          key.sent = one.version;
          key.tombstones[one.version] = one.tombstone;
        }
      }
      for (const auto& one : ones) {
        const auto name = fmt::format("key-{}", one.key);
        const auto text = fmt::format("{} {}", one.version, std::string(200, 'v'));
        const auto value = one.tombstone ? std::nullopt : std::optional(as_bytes(text));
        if (const auto sent = producer.send(kState, {.key = as_bytes(name), .value = value}); !sent) return fail_with(sent.error());
      }
      if (const auto flushed = producer.flush(60s); !flushed) return fail_with(flushed.error());
      const std::scoped_lock lock(mutex_);
      records_ += static_cast<std::int64_t>(ones.size());
      for (const auto& one : ones) {
        auto& key = written_[static_cast<std::size_t>(one.key)];
        key.acknowledged = one.version;
        key.tombstones.erase(key.tombstones.begin(), key.tombstones.lower_bound(one.version));
      }
    }
  }
  void fail_with(const Error& error) {
    const std::scoped_lock lock(mutex_);
    failure_ = error.message;
  }

  const std::string url_;
  SeededRandom random_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> records_ = 0;
  mutable std::mutex mutex_;
  std::vector<Written> written_ = std::vector<Written>(kKeys);
  std::string failure_;
  std::thread thread_;
};

struct Found {
  Offset offset{0};
  std::optional<std::int64_t> version;  // nothing: a tombstone
};

class Compaction : public testing::Test {
 protected:
  /// All records of each key that the broker has, in their order.
  std::map<int, std::vector<Found>> read_all() {
    std::map<int, std::vector<Found>> all;
    auto client = ClusterClient::connect({.bootstrap = {broker_.nng_url()}}, deadline_in(30s));
    if (!client) return ADD_FAILURE() << client.error().message, all;
    const auto ends = resolve_offsets(**client, {{kStatePartition, StartAt::earliest()}, {kStatePartition, StartAt::latest()}},
                                      deadline_in(30s));
    if (!ends) return ADD_FAILURE() << ends.error().message, all;
    Consumer consumer(**client);
    consumer.assign(kStatePartition, ends->at(0));
    Decompressor decompressor;
    while (consumer.position(kStatePartition) < ends->at(1)) {
      const auto batches = consumer.poll(1s);
      if (!batches) return ADD_FAILURE() << batches.error().message, all;
      for (const auto& batch : *batches) {
        const auto read = for_each_record(batch, decompressor, 1u << 20, [&](const RecordView& record) {
          const auto key = number_in(as_string_view(*record.key).substr(4));
          Found found{record.offset, std::nullopt};
          if (record.value) found.version = number_in(as_string_view(*record.value));
          all[static_cast<int>(key)].push_back(found);
          return true;
        });
        EXPECT_TRUE(read);
      }
    }
    return all;
  }
  static std::int64_t number_in(std::string_view text) {
    std::int64_t number = -1;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  }

  void create_topic() {
    const auto created = tributary(broker_, {"topic", "create", kState, "--partitions", "1",
                                             "--set", "cleanup.policy=compact", "--set", "segment.bytes=65536",
                                             "--set", "min.cleanable.dirty.ratio=0", "--set", "delete.retention.ms=500"});
    ASSERT_EQ(created.exit_code, 0) << created.errors;
  }

  /// Waits until the closed segments have one record of a key at most; gives how many records there are in all.
  std::int64_t expect_compacted(const std::vector<Written>& written) {
    std::int64_t most = 0, records = 0;
    EXPECT_TRUE(eventually(60s, [&] {
      const auto base = active_base();
      most = records = 0;
      const auto all = read_all();
      for (const auto& [key, found] : all) {
        records += static_cast<std::int64_t>(found.size());
        most = std::max<std::int64_t>(most, std::ranges::count_if(found, [&](const auto& f) { return f.offset < base; }));
      }
      check(all, written, written);
      return most <= 1;
    }, 100ms)) << most << " records of one key in closed segments";
    return records;
  }

  /// `before`: what was written when the reading began; `after`: when it had ended.
  static void check(const std::map<int, std::vector<Found>>& all, const std::vector<Written>& before,
                    const std::vector<Written>& after) {
    for (int key = 0; key < kKeys; ++key) {
      const auto& was = before[static_cast<std::size_t>(key)];
      const auto& is = after[static_cast<std::size_t>(key)];
      if (was.acknowledged == 0) continue;
      const auto records = all.find(key);
      const bool gone = records == all.end() || !records->second.back().version;
      if (!gone) {
        EXPECT_GE(*records->second.back().version, was.acknowledged) << "key " << key;
        EXPECT_LE(*records->second.back().version, is.sent) << "key " << key;
        if (*records->second.back().version == was.acknowledged) {
          EXPECT_FALSE(was.tombstones.at(was.acknowledged)) << "key " << key << " was deleted";
        }
        continue;
      }
      bool deleted = false;
      for (const auto* written : {&was, &is})
        for (const auto& [version, tombstone] : written->tombstones) deleted = deleted || (tombstone && version >= was.acknowledged);
      // Between the two looks it may have been deleted and acknowledged and written again.
      EXPECT_TRUE(deleted || is.acknowledged > was.acknowledged) << "key " << key << " has vanished";
    }
  }

  bool is_cleaning() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(broker_.data() + "/" + kState + "-0", ignored)) {
      const auto name = entry.path().filename().string();
      if (name.ends_with(".cleaned") || name.ends_with(".swap")) return true;
    }
    return false;
  }
  Offset active_base() const {
    Offset base{0};
    for (const auto& entry : std::filesystem::directory_iterator(broker_.data() + "/" + kState + "-0"))
      if (entry.path().extension() == ".log") base = std::max(base, Offset(number_in(entry.path().filename().string())));
    return base;
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
};

TEST_F(Compaction, KillsAtAnyMomentLeaveTheNewestRecordOfEveryKey) {
  const auto seed = seed_of_test();
  const auto kills = option_of_test("TRIBUTARY_COMPACTION_KILLS", 25);
  SeededRandom random(seed);
  broker_.extra_args = {"--cleaner-interval", "10ms", "--cleaner-bytes-per-second", "6MiB"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  ASSERT_NO_FATAL_FAILURE(create_topic());
  Writer writer(broker_.nng_url(), seed);
  writer.start();

  int while_cleaning = 0;
  for (int kill = 0; kill < kills && !HasFailure(); ++kill) {
    if (eventually(5s, [&] { return is_cleaning(); }, 1ms)) ++while_cleaning;
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(40'000)));  // the moment is what is tested
    ASSERT_TRUE(broker_.running()) << "ended by itself\n" << broker_.log();
    broker_.kill();
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    const auto before = writer.written();
    const auto all = read_all();
    check(all, before, writer.written());
  }
  writer.stop();
  EXPECT_EQ(writer.failure(), "");
  EXPECT_GE(while_cleaning, kills * 9 / 10);

  // Nothing that should be gone is back after the next cleanings.
  const auto records = expect_compacted(writer.written());
  std::printf("%ld kills, %d of them during a cleaning; %ld records written, %ld left of %d keys\n", static_cast<long>(kills),
              while_cleaning, static_cast<long>(writer.records()), static_cast<long>(records), kKeys);
  EXPECT_GT(writer.records(), records);
  EXPECT_EQ(broker_.terminate(), 0);
}

TEST_F(Compaction, WaitsForRoomOnAFullDiskWhileTheRestIsServed) {
  const SmallDisk disk(broker_.data(), "32m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root: " << std::strerror(errno);
  broker_.extra_args = {"--cleaner-interval", "1h"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  ASSERT_NO_FATAL_FAILURE(create_topic());
  Writer writer(broker_.nng_url(), seed_of_test());
  writer.start();
  ASSERT_TRUE(eventually(30s, [&] { return writer.records() > 20'000; })) << writer.failure();
  writer.stop();
  EXPECT_EQ(writer.failure(), "");
  // After kill -9 no cleaning would begin: which producers there are could not be noted.
  ASSERT_EQ(broker_.terminate(), 0);
  disk.fill();

  broker_.extra_args = {"--cleaner-interval", "10ms"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  const auto postponed = [&] { return broker_.metric("tributary_broker_postponed_cleanings_total").value_or(0); };
  ASSERT_TRUE(eventually(20s, [&] { return postponed() > 0; })) << broker_.log();
  EXPECT_NE(broker_.log().find("waits for space on the volume"), std::string::npos) << broker_.log();
  EXPECT_EQ(broker_.metric("tributary_broker_failed_cleanings_total").value_or(0), 0) << broker_.log();
  const auto written = writer.written();
  check(read_all(), written, written);

  // Nobody has to help.
  disk.empty();
  EXPECT_LT(expect_compacted(written), writer.records());
  EXPECT_EQ(broker_.terminate(), 0);
}

}  // namespace
}  // namespace tributary::test
