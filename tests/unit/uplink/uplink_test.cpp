// The driver against an nng server in this process.

#include "gateway/uplink/uplink.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "common/protocol/frame.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/transport/nng_server.h"
#include "common/transport/server.h"
#include "tests/unit/uplink/uplink_fixture.h"

namespace tributary {
namespace {

/// A broker of one thread that keeps batches' bytes and drops what it has.
class TinyBroker final : public RequestHandler {
 public:
  ~TinyBroker() override { stop(); }

  void start() {
    context_ = std::make_unique<asio::io_context>(1);
    guard_.emplace(context_->get_executor());
    thread_ = std::thread([context = context_.get()] { context->run(); });
    NngServerOptions options;
    options.url = fmt::format("tcp://127.0.0.1:{}", port_);
    auto server = NngServer::start(options, {context_.get()}, *this);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    const std::lock_guard lock(mutex_);
    port_ = server_->port();
  }
  void stop() {
    if (!server_) return;
    server_.reset();
    guard_.reset();
    context_->stop();
    thread_.join();
    context_.reset();
  }
  [[nodiscard]] std::string url() const { return fmt::format("tcp://127.0.0.1:{}", port_); }
  [[nodiscard]] std::vector<std::uint8_t> log(std::int32_t partition) {
    const std::lock_guard lock(mutex_);
    return logs_[partition];
  }
  std::atomic<int> create_requests{0};

  void handle(IncomingRequest request, Responder responder) override {
    const auto frame = parse_request_header(request.frame.view()).value();
    switch (frame.header.api) {
      case ApiKey::kMetadata: return metadata(frame, std::move(responder));
      case ApiKey::kCreateTopics: return create_topics(frame, std::move(responder));
      case ApiKey::kProduce: return produce(frame, std::move(responder));
      default: ADD_FAILURE() << "an unexpected request"; return responder.close();
    }
  }

 private:
  template <class Response>
  void respond(const RequestFrame& frame, Responder responder, const Response& response) {
    responder.respond(encode_response(frame.header.correlation_id, frame.header.version, response).value());
  }
  void metadata(const RequestFrame& frame, Responder responder) {
    const auto request = decode_request<MetadataRequest>(frame.body, frame.header.version).value();
    EXPECT_FALSE(request.allow_auto_topic_creation);
    MetadataResponse response;
    const std::lock_guard lock(mutex_);
    response.brokers.push_back({BrokerId(3), "127.0.0.1", port_, std::nullopt});
    for (const auto& asked : *request.topics) {
      MetadataResponse::Topic topic;
      topic.name = asked.name;
      if (partitions_ == 0) topic.error_code = ErrorCode::kUnknownTopicOrPartition;
      for (std::int32_t p = 0; p < partitions_; ++p) {
        MetadataResponse::Partition partition;
        partition.index = PartitionIndex(p);
        partition.leader_id = BrokerId(3);
        topic.partitions.push_back(partition);
      }
      response.topics.push_back(std::move(topic));
    }
    respond(frame, std::move(responder), response);
  }
  void create_topics(const RequestFrame& frame, Responder responder) {
    ++create_requests;
    const auto request = decode_request<CreateTopicsRequest>(frame.body, frame.header.version).value();
    partitions_ = request.topics.at(0).num_partitions;
    CreateTopicsResponse response;
    CreateTopicsResponse::Topic topic;
    topic.name = request.topics.at(0).name;
    response.topics.push_back(topic);
    respond(frame, std::move(responder), response);
  }
  void produce(const RequestFrame& frame, Responder responder) {
    const auto request = decode_request<ProduceRequest>(frame.body, frame.header.version).value();
    EXPECT_EQ(request.acks, ProduceRequest::kAcksAll);
    ProduceResponse response;
    const std::lock_guard lock(mutex_);
    for (const auto& topic : request.topics) {
      ProduceResponse::Topic answer{topic.name, {}};
      for (const auto& partition : topic.partitions) {
        ProduceResponse::Partition outcome;
        outcome.index = partition.index;
        const auto mark = partition.records.view()[0];  // the batch's id
        auto& log = logs_[partition.index.value()];
        if (std::ranges::find(log, mark) != log.end()) outcome.error_code = ErrorCode::kDuplicateSequenceNumber;
        else if (!log.empty() && mark != log.back() + 2) outcome.error_code = ErrorCode::kOutOfOrderSequenceNumber;
        else log.push_back(mark);
        answer.partitions.push_back(outcome);
      }
      response.topics.push_back(std::move(answer));
    }
    respond(frame, std::move(responder), response);
  }

