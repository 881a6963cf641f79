// The two visitors: every field type, version ranges, tags, and what is refused.

#include "common/protocol/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "common/env/random.h"
#include "common/protocol/frame.h"
#include "common/protocol/messages/metadata.h"
#include "tests/unit/protocol/any_message.h"

namespace tributary {

using EpochForTest = Strong<struct EpochForTestTag, std::int16_t>;
enum class ColourForTest : std::int8_t { kRed = 0, kBlue = 1 };

/// Has every field type, and every kind of version range.
struct TestResponse {
  static constexpr ApiKey api = ApiKey::kFetchSnapshot;
  static constexpr std::string_view name = "TestResponse";
  static constexpr Versions valid{0, 3}, flexible = from_version(2);

  struct Inner {
    std::string key;
    std::vector<std::int64_t> numbers;
    std::int32_t extra = 5;
    static void fields(auto& m, auto& f) {
      f(m.key);
      f(m.numbers);
      f(m.extra, tagged(3, 2));
    }
    friend bool operator==(const Inner&, const Inner&) = default;
  };

  bool flag = false;
  std::uint16_t port = 0;
  double ratio = 0;
  ColourForTest colour = ColourForTest::kRed;
  EpochForTest epoch{-1};
  Uuid id;
  std::string plain;
  std::optional<std::string> maybe;
  ByteView blob;
  std::optional<ByteView> maybe_blob;
  Records records;
  std::vector<Inner> inners;
  std::optional<std::vector<std::string>> names = std::vector<std::string>{};
  std::int32_t only_v1 = 7;
  std::int32_t dropped_before_v3 = -1;
  ByteView late_blob;
  Inner tagged_inner;
  std::optional<std::string> tagged_text;
  static void fields(auto& m, auto& f) {
    f(m.flag);
    f(m.port);
    f(m.ratio);
    f(m.colour);
    f(m.epoch);
    f(m.id);
    f(m.plain);
    f(m.maybe, kAlways.nullable_since(1));
    f(m.blob);
    f(m.maybe_blob);
    f(m.records);
    f(m.inners);
    f(m.names, kAlways.nullable_since(1));
    f(m.only_v1, between(1, 1));
    f(m.tagged_inner, tagged(300, 2));  // declared before tag 0, written after it
    f(m.dropped_before_v3, since(3).ignorable());
    f(m.late_blob, since(3));
    f(m.tagged_text, tagged(0, 2));
  }
};

template Result<TestResponse> decode_response<TestResponse>(ByteView, std::int16_t);
template Result<Payload> encode_response<TestResponse>(std::int32_t, std::int16_t, const TestResponse&);

namespace {

Bytes must_encode(const TestResponse& message, std::int16_t version) {
  const auto payload = encode_response(1, version, message);
  CHECK(payload.has_value(), "{}", payload.error().message);
  return *payload->flatten();
}

void append(Bytes& frame, std::initializer_list<std::uint8_t> bytes) { frame.insert(frame.end(), bytes); }

std::string encode_error(const TestResponse& message, std::int16_t version) {
  const auto payload = encode_response(1, version, message);
  if (payload) return "";
  EXPECT_EQ(payload.error().code, Errc::kInvalidArgument);
  return payload.error().message;
}

std::string decode_error(const Bytes& frame, std::int16_t version) {
  const auto message = decode_response<TestResponse>(frame, version);
  if (message) return "";
  EXPECT_EQ(message.error().code, Errc::kCorrupt);
  return message.error().message;
}

TestResponse filled() {
  TestResponse m;
  m.flag = true;
  m.port = 65535;
  m.ratio = -0.5;
  m.colour = ColourForTest::kBlue;
  m.epoch = EpochForTest(12);
  m.id.bytes = {1, 2, 3};
  m.plain = "plain";
  m.maybe = "maybe";
  m.blob = as_bytes("blob");
  m.maybe_blob = as_bytes("maybe blob");
  m.records = Records(as_bytes("records"));
  m.inners = {{"a", {1, -2}, 5}, {"", {}, 5}};
  m.names = {{"x", "y"}};
  return m;
}

TEST(Codec, EveryFieldTypeComesBackInEveryVersion) {
  for (std::int16_t version = 0; version <= 3; ++version) {
    auto m = filled();
    if (version == 1) m.only_v1 = 8;
    if (version >= 1) m.maybe.reset();
    if (version >= 2) {
      m.tagged_text = "text";
      m.tagged_inner = {"deep", {9}, 6};
      m.inners[1].extra = 99;
    }
    if (version >= 3) m.late_blob = as_bytes("late");
    m.dropped_before_v3 = version == 3 ? 4 : -1;
    const auto frame = must_encode(m, version);
    const auto back = decode_response<TestResponse>(frame, version);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->flag, m.flag);
    EXPECT_EQ(back->port, m.port);
    EXPECT_EQ(back->ratio, m.ratio);
    EXPECT_EQ(back->colour, m.colour);
    EXPECT_EQ(back->epoch, m.epoch);
    EXPECT_EQ(back->id, m.id);
    EXPECT_EQ(back->plain, m.plain);
    EXPECT_EQ(back->maybe, m.maybe);
    EXPECT_EQ(as_string_view(back->blob), "blob");
    EXPECT_EQ(as_string_view(back->maybe_blob.value()), "maybe blob");
    EXPECT_EQ(back->records, m.records);
    EXPECT_EQ(back->inners, m.inners);
    EXPECT_EQ(back->names, m.names);
    EXPECT_EQ(back->only_v1, m.only_v1);
    EXPECT_EQ(back->dropped_before_v3, m.dropped_before_v3);
    EXPECT_EQ(as_string_view(back->late_blob), as_string_view(m.late_blob));
    EXPECT_EQ(back->tagged_inner, m.tagged_inner);
    EXPECT_EQ(back->tagged_text, m.tagged_text);
  }
}

TEST(Codec, LengthsAreClassicBeforeTheFlexibleVersionsAndCompactFromThere) {
  TestResponse m;
  m.plain = "ab";
  m.maybe = "";
  const Bytes fixed = [] {
    Bytes b{0, 0, 0, 1};                                  // correlation id
    b.insert(b.end(), 1 + 2 + 8 + 1, 0);                  // flag, port, ratio, colour
    b.insert(b.end(), {0xff, 0xff});                      // epoch -1
    b.insert(b.end(), 16, 0);                             // id
    return b;
  }();
  Bytes classic = fixed;
  append(classic, {0, 2, 'a', 'b', 0, 0, /*blob*/ 0, 0, 0, 0, /*null*/ 255, 255, 255, 255,
                         /*null*/ 255, 255, 255, 255, /*inners*/ 0, 0, 0, 0, /*names*/ 0, 0, 0, 0});
  EXPECT_EQ(must_encode(m, 0), classic);

  Bytes compact(fixed);
  compact.insert(compact.begin() + 4, 0);  // the header's tag buffer
  append(compact, {3, 'a', 'b', 1, /*blob*/ 1, /*null*/ 0, /*null*/ 0, /*inners*/ 1, /*names*/ 1, /*tags*/ 0});
  EXPECT_EQ(must_encode(m, 2), compact);
}

TEST(Codec, TagsAreWrittenInAscendingOrderAndOnlyWhereTheyAreNotTheDefault) {
  TestResponse m;
  m.maybe = "";
  const auto without = must_encode(m, 2);
  EXPECT_EQ(without.back(), 0);
  m.tagged_inner.key = "k";
  m.tagged_text = "t";
  const auto with = must_encode(m, 2);
  const Bytes tags(with.begin() + static_cast<std::ptrdiff_t>(without.size() - 1), with.end());
  EXPECT_EQ(tags, (Bytes{2, 0, 2, 2, 't', 0xac, 2, 4, 2, 'k', 1, 0}));
}

TEST(Codec, UnknownTagsAreSkipped) {
  TestResponse m;
  m.maybe = "";
  auto frame = must_encode(m, 2);
  frame.pop_back();
  append(frame, {3, 0, 2, 2, 't', 5, 3, 1, 2, 3, 0xac, 2, 4, 2, 'k', 1, 0});
  const auto back = decode_response<TestResponse>(frame, 2);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->tagged_text, "t");
  EXPECT_EQ(back->tagged_inner.key, "k");
}

