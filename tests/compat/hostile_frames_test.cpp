// What no client sends, on both listeners: the broker closes or ignores that connection, and nothing else
// notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <thread>

#include "common/bytes/writer.h"
#include "common/env/random.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/transport/client.h"
#include "tests/compat/raw_connection.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

class HostileFrames : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    others_.emplace(broker_.kafka_port());
    ASSERT_TRUE(others_->ask(3, ApiVersionsRequest{"compat", "1"}));
    resident_before_ = resident_bytes(broker_.process().pid());
  }
  void TearDown() override {
    if (!HasFatalFailure()) expect_unharmed();
  }

  /// The process lives, a connection from before and a new one are served, memory has not grown.
  void expect_unharmed() {
    ASSERT_TRUE(broker_.running()) << broker_.log();
    const auto old = others_->ask(9, MetadataRequest{});
    EXPECT_TRUE(old) << old.error().message;
    RawConnection fresh(broker_.kafka_port());
    const auto answer = fresh.ask(9, MetadataRequest{});
    EXPECT_TRUE(answer) << answer.error().message;
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory
    const auto resident = resident_bytes(broker_.process().pid());
    EXPECT_LT(resident, resident_before_ + (64u << 20)) << "resident " << resident_before_ << " -> " << resident;
#endif
  }

  [[nodiscard]] RawConnection connect() const { return RawConnection(broker_.kafka_port()); }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::optional<RawConnection> others_;
  std::size_t resident_before_ = 0;
};

Bytes length_prefix(std::uint32_t length) {
  Bytes bytes;
  ByteWriter(bytes).u32(length);
  return bytes;
}

Bytes request_header(std::int16_t api, std::int16_t version, bool flexible) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(api);
  writer.i16(version);
  writer.i32(77);
  writer.i16(3);
  writer.bytes(as_bytes("bad"));
  if (flexible) writer.i8(0);
  return bytes;
}

TEST_F(HostileFrames, LengthsThatCannotBeCloseTheConnection) {
  // Too small, negative, over the limit, and the first bytes of TLS and HTTP read as a length.
  for (const std::uint32_t length : {0u, 1u, 7u, 0x80000000u, 0xffffffffu, 0x7fffffffu, (100u << 20) + 1,
                                     0x16030100u, 0x47455420u}) {
    auto connection = connect();
    connection.send(length_prefix(length));
    EXPECT_TRUE(connection.closed_by_peer()) << length;
  }
}

TEST_F(HostileFrames, AnnouncedBytesThatNeverComeTakeNoMemory) {
  std::vector<RawConnection> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(connect());
    ASSERT_TRUE(waiting.back().send(length_prefix(99u << 20)));
    ASSERT_TRUE(waiting.back().send(request_header(0, 7, false)));
  }
  expect_unharmed();
  for (auto& connection : waiting) connection.finish_sending();
  for (auto& connection : waiting) EXPECT_TRUE(connection.closed_by_peer());
}

TEST_F(HostileFrames, FramesThatStopHalfWayTakeBoundedMemory) {
  std::vector<RawConnection> stopped;
  for (int i = 0; i < 12; ++i) stopped.push_back(connect());
  const Bytes part(60u << 20, 1);
  std::vector<std::thread> senders;
  for (auto& connection : stopped)
    senders.emplace_back([&] {
      (void)connection.send(length_prefix(99u << 20));
      (void)connection.send(part, std::chrono::seconds(3));
    });
  for (auto& sender : senders) sender.join();
  [[maybe_unused]] const auto grown = [&] { return resident_bytes(broker_.process().pid()) - resident_before_; };
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(grown(), 200u << 20);
#endif
  EXPECT_TRUE(connect().ask(9, MetadataRequest{}));
  stopped.clear();
#ifndef __SANITIZE_ADDRESS__
  EXPECT_TRUE(eventually(std::chrono::seconds(20), [&] { return grown() < 64u << 20; }));
#endif
}