  std::mutex mutex_;
  std::map<std::int32_t, std::vector<std::uint8_t>> logs_;
  std::int32_t partitions_ = 0;  // of whatever topic
  std::uint16_t port_ = 0;
  std::unique_ptr<asio::io_context> context_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_;
  std::thread thread_;
  std::unique_ptr<NngServer> server_;
};

class NotedEvents final : public UplinkEvents {
 public:
  void on_acked(BatchId id) override {
    note([&] { acked.push_back(id.value()); });
  }
  void on_partition_count(const std::string&, std::int32_t count) override {
    note([&] { counts.push_back(count); });
  }
  void on_reachable(bool reachable) override {
    note([&] { reachables.push_back(reachable); });
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 15s, condition);
  }
  std::vector<std::int64_t> acked;
  std::vector<std::int32_t> counts;
  std::vector<bool> reachables;

 private:
  template <class Change>
  void note(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

class UplinkTest : public testing::Test {
 protected:
  void start_uplink() {
    UplinkOptions options;
    options.cluster = {broker_.url()};
    options.retry_min = 10ms;
    options.retry_max = 200ms;
    options.probe_timeout = 500ms;
    auto uplink = Uplink::start(options, events_);
    ASSERT_TRUE(uplink) << uplink.error().message;
    uplink_ = std::move(*uplink);
    uplink_->want_topic("readings", 2);
  }
  /// Odd ids to partition 1, even ones to 0.
  void offer(std::int64_t id) {
    uplink_->offer(test_batch(id, {"readings", PartitionIndex(static_cast<std::int32_t>(id % 2))},
                              static_cast<std::int32_t>(id / 2)));
  }

  TinyBroker broker_;
  NotedEvents events_;
  std::unique_ptr<Uplink> uplink_;
};

TEST_F(UplinkTest, CreatesTheTopicAndDeliversBatches) {
  broker_.start();
  start_uplink();
  ASSERT_TRUE(events_.wait([&] { return !events_.counts.empty(); }));
  EXPECT_EQ(events_.counts[0], 2);
  EXPECT_EQ(broker_.create_requests, 1);
  for (std::int64_t id = 0; id < 10; ++id) offer(id);
  ASSERT_TRUE(events_.wait([&] { return events_.acked.size() == 10; }));
  EXPECT_EQ(broker_.log(0), (std::vector<std::uint8_t>{0, 2, 4, 6, 8}));
  EXPECT_EQ(broker_.log(1), (std::vector<std::uint8_t>{1, 3, 5, 7, 9}));
}

TEST_F(UplinkTest, BrokerRestartsLoseAndDoubleNothing) {
  broker_.start();
  start_uplink();
  std::int64_t next = 0;
  for (int round = 0; round < 6; ++round) {
    ASSERT_TRUE(events_.wait([&] { return !events_.reachables.empty() && events_.reachables.back(); }));
    for (int i = 0; i < 10; ++i) offer(next++);
    if (round % 2 == 0) {
      broker_.stop();
      ASSERT_TRUE(events_.wait([&] { return !events_.reachables.back(); }));
      broker_.start();
    }
    ASSERT_TRUE(events_.wait([&] { return static_cast<std::int64_t>(events_.acked.size()) == next; }))
        << events_.acked.size() << " of " << next << " in round " << round;
  }
  for (std::int32_t p = 0; p < 2; ++p) {
    const auto log = broker_.log(p);
    ASSERT_EQ(log.size(), 30u);
    for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(log[i], 2 * i + static_cast<std::size_t>(p));
  }
}

TEST_F(UplinkTest, ABrokerThatComesLaterIsFound) {
  broker_.start();
  broker_.stop();  // the port is known, nobody listens
  start_uplink();
  offer(0);
  broker_.start();
  EXPECT_TRUE(events_.wait([&] { return events_.acked.size() == 1; }));
}

TEST_F(UplinkTest, AfterStopNoEventComes) {
  broker_.start();
  start_uplink();
  for (std::int64_t id = 0; id < 8; ++id) offer(id);
  uplink_->stop();
  const auto acked = events_.acked.size();
  offer(8);
  EXPECT_EQ(events_.acked.size(), acked);
  uplink_.reset();
  EXPECT_EQ(events_.acked.size(), acked);
}

TEST_F(UplinkTest, BadAddressesAreRefused) {
  for (const auto& cluster : {std::vector<std::string>{}, {"nonsense"}, {"tcp://127.0.0.1:1", "http:/"}}) {
    UplinkOptions options;
    options.cluster = cluster;
    const auto uplink = Uplink::start(options, events_);
    ASSERT_FALSE(uplink);
    EXPECT_EQ(uplink.error().code, Errc::kInvalidArgument);
  }
}

}  // namespace
}  // namespace tributary