TEST(Codec, DamagedTagBuffersAreRefusedWithTheirPlace) {
  TestResponse m;
  m.maybe = "";
  auto frame = must_encode(m, 2);
  frame.pop_back();
  const auto with_tags = [&](std::initializer_list<std::uint8_t> bytes) {
    Bytes damaged = frame;
    damaged.insert(damaged.end(), bytes);
    return decode_error(damaged, 2);
  };
  EXPECT_THAT(with_tags({2, 5, 1, 0, 5, 1, 0}), testing::HasSubstr("tag 5 after tag 5"));
  EXPECT_THAT(with_tags({2, 5, 1, 0, 4, 1, 0}), testing::HasSubstr("tag 4 after tag 5"));
  EXPECT_THAT(with_tags({1, 5, 9, 0}), testing::HasSubstr("tag 5 of 9 bytes, but only 1 are left"));
  EXPECT_THAT(with_tags({1, 0, 3, 2, 't', 0}), testing::HasSubstr("a tag that should end"));
  EXPECT_THAT(with_tags({1, 0, 1, 2, 't'}), testing::HasSubstr("a tag that should end"));
  EXPECT_THAT(with_tags({1, 0, 2, 9, 't'}), testing::HasSubstr("field 17, byte"));
  EXPECT_THAT(with_tags({0xff, 0xff, 0xff, 0xff, 0x0f}), testing::HasSubstr("cut off"));
  EXPECT_THAT(with_tags({0xff, 0xff, 0xff, 0xff, 0xff}), testing::HasSubstr("no varint"));
}

