// Headers, API tables, error codes, and messages whose records stay where they are.

#include "common/protocol/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/env/random.h"
#include "tests/unit/protocol/any_message.h"

namespace tributary {
namespace {

TEST(RequestHeader, ClientIdIsNeverCompact) {
  const auto classic = encode_request(2, 5, "ab", ApiVersionsRequest{})->flatten().value();
  EXPECT_EQ(classic, (Bytes{0, 18, 0, 2, 0, 0, 0, 5, 0, 2, 'a', 'b'}));
  const auto flexible = encode_request(3, 5, "ab", ApiVersionsRequest{})->flatten().value();
  EXPECT_EQ(flexible, (Bytes{0, 18, 0, 3, 0, 0, 0, 5, 0, 2, 'a', 'b', /*tags*/ 0, /*body*/ 1, 1, 0}));
}

TEST(RequestHeader, ANullClientIdComesBack) {
  const RequestHeader header{ApiKey::kMetadata, 1, 9, std::nullopt};
  const auto frame = encode_request(header, MetadataRequest{})->flatten().value();
  const auto parsed = parse_request_header(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->header, header);
}

TEST(RequestHeader, UnknownApisAndVersionsAreLetThrough) {
  const Bytes unknown{0x7f, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3};
  const auto parsed = parse_request_header(unknown);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(name_of(parsed->header.api), "Api32512");
  EXPECT_EQ(parsed->header.version, 9);
  EXPECT_EQ(parsed->body.size(), 3u);
  const Bytes future{0, 18, 0, 99, 0, 0, 0, 1, 0, 1, 'c', 0, 2, 'n', 2, 'v', 0};
  const auto newer = parse_request_header(future);
  ASSERT_TRUE(newer);
  EXPECT_EQ(newer->header.client_id, "c");
  EXPECT_EQ(newer->body.size(), 5u);
}

TEST(RequestHeader, TagsOfAFlexibleHeaderAreSkipped) {
  const Bytes frame{0, 18, 0, 3, 0, 0, 0, 1, 0, 1, 'c', /*tags*/ 2, 0, 1, 'x', 9, 2, 'y', 'z', /*body*/ 1, 1, 0};
  const auto parsed = parse_request_header(frame);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(decode_request<ApiVersionsRequest>(parsed->body, 3));
}

TEST(RequestHeader, TheControlledShutdownOfOldBrokersHasNoClientId) {
  const Bytes frame{0, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2};
  const auto parsed = parse_request_header(frame);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->body.size(), 4u);
}

TEST(RequestHeader, DamagedOnesAreRefused) {
  const Bytes whole{0, 18, 0, 3, 0, 0, 0, 1, 0, 1, 'c', 1, 0, 1, 'x'};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = parse_request_header(ByteView(whole).first(size));
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().code, Errc::kCorrupt);
  }
  EXPECT_FALSE(parse_request_header(Bytes{0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xfe}));
}

TEST(ResponseHeader, OfApiVersionsIsAlwaysVersionZero) {
  const auto frame = encode_response(5, 3, ApiVersionsResponse{})->flatten().value();
  EXPECT_EQ(frame, (Bytes{0, 0, 0, 5, /*error*/ 0, 0, /*apis*/ 1, /*throttle*/ 0, 0, 0, 0, /*tags*/ 0}));
  const auto other = encode_response(5, 9, MetadataResponse{})->flatten().value();
  EXPECT_EQ(other[4], 0);
  EXPECT_EQ(response_correlation_id(other).value(), 5);
  EXPECT_FALSE(response_correlation_id(Bytes{0, 0, 5}));
}

TEST(ResponseHeader, TagsAreSkipped) {
  auto frame = encode_response(5, 9, MetadataResponse{})->flatten().value();
  frame[4] = 1;
  frame.insert(frame.begin() + 5, {7, 2, 'x', 'y'});
  EXPECT_EQ(decode_response<MetadataResponse>(frame, 9).value(), MetadataResponse{});
}

TEST(Records, SharedBytesAndFileSlicesStayWhereTheyAre) {
  const SharedBytes batch(Bytes(1000, 7));
  ProduceRequest request;
  request.topics = {{"t", {{PartitionIndex(0), batch}, {PartitionIndex(1), Records()}, {PartitionIndex(2), batch}}}};
  for (const std::int16_t version : {std::int16_t{3}, std::int16_t{9}}) {
    const auto payload = encode_request(version, 1, "c", request);
    ASSERT_TRUE(payload) << payload.error().message;
    std::size_t shared = 0;
    for (const auto& part : payload->parts()) {
      shared += std::get<SharedBytes>(part).view().data() == batch.view().data();
    }
    EXPECT_EQ(shared, 2u);
    const auto frame = payload->flatten().value();
    EXPECT_EQ(frame.size(), payload->size_bytes());
    const auto back = decode_request<ProduceRequest>(parse_request_header(frame)->body, version);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, request);
    EXPECT_EQ(back->topics[0].partitions[0].records.external(), nullptr);
    const auto* at = back->topics[0].partitions[0].records.view().data();
    EXPECT_TRUE(at > frame.data() && at < frame.data() + frame.size()) << "a view into the frame, not a copy";
  }
}

