// Topics that are not as assumed, and batches that the cluster does not take.

#include "tests/unit/pipeline/forwarder_fixture.h"

namespace tributary {
namespace {

TEST_F(ForwarderTest, BeforeTheFirstContactTheRoutesPartitionsAreUsedAndMoreRealOnesAreTakenWhenDrained) {
  cluster_.topics["readings"] = 16;
  start();
  for (int i = 0; i < 64; ++i) store(i);
  advance_and_step(milliseconds(700));
  EXPECT_EQ(uplink_->wanted["readings"], 4);
  cluster_answers();
  EXPECT_EQ(buffer_->mapping("readings"), (PartitionMapping{4, 4}));
  step();
  deliver_all();
  expect_complete();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  EXPECT_EQ(buffer_->mapping("readings"), (PartitionMapping{16, 16}));
}

TEST_F(ForwarderTest, FewerRealPartitionsThanAssumedTakeTheBacklogInOrder) {
  cluster_.topics["readings"] = 3;
  start();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 40; ++i) store(i % 20);
    advance_and_step(milliseconds(700));
  }
  for (int i = 0; i < 40; ++i) store(i % 20);
  step();
  cluster_answers();
  step();
  for (int i = 0; i < 40; ++i) store(i % 20);
  advance_and_step(milliseconds(5));
  if (const auto id = uplink_->deliver()) forwarder_->acked(*id);
  start();  // in the midst of it
  cluster_answers();
  for (int i = 0; i < 40; ++i) store(i % 20);
  step();
  deliver_all();
  expect_complete();
  EXPECT_EQ(buffer_->mapping("readings")->existing, 3);
}

TEST_F(ForwarderTest, ATopicMadeAnewWithFewerPartitionsTakesWhatWasInFlightForThoseThatAreGone) {
  start();
  cluster_answers();
  for (int i = 0; i < 40; ++i) store(i);
  advance_and_step(milliseconds(5));
  ASSERT_EQ(uplink_->offered(), 4u);
  cluster_.topics["readings"] = 2;
  cluster_answers();
  EXPECT_EQ(uplink_->wanted["readings"], 2);  // should it be deleted once more
  for (const std::int32_t gone : {2, 3}) {
    const auto id = uplink_->give_back({"readings", PartitionIndex(gone)});
    forwarder_->setback(id.value(), Setback::kGap, "the partition is gone");
  }
  step();
  deliver_all();
  expect_complete();
  EXPECT_EQ(buffer_->mapping("readings"), (PartitionMapping{2, 2}));
}

TEST_F(ForwarderTest, ABatchThatTheClusterRefusesIsKeptAsideAndTheRestGoesOnUnderANewEpoch) {
  cluster_.topics["readings"] = 1;
  routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings partitions=1").value()}).value();
  start();
  cluster_answers();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  const TopicPartition partition{"readings", PartitionIndex(0)};
  for (int i = 0; i < 3; ++i) {  // one in flight, two behind it
    store(1);
    advance_and_step(milliseconds(750));
  }
  forwarder_->setback(uplink_->give_back(partition).value(), Setback::kRefused, "too large");
  step();
  store(1);
  advance_and_step(milliseconds(5));
  deliver_all();
  EXPECT_EQ(metrics_.refused.value(), 1u);
  EXPECT_EQ(cluster_.all().size(), 4u);
  expect_complete(1);
  EXPECT_TRUE(std::filesystem::exists(flash_folder_ / "flash/given-up-2.batch"));
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(1));
}

TEST_F(ForwarderTest, AFencedProducerGivesWayToANewOneOnceWhatIsInFlightElsewhereHasLanded) {
  start();
  cluster_answers();
  for (int i = 0; i < 12; ++i) store(i);
  advance_and_step(milliseconds(5));
  deliver_all();
  for (int i = 0; i < 12; ++i) store(i);
  advance_and_step(milliseconds(5));
  ASSERT_EQ(uplink_->offered(), 4u);
  const auto before = buffer_->identity().producer_id;
  const auto fenced = uplink_->give_back({"readings", PartitionIndex(2)}).value();
  forwarder_->setback(fenced, Setback::kFenced, "INVALID_PRODUCER_EPOCH");
  uplink_->deliver({"readings", PartitionIndex(0)}, false);  // in the log, and the answer is late
  step();
  EXPECT_EQ(buffer_->identity().producer_id, before);
  forwarder_->setback(uplink_->give_back({"readings", PartitionIndex(3)}).value(), Setback::kFenced, "PRODUCER_FENCED");
  for (int i = 0; i < 12; ++i) store(i);
  advance_and_step(milliseconds(5));
  EXPECT_EQ(uplink_->offered(), 2u);  // nothing more under the old producer
  deliver_all();
  expect_complete();
  EXPECT_NE(buffer_->identity().producer_id, before);
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(0));  // one renewal
}

TEST_F(ForwarderTest, AClusterThatHasLostWhatItHadAcknowledgedGetsTheRestUnderANewEpoch) {
  start();
  cluster_answers();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 12; ++i) store(i);
    advance_and_step(milliseconds(5));
    deliver_all();
  }
  const auto before = cluster_.all().size();
  cluster_.lose_producers();  // put back to a state before our first batch
  for (int i = 0; i < 12; ++i) store(i);
  advance_and_step(milliseconds(5));
  for (std::int32_t p = 0; p < 4; ++p) {
    const TopicPartition partition{"readings", PartitionIndex(p)};
    forwarder_->setback(uplink_->give_back(partition).value(), Setback::kGap, "OUT_OF_ORDER_SEQUENCE_NUMBER");
  }
  step();
  deliver_all();
  EXPECT_EQ(cluster_.all().size(), before + 12);
  EXPECT_EQ(metrics_.refused.value() + metrics_.lost.value(), 0u);
  EXPECT_EQ(buffer_->identity().epoch, ProducerEpoch(1));
  expect_complete();
}

TEST_F(ForwarderTest, ATopicThatTheClusterDoesNotKnowHoldsUpNoOther) {
  routes_ = RouteTable::make({parse_route("sensors/+/+ -> readings").value(),
                              parse_route("x/+ -> unknown").value()}).value();
  start();
  forwarder_->reachable(true);
  forwarder_->partition_count("readings", 4);
  for (int i = 0; i < 20; ++i) {
    ReadingView reading;
    reading.topic = "unknown";
    reading.key = "k";
    reading.received = clock_.mono_now();
    ASSERT_TRUE(intake_->store(reading, {}));
    store(1);
    advance_and_step(milliseconds(200));
    while (const auto id = uplink_->deliver()) forwarder_->acked(*id);
    step();
  }
  expect_complete();
  EXPECT_EQ(cluster_.all().size(), 20u);
  EXPECT_GT(buffer_->last_id(), BatchId(0));
}

}  // namespace
}  // namespace tributary