TEST(Codec, AFieldThatTheVersionDoesNotHaveIsAnErrorUnlessIgnorable) {
  auto m = filled();
  m.only_v1 = 1;
  EXPECT_EQ(encode_error(m, 0), "TestResponse v0, field 13: set, but this version has no such field");
  EXPECT_EQ(encode_error(m, 1), "");
  m = filled();
  m.dropped_before_v3 = 1;
  EXPECT_EQ(encode_error(m, 2), "");
  m = filled();
  m.late_blob = as_bytes("x");
  EXPECT_THAT(encode_error(m, 2), testing::HasSubstr("field 16"));
  m = filled();
  m.tagged_text = "x";
  EXPECT_THAT(encode_error(m, 1), testing::HasSubstr("field 17"));
  m = filled();
  m.inners[1].extra = 6;
  EXPECT_THAT(encode_error(m, 1), testing::HasSubstr("field 11[1].2"));
}

TEST(Codec, NullIsRefusedWhereTheVersionHasNone) {
  auto m = filled();
  m.maybe.reset();
  EXPECT_EQ(encode_error(m, 0), "TestResponse v0, field 7: null, which this version does not allow");
  m = filled();
  m.names.reset();
  EXPECT_THAT(encode_error(m, 0), testing::HasSubstr("field 12: null"));
  EXPECT_EQ(encode_error(m, 1), "");

  auto frame = must_encode(filled(), 0);
  const auto at = frame.size() - 10;  // the count of `names`: 0 0 0 2, "x", "y"
  ASSERT_EQ(frame[at + 3], 2);
  for (std::size_t i = 0; i < 4; ++i) frame[at + i] = 0xff;
  frame.resize(at + 4);
  EXPECT_THAT(decode_error(frame, 0), testing::HasSubstr("field 12, byte"));
  ASSERT_TRUE(decode_response<TestResponse>(frame, 1).has_value() == false);  // only_v1 is missing
  frame.insert(frame.end(), {0, 0, 0, 1});
  const auto back = decode_response<TestResponse>(frame, 1);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_FALSE(back->names.has_value());
}

TEST(Codec, StringsThatAreTooLongAreRefused) {
  auto m = filled();
  m.plain = std::string(32767, 'x');
  EXPECT_EQ(encode_error(m, 0), "");
  m.plain += 'x';
  EXPECT_THAT(encode_error(m, 0), testing::HasSubstr("field 6: a length of 32768"));
  EXPECT_THAT(encode_error(m, 2), testing::HasSubstr("field 6: a length of 32768"));
}

// As librdkafka 2.16 sends it: the count of an ordinary array in a version that has compact ones.
TEST(Codec, BytesLeftOverBehindARequestAreIgnored) {
  const Bytes frame{0, 3, 0, 9, 0, 0, 0, 3, 0, 7, 'r', 'd', 'k', 'a', 'f', 'k', 'a', 0, 0, 0, 0, 0, 1, 0, 0, 0};
  const auto header = parse_request_header(frame);
  ASSERT_TRUE(header) << header.error().message;
  const auto request = decode_request<MetadataRequest>(header->body, header->header.version);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_TRUE(request->asks_for_all_topics(9));
  EXPECT_FALSE(request->allow_auto_topic_creation);
}

