// The core against a model cluster that loses, delays, duplicates and reorders requests, moves leaders and
// crashes, in virtual time.

#include <cstdlib>
#include <map>
#include <queue>

#include "tests/unit/uplink/uplink_fixture.h"

namespace tributary {
namespace {

constexpr std::int32_t kPartitions = 4;
constexpr std::int64_t kBatchesEach = 60;
constexpr std::int32_t kBrokers = 3;

struct ModelBatch {
  std::int64_t id;
  std::int32_t base_sequence;
  std::int32_t records;
};

/// One partition's log with Kafka's rules for idempotent producers; unknown producers may begin anywhere.
class ModelLog {
 public:
  ErrorCode append(const ModelBatch& batch) {
    const auto known = std::min<std::size_t>(batches_.size(), 5);
    for (std::size_t i = batches_.size() - known; i < batches_.size(); ++i)
      if (batches_[i].base_sequence == batch.base_sequence && batches_[i].records == batch.records)
        return ErrorCode::kDuplicateSequenceNumber;
    if (!batches_.empty() && batch.base_sequence != batches_.back().base_sequence + batches_.back().records)
      return ErrorCode::kOutOfOrderSequenceNumber;
    batches_.push_back(batch);
    return ErrorCode::kNone;
  }
  void sync() { synced_ = batches_.size(); }
  void lose_unsynced() { batches_.resize(synced_); }
  [[nodiscard]] const std::vector<ModelBatch>& batches() const { return batches_; }

 private:
  std::vector<ModelBatch> batches_;
  std::size_t synced_ = 0;
};

class Simulation final : public UplinkActions {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed), core_random_(seed + 1), core_({}, *this, core_random_, now_) {
    up_.assign(kBrokers, true);
    leaders_.assign(kPartitions, 0);
    for (std::int32_t p = 0; p < kPartitions; ++p) leaders_[static_cast<std::size_t>(p)] = p % kBrokers;
  }

