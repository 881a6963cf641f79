#pragma once
// A broker in this process, and clients that talk to it over real sockets.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "cluster/server/broker.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/record/batch_builder.h"
#include "common/telemetry/metrics.h"
#include "common/transport/client.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/server/controlled_file_system.h"

namespace tributary::test {

using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;  // for what should take milliseconds

/// A response with the frame that its views point into.
template <class Response>
struct Answer {
  SharedBytes frame;
  Result<Response> message = fail(Errc::kTimeout, "not answered");
  [[nodiscard]] const Response& operator*() const { return *message; }
  [[nodiscard]] const Response* operator->() const { return &*message; }
  [[nodiscard]] explicit operator bool() const { return message.has_value(); }
};

/// The producer's part of a batch.
struct ProducerState {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  std::int32_t sequence = -1;
};

/// A batch of `count` records with values of `value_bytes`, one millisecond apart from `first_ms` on.
[[nodiscard]] Bytes make_batch(int count = 1, ProducerState producer = {}, std::size_t value_bytes = 10,
                               std::int64_t first_ms = 1'000, Compression codec = Compression::kNone);

[[nodiscard]] ProduceRequest produce_request(const std::string& topic, std::int32_t partition, const Bytes& records,
                                             std::int16_t acks = ProduceRequest::kAcksAll);
[[nodiscard]] FetchRequest fetch_request(const std::string& topic, std::int32_t partition, std::int64_t offset,
                                         std::chrono::milliseconds wait = 0ms, std::int32_t bytes_min = 1);
/// Number of records that a RECORDS field holds.
[[nodiscard]] std::int64_t records_in(const Records& records);

/// The highest one that is served, and in which topics have names.
template <RequestMessage Request>
[[nodiscard]] constexpr std::int16_t usual_version() {
  constexpr std::int16_t kLastFetchByName = 12;
  const auto max = served_versions<Request>().max;
  return Request::api == ApiKey::kFetch ? std::min(max, kLastFetchByName) : max;
}

class BrokerTest : public ::testing::Test {
 protected:
  BrokerTest();
  ~BrokerTest() override;

  /// Starts a broker on the folder with `options_`.
  void start();
  [[nodiscard]] Result<> try_start();
  void stop();
  /// Leaves the folder as kill -9 would.
  void crash();
  void restart() { stop(); start(); }

  [[nodiscard]] std::unique_ptr<RequestChannel> connect() const;
  [[nodiscard]] std::unique_ptr<RequestChannel> connect_by_nng() const;

  template <RequestMessage Request>
  std::future<Answer<typename Request::Response>> send(RequestChannel& channel, const Request& request,
                                                       std::int16_t version, Duration timeout = kDeadline) {
    using Response = typename Request::Response;
    auto promise = std::make_shared<std::promise<Answer<Response>>>();
    auto frame = encode_request(version, next_correlation_id_++, "unit-test", request);
    EXPECT_TRUE(frame) << frame.error().message;
    channel.send(*std::move(frame), timeout, [promise, version](Result<SharedBytes> answered) {
      Answer<Response> answer;
      if (answered) {
        answer.frame = *answered;
        answer.message = decode_response<Response>(answer.frame.view(), version);
      } else {
        answer.message = tl::unexpected<Error>(answered.error());
      }
      promise->set_value(std::move(answer));
    });
    return promise->get_future();
  }

  /// Over Kafka TCP, in the usual version; fails the test if it is not answered.
  template <RequestMessage Request>
  Answer<typename Request::Response> ask(const Request& request,
                                         std::int16_t version = usual_version<Request>()) {
    return ask(*channel_, request, version);
  }
  template <RequestMessage Request>
  Answer<typename Request::Response> ask(RequestChannel& channel, const Request& request,
                                         std::int16_t version = usual_version<Request>()) {
    auto answer = send(channel, request, version).get();
    EXPECT_TRUE(answer) << answer.message.error().message;
    return answer;
  }

  ErrorCode create_topic(const std::string& name, std::int32_t partitions = 1,
                         std::vector<CreateTopicsRequest::Config> configs = {});
  ErrorCode delete_topic(const std::string& name);
  /// The only partition of the answer to a produce of these records.
  ProduceResponse::Partition produce(const std::string& topic, std::int32_t partition, const Bytes& records,
                                     std::int16_t acks = ProduceRequest::kAcksAll);
  /// The only partition of the answer, whose records live as long as the answer.
  Answer<FetchResponse> fetch(const std::string& topic, std::int32_t partition, std::int64_t offset);
  std::int64_t end_offset(const std::string& topic, std::int32_t partition);
  [[nodiscard]] double metric(const std::string& name, const MetricLabels& labels = {});

  TempFolder folder_;
  BrokerOptions options_;
  ControlledFileSystem fs_;
  std::unique_ptr<MetricsRegistry> metrics_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<RequestChannel> channel_;  // Kafka TCP, to broker_
  std::atomic<std::int32_t> next_correlation_id_ = 1;
};

/// A bare TCP connection, to say things that no client would.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  void write(ByteView bytes);
  /// With the 4-byte length in front.
  void write_frame(ByteView frame);
  /// One frame without its length; nothing if the peer closed, or at the deadline.
  [[nodiscard]] std::optional<Bytes> read_frame(std::chrono::milliseconds deadline = kDeadline);
  /// Whether the peer closes before the deadline.
  [[nodiscard]] bool is_closed(std::chrono::milliseconds deadline = kDeadline);

 private:
  [[nodiscard]] bool read_exactly(std::span<std::uint8_t> out, std::chrono::milliseconds deadline);
  int socket_ = -1;
};

}  // namespace tributary::test