TEST(Codec, ErrorsNameMessageVersionFieldAndByte) {
  auto frame = must_encode(filled(), 0);
  frame.resize(frame.size() - 1);  // within the last name
  EXPECT_EQ(decode_error(frame, 0),
            "TestResponse v0, field 12[1], byte 117: a length of 1, but only 0 bytes are left");
  frame = must_encode(filled(), 0);
  frame.push_back(0);
  EXPECT_THAT(decode_error(frame, 0), testing::HasSubstr("1 bytes are left over"));
  frame = must_encode(filled(), 0);
  frame[4 + 30] = 0x80;  // the length of `plain`
  EXPECT_THAT(decode_error(frame, 0), testing::HasSubstr("field 6, byte 30: a length of -32763"));
}

TEST(Codec, VersionsThatAreNotValidAreUnsupported) {
  EXPECT_EQ(encode_response(1, 4, TestResponse{}).error().code, Errc::kUnsupported);
  EXPECT_EQ(decode_response<TestResponse>(Bytes{}, -1).error().code, Errc::kUnsupported);
}

/// Fills a message with random values in the fields that its version has.
class RandomFiller {
 public:
  /// The message's ByteViews point into the filler.
  RandomFiller(Random& random, std::int16_t version) : random_(random), version_(version) {}

  template <class T>
  void operator()(T& field, Field spec = kAlways) {
    if (spec.versions.contains(version_)) set(field, spec.nullable.contains(version_));
  }

 private:
  template <class T>
  void set(T& field, bool nullable) {
    if constexpr (std::is_same_v<T, bool>) field = random_.below(2) == 1;
    else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) field = static_cast<T>(random_.next_u64());
    else if constexpr (is_strong<T>) field = T(static_cast<typename T::Rep>(random_.next_u64()));
    else if constexpr (std::is_same_v<T, std::string>) {
      field.assign(random_.below(10) == 0 ? 200 : random_.below(20), '\0');
      for (auto& c : field) c = static_cast<char>(random_.next_u64());
    } else if constexpr (std::is_same_v<T, Uuid>) {
      for (auto& byte : field.bytes) byte = static_cast<std::uint8_t>(random_.next_u64());
    } else if constexpr (std::is_same_v<T, ByteView>) {
      field = bytes_.emplace_back(random_.below(300), static_cast<std::uint8_t>(random_.next_u64()));
    } else if constexpr (std::is_same_v<T, Records>) {
      if (nullable && random_.below(5) == 0) field = Records();
      else field = Records(SharedBytes(Bytes(random_.below(300), static_cast<std::uint8_t>(random_.next_u64()))));
    } else if constexpr (is_optional<T>) {
      field.reset();
      if (!nullable || random_.below(4) > 0) set(field.emplace(), false);
    } else if constexpr (is_vector<T>) {
      field.resize(random_.below(4));
      for (auto& element : field) set(element, false);
    } else T::fields(field, *this);
  }

  Random& random_;
  std::int16_t version_;
  std::deque<Bytes> bytes_;
};

TEST(RoundTrip, RandomMessagesOfEveryVersionComeBackEqual) {
  const auto seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  for_each_request([&](auto tag) {
    using Request = typename decltype(tag)::Type;
    using Response = typename Request::Response;
    for (int round = 0; round < 20; ++round) {
      for (auto v = Request::valid.min; v <= Request::valid.max; ++v) {
        RandomFiller filler(random, v);
        Request request;
        Request::fields(request, filler);
        const auto frame = encode_request(v, 3, "client", request)->flatten().value();
        const auto parsed = parse_request_header(frame);
        ASSERT_TRUE(parsed) << parsed.error().message;
        const auto back = decode_request<Request>(parsed->body, v);
        ASSERT_TRUE(back) << back.error().message;
        EXPECT_TRUE(*back == request) << Request::name << " v" << v;
      }
      for (auto v = Response::valid.min; v <= Response::valid.max; ++v) {
        RandomFiller filler(random, v);
        Response response;
        Response::fields(response, filler);
        const auto frame = encode_response(3, v, response)->flatten().value();
        const auto back = decode_response<Response>(frame, v);
        ASSERT_TRUE(back) << back.error().message;
        EXPECT_TRUE(*back == response) << Response::name << " v" << v;
      }
    }
  });
}

}  // namespace
}  // namespace tributary