TEST_F(HostileFrames, HeadersThatEndEarlyCloseTheConnection) {
  const auto whole = request_header(18, 3, true);
  for (std::size_t size = 8; size < whole.size(); ++size) {
    auto connection = connect();
    connection.send_frame(ByteView(whole).first(size));
    EXPECT_TRUE(connection.closed_by_peer()) << size;
  }
}

TEST_F(HostileFrames, ApisAndVersionsThatAreNotServedCloseTheConnection) {
  for (const auto& [api, version] : {std::pair{999, 0}, {-1, 0}, {2, 0}, {1, 99}, {3, -1}, {0, 2}, {4, 0}, {71, 0}}) {
    auto connection = connect();
    auto frame = request_header(static_cast<std::int16_t>(api), static_cast<std::int16_t>(version), false);
    frame.insert(frame.end(), 40, 0);
    connection.send_frame(frame);
    EXPECT_TRUE(connection.closed_by_peer()) << api << " v" << version;
  }
}

TEST_F(HostileFrames, ApiVersionsOfTheFutureAreAnsweredInVersionZeroWithOurRange) {
  for (const std::int16_t version : {std::int16_t{5}, std::int16_t{99}, std::int16_t{32767}}) {
    auto connection = connect();
    auto frame = request_header(18, version, true);
    for (const char* text : {"librdkafka", "9.9"}) {
      ByteWriter(frame).uvarint(static_cast<std::uint32_t>(std::strlen(text)) + 1);
      ByteWriter(frame).bytes(as_bytes(text));
    }
    frame.insert(frame.end(), {1, 2, 3});  // whatever the future adds
    ASSERT_TRUE(connection.send_frame(frame));
    const auto answer = connection.read_frame();
    ASSERT_TRUE(answer) << version;
    EXPECT_EQ(response_correlation_id(*answer), 77);
    const auto response = decode_response<ApiVersionsResponse>(*answer, 0);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->error_code, ErrorCode::kUnsupportedVersion);
    EXPECT_THAT(response->apis, testing::Contains(ApiVersionsResponse::Api{ApiKey::kApiVersions, 0, 4}));

    // The client tries again with what it has learnt, on the same connection.
    const auto again = connection.ask(4, ApiVersionsRequest{"librdkafka", "9.9"});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->error_code, ErrorCode::kNone);
    EXPECT_THAT(again->apis, testing::Contains(ApiVersionsResponse::Api{ApiKey::kProduce, 0, 11}));
    EXPECT_THAT(again->apis, testing::Contains(ApiVersionsResponse::Api{ApiKey::kFetch, 4, 13}));
  }
}

TEST_F(HostileFrames, BodiesThatDoNotDecodeCloseTheConnection) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  const std::vector<std::pair<std::int16_t, std::int16_t>> apis{
      {0, 7}, {0, 9}, {1, 11}, {1, 12}, {2, 5}, {2, 7}, {3, 8}, {3, 9}, {19, 4}, {19, 7}, {20, 6}, {22, 4}, {32, 4}, {60, 1}};
  for (int round = 0; round < 300; ++round) {
    const auto [api, version] = apis[random.below(apis.size())];
    const bool flexible = version >= first_flexible_version(static_cast<ApiKey>(api));
    auto frame = request_header(api, version, flexible);
    // An impossible count right where a count, a string or a tag buffer stands, then garbage.
    Bytes garbage(4 + random.below(200));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(0x80 | random.next_u64());
    frame.insert(frame.end(), garbage.begin(), garbage.end());
    auto connection = connect();
    ASSERT_TRUE(connection.send_frame(frame));
    EXPECT_TRUE(connection.closed_by_peer()) << api << " v" << version;
  }
}