  void run() {
    core_.want_topic(now_, "t", kPartitions);
    at(Duration(0), [this] { offer_more(); });
    at(Duration(0), [this] { cause_trouble(); });
    int steps = 0;
    while (acked_ < kPartitions * kBatchesEach) {
      ASSERT_LT(++steps, 200'000) << "no end in sight at " << (now_ - MonoTime()).count() / 1'000'000 << " ms";
      core_.tick(now_);
      const auto next_core = core_.next_time();
      ASSERT_GT(next_core, now_);
      const auto next_event = events_.empty() ? MonoTime::max() : events_.begin()->first.first;
      now_ = std::min(next_core, next_event);
      ASSERT_NE(now_, MonoTime::max()) << "asleep for ever";
      while (!events_.empty() && events_.begin()->first.first <= now_) {
        const auto event = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        event();
      }
    }
    verify();
  }

  // ---- The core's actions

  void send_produce(UplinkRequestId id, BrokerId leader, const std::vector<const SealedBatch*>& batches) override {
    std::vector<std::pair<TopicPartition, ModelBatch>> items;
    for (const auto* batch : batches) {
      const auto& info = batch->info;
      items.push_back({info.destination, {info.id.value(), info.base_sequence.value(), info.record_count}});
      ASSERT_LE(++in_flight_[info.destination.partition.value()], 5);
    }
    requests_[id] = {};
    for (const auto& item : items) requests_[id].push_back(item.first);
    const auto fate = trouble_ ? random_.below(100) : 99;
    const auto broker = static_cast<std::size_t>(leader.value());
    const auto delay = random_delay();
    // In order on the way, as on one connection, but for an occasional one.
    auto& arrival = arrivals_[broker];
    arrival = std::max(arrival, now_ + delay);
    const auto when = fate < 5 ? now_ + delay * 20 : arrival;
    if (fate < 10) {  // lost
      at(when - now_ + random_delay() * 10, [this, id] { fail_request(id); });
      if (fate < 7) at(when - now_ + random_delay() * 30, [this, broker, items] { (void)process(broker, items); });
      return;
    }
    at(when - now_, [this, id, broker, items, fate] {
      if (!up_[broker]) {
        at(random_delay() * 20, [this, id] { fail_request(id); });
        return;
      }
      const auto outcomes = process(broker, items);
      if (fate < 14) at(random_delay() * 40, [this, broker, items] { (void)process(broker, items); });  // twice
      if (fate < 20) return at(random_delay() * 10, [this, id] { fail_request(id); });  // the answer is lost
      at(random_delay(), [this, id, broker, outcomes, era = crashes_[broker]] {
        if (crashes_[broker] != era) return fail_request(id);  // it had not synced
        for (const auto& outcome : outcomes)
          if (outcome.error == ErrorCode::kNone || outcome.error == ErrorCode::kDuplicateSequenceNumber)
            log_of(outcome.destination).sync();
        complete(id, outcomes);
      });
    });
  }
  void send_metadata(UplinkRequestId id, const std::vector<std::string>&) override {
    const bool lost = trouble_ && random_.below(100) < 10;
    at(random_delay() * (lost ? 20 : 1), [this, id, lost] {
      if (lost) return core_.metadata_done(now_, id, fail(Errc::kTimeout, "lost"));
      TopicView view{"t", ErrorCode::kNone, {}};
      if (!created_) view.error = ErrorCode::kUnknownTopicOrPartition;
      else for (const auto leader : leaders_) view.leaders.push_back(BrokerId(up_[static_cast<std::size_t>(leader)] ? leader : -1));
      core_.metadata_done(now_, id, std::vector<TopicView>{view});
    });
  }
  void send_create_topic(UplinkRequestId id, const std::string&, std::int32_t) override {
    at(random_delay(), [this, id] {
      const bool refused = trouble_ && random_.below(2) == 0;
      created_ = created_ || !refused;
      core_.create_topic_done(now_, id, refused ? ErrorCode::kNotController : ErrorCode::kNone);
    });
  }
  void acked(BatchId id) override {
    const auto partition = partition_of_.at(id.value());
    auto& expected = next_ack_[partition];
    EXPECT_EQ(id.value(), ids_[partition][expected]) << "acknowledged out of order";
    ++expected;
    ++acked_;
    --offered_[partition];
    const auto& log = logs_[static_cast<std::size_t>(partition)].batches();
    EXPECT_TRUE(std::ranges::any_of(log, [&](const ModelBatch& batch) { return batch.id == id.value(); }));
    at(Duration(0), [this] { offer_more(); });
  }
  void setback(BatchId id, Setback, const std::string& reason) override {
    ADD_FAILURE() << id.value() << " " << reason;
  }
  void partition_count(const std::string&, std::int32_t count) override { EXPECT_EQ(count, kPartitions); }
  void reachable(bool) override {}
  void say(bool, const std::string&) override {}

 private:
  void at(Duration delay, std::function<void()> event) {
    events_.emplace(std::pair(now_ + std::max(delay, Duration(0)), order_++), std::move(event));
  }
  Duration random_delay() { return std::chrono::microseconds(100 + random_.below(5'000)); }
  ModelLog& log_of(const TopicPartition& destination) {
    return logs_[static_cast<std::size_t>(destination.partition.value())];
  }

  std::vector<ProduceOutcome> process(std::size_t broker, const std::vector<std::pair<TopicPartition, ModelBatch>>& items) {
    std::vector<ProduceOutcome> outcomes;
    for (const auto& [destination, batch] : items) {
      const auto leader = leaders_[static_cast<std::size_t>(destination.partition.value())];
      auto code = ErrorCode::kNotLeaderOrFollower;
      if (up_[broker] && static_cast<std::size_t>(leader) == broker) {
        const auto fate = trouble_ ? random_.below(100) : 99;
        if (fate < 3) {
          code = ErrorCode::kNotEnoughReplicas;
        } else {
          code = log_of(destination).append(batch);
          if (code == ErrorCode::kNone && fate < 6) code = ErrorCode::kRequestTimedOut;  // yet it is appended
          if (code == ErrorCode::kDuplicateSequenceNumber && fate % 2 == 0) code = ErrorCode::kNone;
        }
      }
      outcomes.push_back({destination, code, ""});
    }
    return outcomes;
  }
  void landed(UplinkRequestId id) {
    for (const auto& destination : requests_.at(id)) --in_flight_[destination.partition.value()];
    requests_.erase(id);
  }
  void fail_request(UplinkRequestId id) {
    landed(id);
    core_.produce_done(now_, id, fail(Errc::kUnavailable, "lost"));
  }
  void complete(UplinkRequestId id, const std::vector<ProduceOutcome>& outcomes) {
    landed(id);
    core_.produce_done(now_, id, outcomes);
  }

  /// As the pipeline: five unacknowledged ones a partition.
  void offer_more() {
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      while (offered_[p] < 5 && static_cast<std::int64_t>(ids_[p].size()) < kBatchesEach) {
        const auto id = next_id_++;
        const auto records = static_cast<std::int32_t>(1 + random_.below(50));
        ids_[p].push_back(id);
        partition_of_[id] = p;
        ++offered_[p];
        core_.offer(now_, test_batch(id, {"t", PartitionIndex(p)}, next_sequence_[p], records));
        next_sequence_[p] += records;
      }
    }
  }

  /// Now and then a leader moves, a broker crashes or comes back, a connection breaks; later all is well.
  void cause_trouble() {
    if (now_ > MonoTime(std::chrono::hours(1)) + 20s) {
      trouble_ = false;
      up_.assign(kBrokers, true);
      return;
    }
    const auto broker = random_.below(kBrokers);
    switch (random_.below(4)) {
      case 0: leaders_[random_.below(kPartitions)] = static_cast<std::int32_t>(broker); break;
      case 1:
        up_[broker] = false;
        ++crashes_[broker];
        for (std::size_t p = 0; p < kPartitions; ++p)
          if (leaders_[p] == static_cast<std::int32_t>(broker)) logs_[p].lose_unsynced();
        break;
      case 2: up_[broker] = true; break;
      case 3: core_.connection_changed(now_); break;
    }
    at(std::chrono::milliseconds(1 + random_.below(300)), [this] { cause_trouble(); });
  }

  void verify() {
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      std::vector<std::int64_t> in_log;
      for (const auto& batch : logs_[static_cast<std::size_t>(p)].batches()) in_log.push_back(batch.id);
      EXPECT_EQ(in_log, ids_[p]) << "partition " << p;
    }
    EXPECT_EQ(core_.unacknowledged(), 0u);
  }

  SeededRandom random_, core_random_;
  MonoTime now_{std::chrono::hours(1)};
  UplinkCore core_;
  std::map<std::pair<MonoTime, std::uint64_t>, std::function<void()>> events_;
  std::uint64_t order_ = 0;

  bool trouble_ = true, created_ = false;
  std::vector<bool> up_;
  std::vector<std::int32_t> leaders_;
  std::map<std::size_t, int> crashes_;
  std::map<std::size_t, MonoTime> arrivals_;
  ModelLog logs_[kPartitions];
  std::map<UplinkRequestId, std::vector<TopicPartition>> requests_;
  std::map<std::int32_t, int> in_flight_, offered_;
  std::map<std::int32_t, std::int32_t> next_sequence_;
  std::map<std::int32_t, std::vector<std::int64_t>> ids_;
  std::map<std::int32_t, std::size_t> next_ack_;
  std::map<std::int64_t, std::int32_t> partition_of_;
  std::int64_t next_id_ = 1, acked_ = 0;
};

TEST(UplinkSimulation, EveryBatchIsInTheLogOnceAndInOrder) {
  const auto* given = std::getenv("TRIBUTARY_SEED");
  const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : 1;
  const std::uint64_t count = given ? 1 : 50;
  for (auto seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
    Simulation simulation(seed);
    simulation.run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace tributary
