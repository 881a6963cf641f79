#include "tests/unit/server/broker_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/telemetry/scrape.h"

namespace tributary::test {

Bytes make_batch(int count, ProducerState producer, std::size_t value_bytes, std::int64_t first_ms, Compression codec) {
  BatchBuilder builder;
  const std::string value(value_bytes, 'v');
  for (int i = 0; i < count; ++i) builder.append(first_ms + i, std::nullopt, as_bytes(value));
  auto batch = builder.finish({.compression = codec,
                               .producer_id = ProducerId(producer.id),
                               .producer_epoch = ProducerEpoch(producer.epoch),
                               .base_sequence = Sequence(producer.sequence)});
  return batch.value();
}

ProduceRequest produce_request(const std::string& topic, std::int32_t partition, const Bytes& records, std::int16_t acks) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 10'000;
  request.topics.push_back({topic, {{PartitionIndex(partition), Records(ByteView(records))}}});
  return request;
}

FetchRequest fetch_request(const std::string& topic, std::int32_t partition, std::int64_t offset,
                           std::chrono::milliseconds wait, std::int32_t bytes_min) {
  FetchRequest request;
  request.wait_ms_max = static_cast<std::int32_t>(wait.count());
  request.bytes_min = bytes_min;
  request.bytes_max = 1 << 30;
  FetchRequest::Partition wanted;
  wanted.index = PartitionIndex(partition);
  wanted.fetch_offset = Offset(offset);
  wanted.bytes_max = 1 << 20;
  request.topics.push_back({topic, {}, {wanted}});
  return request;
}

std::int64_t records_in(const Records& records) {
  std::int64_t count = 0;
  BatchIterator batches(records.view());
  for (auto batch = batches.next(); batch && *batch; batch = batches.next()) count += (*batch)->header.record_count;
  return count;
}

BrokerTest::BrokerTest() {
  options_.data = folder_ / "data";
  options_.shards = 2;
  options_.kafka_port = 0;
  options_.nng_url = "tcp://127.0.0.1:0";
}

BrokerTest::~BrokerTest() {
  fs_.release();
  channel_.reset();
  broker_.reset();
}

Result<> BrokerTest::try_start() {
  metrics_ = std::make_unique<MetricsRegistry>();
  broker_ = std::make_unique<Broker>(options_, *metrics_, fs_);
  return broker_->start();
}

void BrokerTest::start() {
  const auto started = try_start();
  ASSERT_TRUE(started) << started.error().message;
  channel_ = connect();
}

void BrokerTest::stop() {
  const auto stopped = broker_->stop();
  EXPECT_TRUE(stopped) << stopped.error().message;
  crash();
}

void BrokerTest::crash() {
  channel_.reset();
  broker_.reset();
  metrics_.reset();
}

std::unique_ptr<RequestChannel> BrokerTest::connect() const {
  auto channel = connect_kafka_tcp("127.0.0.1", broker_->kafka_port());
  EXPECT_TRUE(channel);
  return *std::move(channel);
}

std::unique_ptr<RequestChannel> BrokerTest::connect_by_nng() const {
  auto channel = connect_nng(broker_->nng_url());
  EXPECT_TRUE(channel);
  return *std::move(channel);
}

ErrorCode BrokerTest::create_topic(const std::string& name, std::int32_t partitions,
                                   std::vector<CreateTopicsRequest::Config> configs) {
  CreateTopicsRequest request;
  request.topics.push_back({name, partitions, 1, {}, std::move(configs)});
  const auto answer = ask(request);
  return answer->topics.at(0).error_code;
}

ErrorCode BrokerTest::delete_topic(const std::string& name) {
  DeleteTopicsRequest request;
  request.topics.push_back({name, {}});
  return ask(request)->topics.at(0).error_code;
}

ProduceResponse::Partition BrokerTest::produce(const std::string& topic, std::int32_t partition, const Bytes& records,
                                               std::int16_t acks) {
  const auto answer = ask(produce_request(topic, partition, records, acks));
  if (!answer) return {};
  return answer->topics.at(0).partitions.at(0);
}

Answer<FetchResponse> BrokerTest::fetch(const std::string& topic, std::int32_t partition, std::int64_t offset) {
  return ask(fetch_request(topic, partition, offset));
}

std::int64_t BrokerTest::end_offset(const std::string& topic, std::int32_t partition) {
  ListOffsetsRequest request;
  request.topics.push_back({topic, {{PartitionIndex(partition), kNoLeaderEpoch, ListOffsetsRequest::kLatest}}});
  return ask(request)->topics.at(0).partitions.at(0).offset.value();
}

double BrokerTest::metric(const std::string& name, const MetricLabels& labels) {
  return MetricsSnapshot(metrics_->serialize()).value(name, labels).value_or(0);
}

RawConnection::RawConnection(std::uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

RawConnection::~RawConnection() { close(socket_); }

void RawConnection::write(ByteView bytes) {
  while (!bytes.empty()) {
    const auto sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // closed by the peer, which is what some tests want
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void RawConnection::write_frame(ByteView frame) {
  Bytes whole;
  for (int shift = 24; shift >= 0; shift -= 8) whole.push_back(static_cast<std::uint8_t>(frame.size() >> shift));
  whole.insert(whole.end(), frame.begin(), frame.end());
  write(whole);
}

bool RawConnection::read_exactly(std::span<std::uint8_t> out, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!out.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{socket_, POLLIN, 0};
    if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) <= 0) return false;
    const auto got = recv(socket_, out.data(), out.size(), 0);
    if (got <= 0) return false;
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

std::optional<Bytes> RawConnection::read_frame(std::chrono::milliseconds deadline) {
  std::array<std::uint8_t, 4> length{};
  if (!read_exactly(length, deadline)) return std::nullopt;
  Bytes frame(static_cast<std::size_t>(length[0]) << 24 | length[1] << 16 | length[2] << 8 | length[3]);
  if (!read_exactly(frame, deadline)) return std::nullopt;
  return frame;
}

bool RawConnection::is_closed(std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  std::array<std::uint8_t, 4096> ignored;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{socket_, POLLIN, 0};
    if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) <= 0) return false;
    if (recv(socket_, ignored.data(), ignored.size(), 0) <= 0) return true;
  }
}

}  // namespace tributary::test