TEST_F(HostileFrames, RandomBytesNeverHarm) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for (int round = 0; round < 300; ++round) {
    auto connection = connect();
    Bytes garbage(random.below(3000));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random.next_u64());
    if (random.below(2) == 0 && garbage.size() > 8) {  // a plausible length and API in front
      Bytes front;
      ByteWriter writer(front);
      writer.i32(static_cast<std::int32_t>(garbage.size() - 4));
      writer.i16(static_cast<std::int16_t>(random.below(61)));
      writer.i16(static_cast<std::int16_t>(random.below(13)));
      std::ranges::copy(front, garbage.begin());
    }
    connection.send(garbage);
    connection.finish_sending();
    EXPECT_TRUE(connection.closed_by_peer()) << "round " << round;
  }
}

TEST_F(HostileFrames, RecordsThatAreDamagedAreRefusedAndNothingIsStored) {
  CreateTopicsRequest create;
  create.topics = {{"t", 1, 1, {}, {}}};
  ASSERT_TRUE(others_->ask(7, create));
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for (int round = 0; round < 200; ++round) {
    Bytes records(random.below(400));
    for (auto& byte : records) byte = static_cast<std::uint8_t>(random.next_u64());
    if (records.size() > 61 && random.below(2) == 0) {  // a batch by its length and magic
      Bytes front;
      ByteWriter writer(front);
      writer.i64(0);
      writer.i32(static_cast<std::int32_t>(records.size() - 12));
      writer.i32(0);
      writer.i8(2);
      std::ranges::copy(front, records.begin());
    }
    ProduceRequest produce;
    produce.acks = ProduceRequest::kAcksAll;
    produce.timeout_ms = 1000;
    produce.topics = {{"t", {{PartitionIndex(0), Records(records)}}}};
    const auto response = others_->ask(9, produce);
    ASSERT_TRUE(response) << response.error().message;
    const auto& partition = response->topics.at(0).partitions.at(0);
    EXPECT_NE(partition.error_code, ErrorCode::kNone) << records.size();
    EXPECT_NE(partition.error_code, ErrorCode::kUnknownServerError);
  }
  ListOffsetsRequest end;
  end.topics = {{"t", {{PartitionIndex(0), kNoLeaderEpoch, ListOffsetsRequest::kLatest}}}};
  const auto offsets = others_->ask(7, end);
  ASSERT_TRUE(offsets) << offsets.error().message;
  EXPECT_EQ(offsets->topics.at(0).partitions.at(0).offset, Offset(0));
}