TEST(Records, NullAndEmptyAreNotTheSame) {
  EXPECT_NE(Records(), Records(ByteView{}));
  ProduceRequest request;
  request.topics = {{"t", {{PartitionIndex(0), Records(ByteView{})}, {PartitionIndex(1), Records()}}}};
  const auto frame = encode_request(7, 1, "c", request)->flatten().value();
  const auto back = decode_request<ProduceRequest>(parse_request_header(frame)->body, 7);
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->topics[0].partitions[0].records.is_null());
  EXPECT_TRUE(back->topics[0].partitions[1].records.is_null());
}

TEST(SupportedApis, ListServedVersionsByKey) {
  const auto table = supported_apis<FetchRequest, ApiVersionsRequest, ProduceRequest, MetadataRequest>();
  EXPECT_EQ(table, (std::vector<SupportedApi>{{ApiKey::kProduce, {0, 11}},
                                              {ApiKey::kFetch, {4, 13}},
                                              {ApiKey::kMetadata, {0, 12}},
                                              {ApiKey::kApiVersions, {0, 4}}}));
  const auto apis = ApiVersionsResponse::apis_of(table);
  ASSERT_EQ(apis.size(), 4u);
  EXPECT_EQ(apis[1], (ApiVersionsResponse::Api{ApiKey::kFetch, 4, 13}));
}

TEST(SupportedApis, FlexibleVersionsAgreeWithTheTableOfHeaders) {
  for_each_request([](auto tag) {
    using Request = typename decltype(tag)::Type;
    EXPECT_EQ(Request::flexible, Request::Response::flexible) << Request::name;
    const auto flexible = first_flexible_version(Request::api);
    EXPECT_EQ(flexible ? from_version(*flexible) : kNoVersions, Request::flexible) << Request::name;
    EXPECT_EQ(Request::name, name_of(Request::api) + "Request");
    EXPECT_EQ(Request::Response::name, name_of(Request::api) + "Response");
    const auto served = served_versions<Request>();
    for (auto v = std::max(served.min, Request::valid.min); v <= served.max; ++v) {
      EXPECT_TRUE(Request::valid.contains(v) && Request::Response::valid.contains(v)) << Request::name << v;
    }
  });
  EXPECT_EQ(first_flexible_version(ApiKey::kSaslHandshake), std::nullopt);
  EXPECT_EQ(first_flexible_version(static_cast<ApiKey>(-3)), std::nullopt);
}

TEST(Versions, TheHighestThatBothSpeakIsChosen) {
  EXPECT_EQ(highest_common({0, 11}, {3, 9}), 9);
  EXPECT_EQ(highest_common({4, 12}, {12, 17}), 12);
  EXPECT_EQ(highest_common({4, 12}, {13, 17}), std::nullopt);
}

TEST(ErrorCode, HasKafkasNamesAndKnowsWhatToTryAgain) {
  EXPECT_EQ(name_of(ErrorCode::kNone), "NONE");
  EXPECT_EQ(name_of(ErrorCode::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(name_of(static_cast<ErrorCode>(45)), "OUT_OF_ORDER_SEQUENCE_NUMBER");
  EXPECT_EQ(name_of(static_cast<ErrorCode>(99)), "ERROR_99");
  EXPECT_EQ(fmt::format("{}", ErrorCode::kNotLeaderOrFollower), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_TRUE(retriable(ErrorCode::kNotLeaderOrFollower));
  EXPECT_TRUE(retriable(ErrorCode::kUnknownTopicOrPartition));
  EXPECT_TRUE(retriable(ErrorCode::kNotEnoughReplicas));
  EXPECT_TRUE(retriable(ErrorCode::kKafkaStorageError));
  EXPECT_FALSE(retriable(ErrorCode::kNone));
  EXPECT_FALSE(retriable(ErrorCode::kMessageTooLarge));
  EXPECT_FALSE(retriable(ErrorCode::kOffsetOutOfRange));
  EXPECT_FALSE(retriable(ErrorCode::kOutOfOrderSequenceNumber));
}

TEST(MetadataRequest, AnEmptyListAsksForAllTopicsInVersionZeroOnly) {
  MetadataRequest request;
  EXPECT_TRUE(request.asks_for_all_topics(0));
  EXPECT_FALSE(request.asks_for_all_topics(1));
  request.topics.reset();
  EXPECT_TRUE(request.asks_for_all_topics(1));
  EXPECT_EQ(encode_request(0, 1, "c", request).error().code, Errc::kInvalidArgument);
}

}  // namespace
}  // namespace tributary
