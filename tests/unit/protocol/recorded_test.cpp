// What clients sent to the broker (tests/compat/golden): the same bytes come out of the codec again.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "tests/unit/protocol/any_message.h"
#include "tests/unit/protocol/golden.h"

namespace tributary {
namespace {

/// A request with bytes behind its last field, which are ignored and so do not come out again.
struct LeftOver {
  std::string_view file, message;
  std::int16_t version;
  Bytes end;  // of the frame
  std::size_t ignored;
};

const LeftOver* left_over(const golden::Frame& frame) {
  static const LeftOver kExceptions[] = {
      // librdkafka 2.16 asks for all topics with the four zeros of an ordinary array's count, in a version whose arrays
      // are compact: the first is a null array, the others are read as flags and tags.
      {"confluent.txt", "MetadataRequest", 12, {/*tags*/ 0, /*topics*/ 0, 0, 0, 0, /*flags*/ 1, 0, /*tags*/ 0}, 3},
  };
  for (const auto& one : kExceptions) {
    if (one.file == frame.file && one.message == frame.message && one.version == frame.version &&
        frame.bytes.size() > one.end.size() &&
        std::equal(one.end.rbegin(), one.end.rend(), frame.bytes.rbegin()))
      return &one;
  }
  return nullptr;
}

TEST(Recorded, EveryRequestIsEncodedAgainByteForByte) {
  for (const auto& frame : golden::recorded_frames()) {
    const auto header = parse_request_header(frame.bytes);
    ASSERT_TRUE(header) << frame.title() << ": " << header.error().message;
    EXPECT_EQ(fmt::format("{}Request", header->header.api), frame.message);
    EXPECT_EQ(header->header.version, frame.version);
    const auto again = decode_and_encode(frame.message, frame.version, frame.bytes);
    ASSERT_TRUE(again) << frame.title() << ": " << again.error().message;
    auto expected = frame.bytes;
    if (const auto* exception = left_over(frame)) expected.resize(expected.size() - exception->ignored);
    EXPECT_EQ(*again, expected) << frame.title();
  }
}

TEST(Recorded, EveryClientHasSentWhatAnyClientSends) {
  std::map<std::string, std::set<std::string>> messages;
  for (const auto& frame : golden::recorded_frames()) messages[frame.file].insert(frame.message);
  EXPECT_EQ(messages.size(), 7u);
  for (const auto& [file, sent] : messages) {
    for (const char* message : {"ApiVersions", "Metadata", "Produce", "Fetch", "ListOffsets", "FindCoordinator", "JoinGroup",
                                "SyncGroup", "Heartbeat", "LeaveGroup", "OffsetCommit", "OffsetFetch"}) {
      if (file == "streams.txt" && message == std::string_view("LeaveGroup")) continue;  // its members never leave
      EXPECT_TRUE(sent.contains(std::string(message) + "Request")) << file << " has no " << message;
    }
  }
}

}  // namespace
}  // namespace tributary
