// What nobody should send.

#include "common/env/random.h"
#include "tests/unit/server/broker_fixture.h"

namespace tributary::test {
namespace {

class GarbageTest : public BrokerTest {
 protected:
  void SetUp() override {
    start();
    ASSERT_EQ(create_topic("t"), ErrorCode::kNone);
  }
  /// The broker serves others as if nothing had happened.
  void expect_unharmed() { EXPECT_EQ(ask(ApiVersionsRequest{"unit-test", "1"})->error_code, ErrorCode::kNone); }
};

TEST_F(GarbageTest, AnUnknownApiClosesItsConnectionOnly) {
  RawConnection raw(broker_->kafka_port());
  raw.write_frame(Bytes{0x03, 0xe8, 0, 0, 0, 0, 0, 1, 0xff, 0xff});
  EXPECT_TRUE(raw.is_closed());
  expect_unharmed();
}

TEST_F(GarbageTest, VersionsThatAreNotServedCloseTheConnection) {
  // Produce 2 is offered, for an old librdkafka's sake, but not served; Fetch 13 names topics by id.
  for (const auto& head : {Bytes{0, 0, 0, 2}, Bytes{0, 1, 0, 13}, Bytes{0, 1, 0, 0}, Bytes{0, 3, 0, 10}, Bytes{0, 3, 0xff, 0xff}}) {
    RawConnection raw(broker_->kafka_port());
    auto frame = head;
    frame.insert(frame.end(), {0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0});
    raw.write_frame(frame);
    EXPECT_TRUE(raw.is_closed());
  }
  expect_unharmed();
}

TEST_F(GarbageTest, AnImpossibleLengthClosesTheConnectionUnread) {
  for (const auto& length : {Bytes{0x7f, 0xff, 0xff, 0xff}, Bytes{0xff, 0xff, 0xff, 0xff}, Bytes{0, 0, 0, 0}, Bytes{0x16, 0x03, 0x01, 0x02}}) {
    RawConnection raw(broker_->kafka_port());
    raw.write(length);
    EXPECT_TRUE(raw.is_closed());
  }
  expect_unharmed();
  EXPECT_EQ(metric("tributary_broker_malformed_frames_total", {{"listener", "kafka"}}), 4);
}

TEST_F(GarbageTest, TruncatedBodiesCloseTheConnection) {
  const auto batch = make_batch(1);
  const auto whole = encode_request(9, 1, "unit-test", produce_request("t", 0, batch))->flatten().value();
  for (std::size_t size = 8; size < whole.size(); size += 3) {
    RawConnection raw(broker_->kafka_port());
    raw.write_frame(ByteView(whole).first(size));
    EXPECT_TRUE(raw.is_closed()) << size;
  }
  EXPECT_EQ(end_offset("t", 0), 0);
}

TEST_F(GarbageTest, RandomlyDamagedRequestsHarmNobody) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  const auto batch = make_batch(3);
  CreateTopicsRequest create;
  create.validate_only = true;
  create.topics.push_back({"v", 1, 1, {}, {{"segment.bytes", "4096"}}});
  ListOffsetsRequest offsets;
  offsets.topics.push_back({"t", {{PartitionIndex(0), kNoLeaderEpoch, -1}}});
  MetadataRequest metadata;
  metadata.topics->push_back({{}, "t"});
  metadata.allow_auto_topic_creation = false;
  const std::vector<Bytes> frames{
      encode_request(9, 1, "c", produce_request("t", 0, batch))->flatten().value(),
      encode_request(12, 1, "c", fetch_request("t", 0, 0))->flatten().value(),
      encode_request(7, 1, "c", offsets)->flatten().value(),
      encode_request(9, 1, "c", metadata)->flatten().value(),
      encode_request(7, 1, "c", create)->flatten().value(),
      encode_request(4, 1, "c", InitProducerIdRequest{})->flatten().value(),
      encode_request(1, 1, "c", DescribeClusterRequest{})->flatten().value(),
  };
  for (int i = 0; i < 400; ++i) {
    auto frame = frames[random.below(frames.size())];
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      frame[random.below(frame.size())] = static_cast<std::uint8_t>(random.next_u64());
    RawConnection raw(broker_->kafka_port());
    raw.write_frame(frame);
    // A connection that is answered, or closed, is as good as the next: only do not wait for a fetch that waits.
    (void)raw.read_frame(1ms);
  }
  expect_unharmed();
}

TEST_F(GarbageTest, GarbageOverNngHarmsNobody) {
  const auto nng = connect_by_nng();
  std::promise<Result<SharedBytes>> answered;
  nng->send(Payload(Bytes{0x03, 0xe8, 0, 0, 0, 0, 0, 1, 0xff, 0xff}), 100ms,
            [&](Result<SharedBytes> answer) { answered.set_value(std::move(answer)); });
  EXPECT_FALSE(answered.get_future().get());
  EXPECT_EQ(ask(*nng, ApiVersionsRequest{"unit-test", "1"})->error_code, ErrorCode::kNone);
  EXPECT_GE(metric("tributary_broker_malformed_requests_total"), 1);
}

TEST_F(GarbageTest, ManyConnectionsThatSayNothingCostLittle) {
  std::vector<std::unique_ptr<RawConnection>> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(std::make_unique<RawConnection>(broker_->kafka_port()));
  EXPECT_TRUE(eventually(kDeadline, [&] { return metric("tributary_broker_connections", {{"listener", "kafka"}}) == 201; }));
  expect_unharmed();
}

}  // namespace
}  // namespace tributary::test