TEST_F(HostileFrames, RequestsThatAskForTooMuchAreAnsweredWithErrors) {
  CreateTopicsRequest create;
  create.topics = {{"many", 2'000'000'000, 1, {}, {}}, {"../up", 1, 1, {}, {}}, {"", 1, 1, {}, {}},
                   {"copies", 1, 3, {}, {}}, {std::string(300, 'x'), 1, 1, {}, {}}};
  const auto created = others_->ask(7, create);
  ASSERT_TRUE(created) << created.error().message;
  ASSERT_EQ(created->topics.size(), 5u);
  for (const auto& topic : created->topics) EXPECT_NE(topic.error_code, ErrorCode::kNone) << topic.name;

  FetchRequest fetch;
  fetch.wait_ms_max = 0x7fffffff;
  fetch.bytes_min = 0;
  fetch.topics = {{"missing", {}, {{.index = PartitionIndex(-5), .fetch_offset = Offset(-9), .bytes_max = -1}}}};
  const auto fetched = others_->ask(12, fetch);
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(fetched->topics.at(0).partitions.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
}

TEST_F(HostileFrames, AClientThatAsksAndNeverReadsIsHeldBack) {
  auto frame = request_header(3, 8, false);
  frame.insert(frame.end(), {0xff, 0xff, 0xff, 0xff, 0, 0, 0});  // all topics
  Bytes many;
  for (int i = 0; i < 1000; ++i) {
    ByteWriter writer(many);
    writer.i32(static_cast<std::int32_t>(frame.size()));
    writer.bytes(frame);
  }
  CreateTopicsRequest create;
  create.topics = {{"wide", 100, 1, {}, {}}};
  ASSERT_TRUE(others_->ask(7, create));
  std::vector<RawConnection> deaf;
  for (int i = 0; i < 5; ++i) {
    deaf.push_back(connect());
    // Each thousand questions have megabytes of answers.
    int sent = 0;
    while (sent < 200 && deaf.back().send(many, std::chrono::milliseconds(500))) ++sent;
    EXPECT_LT(sent, 200) << "the broker stops reading from a client that does not read";
  }
  expect_unharmed();
}

/// The SP protocol under nng, spoken by hand: 8 bytes each way, then messages with 8-byte lengths, each of
/// which begins with a request id (RFC "scalability protocols" TCP mapping).
class HostileNng : public HostileFrames {
 protected:
  [[nodiscard]] RawConnection handshaken() const {
    RawConnection connection(broker_.nng_port());
    connection.send(Bytes{0, 'S', 'P', 0, 0, 0x30, 0, 0});
    const auto peer = connection.read(8);
    EXPECT_EQ(peer, (Bytes{0, 'S', 'P', 0, 0, 0x31, 0, 0}));
    return connection;
  }
  static Bytes message(std::uint64_t announced, ByteView body) {
    Bytes bytes;
    bytes.reserve(8 + body.size());  // without it, g++ 12 warns of a copy that cannot happen
    ByteWriter writer(bytes);
    writer.u64(announced);
    writer.bytes(body);
    return bytes;
  }
  static Bytes with_request_id(ByteView frame) {
    Bytes bytes{0x80, 0, 0, 1};
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
  }
  /// Another client of this listener gets its answer.
  void expect_nng_served() {
    auto channel = connect_nng(broker_.nng_url());
    ASSERT_TRUE(channel);
    const auto request = encode_request(9, 5, "other", MetadataRequest{});
    std::promise<Result<SharedBytes>> answered;
    (*channel)->send(*request, std::chrono::seconds(10),
                     [&](Result<SharedBytes> result) { answered.set_value(std::move(result)); });
    const auto answer = answered.get_future().get();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(decode_response<MetadataResponse>(answer->view(), 9));
  }
};

TEST_F(HostileNng, AWrongHandshakeOrLengthClosesTheConnection) {
  RawConnection http(broker_.nng_port());
  http.send(as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(http.closed_by_peer());
  for (const std::uint64_t length : {std::uint64_t{(16u << 20) + 1}, ~std::uint64_t{0}, std::uint64_t{1} << 40}) {
    auto connection = handshaken();
    connection.send(message(length, Bytes(16, 1)));
    EXPECT_TRUE(connection.closed_by_peer()) << length;
  }
  expect_nng_served();
}

TEST_F(HostileNng, AnnouncedBytesThatNeverComeTakeNoMemory) {
  std::vector<RawConnection> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(handshaken());
    ASSERT_TRUE(waiting.back().send(message(15u << 20, Bytes(16, 1))));
  }
  expect_nng_served();
  expect_unharmed();
}

TEST_F(HostileNng, MessagesThatAreNoRequestsAreDropped) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for (int round = 0; round < 100; ++round) {
    auto connection = handshaken();
    for (int i = 0; i < 5; ++i) {
      Bytes body(random.below(300));
      for (auto& byte : body) byte = static_cast<std::uint8_t>(random.next_u64());
      if (random.below(2) == 0) body = with_request_id(body);
      if (!connection.send(message(body.size(), body))) break;
    }
  }
  expect_nng_served();
}

TEST_F(HostileNng, ApiVersionsOfTheFutureAreAnsweredInVersionZero) {
  auto connection = handshaken();
  const auto frame = with_request_id(request_header(18, 99, true));
  ASSERT_TRUE(connection.send(message(frame.size(), frame)));
  const auto prefix = connection.read(8);
  ASSERT_TRUE(prefix);
  const auto answer = connection.read((*prefix)[7] | (*prefix)[6] << 8);
  ASSERT_TRUE(answer);
  const auto response = decode_response<ApiVersionsResponse>(ByteView(*answer).subspan(4), 0);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->error_code, ErrorCode::kUnsupportedVersion);
}

}  // namespace
}  // namespace tributary::test
