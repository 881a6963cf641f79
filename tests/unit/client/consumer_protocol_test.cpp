#include "cluster/client/consumer_protocol.h"

#include <gtest/gtest.h>

#include <string_view>

namespace tributary {
namespace {

using namespace std::literals;

const TopicPartition kT0{"t", PartitionIndex(0)}, kT1{"t", PartitionIndex(1)}, kU5{"u", PartitionIndex(5)};

TEST(ConsumerProtocol, SubscriptionsAreTheBytesOfKafkasVersion3) {
  const Subscription subscription{{"t", "u"}, {kT1}, GenerationId(7)};
  const auto bytes = encode(subscription, "range");
  EXPECT_EQ(as_string_view(bytes), "\0\3" "\0\0\0\2" "\0\1t" "\0\1u" "\xff\xff\xff\xff" "\0\0\0\1" "\0\1t" "\0\0\0\1" "\0\0\0\1"
                                   "\0\0\0\7" "\xff\xff"sv);
  EXPECT_EQ(decode_subscription(bytes).value(), subscription);
}

TEST(ConsumerProtocol, ANewCooperativeMembersSubscriptionIsByteForByteJavasAndFranzGos) {
  // From tests/compat/golden; franz-go writes generation 0 where there is none.
  EXPECT_EQ(as_string_view(encode(Subscription{{"grouped"}, {}}, "cooperative-sticky")),
            "\0\3" "\0\0\0\1" "\0\7grouped" "\0\0\0\4" "\xff\xff\xff\xff" "\0\0\0\0" "\xff\xff\xff\xff" "\xff\xff"sv);
}

TEST(ConsumerProtocol, AGenerationThatOnlyTheUserDataHasIsFoundThere) {
  const auto generation = [](std::string_view bytes) { return decode_subscription(as_bytes(bytes))->generation; };
  EXPECT_EQ(generation("\0\1\0\0\0\1\0\1t\0\0\0\4\0\0\0\7\0\0\0\0"sv), GenerationId(7)) << "Java before KIP-792";
  EXPECT_EQ(generation("\0\1\0\0\0\1\0\1t\0\0\0\x13\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\0\0\0\7\0\0\0\0"sv), GenerationId(7))
      << "librdkafka before 2.3";
  EXPECT_EQ(generation("\0\1\0\0\0\1\0\1t\0\0\0\0\0\0\0\0"sv), kNoGenerationId);
  EXPECT_EQ(generation("\0\3\0\0\0\1\0\1t\0\0\0\4\0\0\0\7\0\0\0\0\0\0\0\x9\xff\xff"sv), GenerationId(9));
}

TEST(ConsumerProtocol, SubscriptionsOfOtherVersionsAreRead) {
  // What librdkafka sends for "range": version 1 with empty user data; an older one; a newer one with a rack.
  EXPECT_EQ(decode_subscription(as_bytes("\0\1\0\0\0\1\0\1t\0\0\0\0\0\0\0\0"sv))->topics, std::vector{"t"s});
  EXPECT_EQ(decode_subscription(as_bytes("\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"sv))->topics, std::vector{"t"s});
  EXPECT_EQ(decode_subscription(as_bytes("\0\3\0\0\0\1\0\1t\0\0\0\2xy\0\0\0\0\0\0\0\7\0\1r"sv))->topics, std::vector{"t"s});
}

TEST(ConsumerProtocol, AssignmentsAreTheBytesOfKafkasVersion0) {
  const auto bytes = encode_assignment({kT0, kT1, kU5});
  EXPECT_EQ(as_string_view(bytes),
            "\0\0" "\0\0\0\2" "\0\1t" "\0\0\0\2" "\0\0\0\0" "\0\0\0\1" "\0\1u" "\0\0\0\1" "\0\0\0\5" "\xff\xff\xff\xff"sv);
  EXPECT_EQ(decode_assignment(bytes).value(), (std::vector{kT0, kT1, kU5}));
  EXPECT_TRUE(decode_assignment({})->empty());
}

TEST(ConsumerProtocol, WhatIsCutOrSomethingElseIsCorrupt) {
  const auto subscription = encode(Subscription{{"t", "u"}, {kT1}, {}}, "range");
  constexpr std::size_t kRackBytes = 2;  // not read
  for (std::size_t size = 0; size < subscription.size() - kRackBytes; ++size)
    EXPECT_FALSE(decode_subscription(ByteView(subscription).first(size))) << size;
  const auto assignment = encode_assignment({kT0, kT1});
  for (std::size_t size = 1; size < assignment.size(); ++size)
    EXPECT_FALSE(decode_assignment(ByteView(assignment).first(size))) << size;
  EXPECT_FALSE(decode_assignment(as_bytes("\0\0\x7f\xff\xff\xff"sv)));
  EXPECT_FALSE(decode_subscription(as_bytes("some other protocol's metadata"sv)));
}

}  // namespace
}  // namespace tributary
