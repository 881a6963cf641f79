// kcat, as Debian ships it, against the broker.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>

#include "common/bytes/reader.h"
#include "common/env/clock.h"
#include "common/env/random.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/produce.h"
#include "common/record/batch_builder.h"
#include "tests/compat/raw_connection.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using testing::HasSubstr;

class Kcat : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(broker_.start_ready()) << broker_.log(); }

  [[nodiscard]] Finished kcat(std::vector<std::string> args) {
    args.insert(args.begin(), {"kcat", "-b", address(), "-m", "20"});
    return run(args, std::chrono::seconds(60));
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", broker_.kafka_port()); }

  /// Lines "key:value" to partition 0, each with a header; waits for acks=all.
  void produce(const std::string& topic, const std::string& codec, const std::vector<std::string>& lines) {
    const auto path = folder_ / "input";
    std::ofstream(path) << fmt::format("{}\n", fmt::join(lines, "\n"));
    const auto done = kcat({"-P", "-t", topic, "-p", "0", "-z", codec, "-K:", "-H", "origin=compat", "-H", "empty=",
                            "-X", "topic.acks=all", "-l", path});
    ASSERT_EQ(done.exit_code, 0) << done.errors;
  }
  [[nodiscard]] std::vector<std::string> consume(const std::string& topic, const std::string& offset,
                                                 const std::string& format = "%k:%s\\n") {
    const auto done = kcat({"-C", "-t", topic, "-p", "0", "-o", offset, "-e", "-q", "-X", "check.crcs=true",
                            "-X", "fetch.wait.max.ms=20", "-f", format});
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    std::vector<std::string> lines;
    std::istringstream text(done.output);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
};

std::vector<std::string> readings(int count, std::uint64_t seed) {
  SeededRandom random(seed);
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    lines.push_back(fmt::format("device-{}:{{\"seq\":{},\"temperature\":{:.3f},\"note\":\"{}\"}}", i % 7, i,
                                random.unit() * 40, std::string(random.below(200), 'n')));
  }
  return lines;
}

/// Of the batches that a fetch brings.
std::set<Compression> codecs_of(ByteView records) {
  std::set<Compression> codecs;
  ByteReader reader(records);
  while (reader.remaining() > 0) {
    reader.skip(8);  // base offset
    ByteReader batch(reader.bytes(static_cast<std::size_t>(reader.i32())));
    batch.skip(4 + 1 + 4);  // leader epoch, magic, CRC
    codecs.insert(static_cast<Compression>(batch.i16() & 7));
  }
  return codecs;
}

constexpr Compression kCodecs[] = {Compression::kNone, Compression::kGzip, Compression::kSnappy, Compression::kLz4,
                                   Compression::kZstd};

TEST_F(Kcat, ListsTheBrokerAndItsTopics) {
  produce("listed", "none", {"k:v"});
  const auto all = kcat({"-L"});
  ASSERT_EQ(all.exit_code, 0) << all.errors;
  EXPECT_THAT(all.output, HasSubstr(fmt::format("broker 1 at {} (controller)", address())));
  EXPECT_THAT(all.output, HasSubstr("topic \"listed\" with 4 partitions"));
  EXPECT_THAT(all.output, HasSubstr("partition 3, leader 1, replicas: 1, isrs: 1"));
  const auto one = kcat({"-L", "-t", "listed"});
  EXPECT_THAT(one.output, HasSubstr("1 topics:"));
}

TEST_F(Kcat, AGroupGoesOnWhereItWasAlsoAfterTheBrokerWasKilled) {
  const auto lines = readings(300, 7);
  const std::vector<std::string> first(lines.begin(), lines.begin() + 200), rest(lines.begin() + 200, lines.end());
  produce("grouped", "none", first);
  const auto as_group = [&] {
    const auto finished = kcat({"-G", "readers", "-K:", "-q", "-e", "-X", "auto.offset.reset=earliest", "grouped"});
    EXPECT_EQ(finished.exit_code, 0) << finished.errors;
    std::vector<std::string> got;
    std::istringstream output(finished.output);
    for (std::string line; std::getline(output, line);) got.push_back(line);
    return got;
  };
  EXPECT_EQ(as_group(), first);
  EXPECT_TRUE(as_group().empty());
  broker_.kill();
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  produce("grouped", "none", rest);
  EXPECT_EQ(as_group(), rest);
}

TEST_F(Kcat, GetsBackWhatItProducedWithEveryCodec) {
  RawConnection raw(broker_.kafka_port());
  for (const auto codec : kCodecs) {
    const std::string name(name_of(codec));
    SCOPED_TRACE(name);
    const auto topic = "codec-" + name;
    const auto lines = readings(500, static_cast<std::uint64_t>(codec));
    produce(topic, name, lines);
    EXPECT_EQ(consume(topic, "beginning"), lines);
    EXPECT_EQ(consume(topic, "490"), std::vector<std::string>(lines.begin() + 490, lines.end()));
    EXPECT_EQ(consume(topic, "-3"), std::vector<std::string>(lines.end() - 3, lines.end()));
    EXPECT_EQ(consume(topic, "499", "%o %h\\n"), std::vector<std::string>{"499 origin=compat,empty="});

    // And they crossed the wire, and lie in the log, compressed as kcat compressed them.
    FetchRequest request;
    request.wait_ms_max = 100;
    request.bytes_min = 1;
    request.topics = {{topic, {}, {{.index = PartitionIndex(0), .bytes_max = 1 << 20}}}};
    const auto response = raw.ask(12, request);
    ASSERT_TRUE(response) << response.error().message;
    const auto used = codecs_of(response->topics.at(0).partitions.at(0).records.view());
    EXPECT_TRUE(used.contains(codec));
    EXPECT_THAT(used, testing::Each(testing::AnyOf(codec, Compression::kNone))) << "what does not shrink stays plain";
  }
}

TEST_F(Kcat, ReadsBatchesThatOurOwnCodecBuilt) {
  for (const auto codec : kCodecs) {
    SCOPED_TRACE(name_of(codec));
    BatchBuilder builder;
    std::vector<std::string> lines;
    for (int i = 0; i < 300; ++i) {
      const auto key = fmt::format("device-{}", i % 5), value = fmt::format("{{\"value\":{}}}", i * i);
      const HeaderView header{"h", as_bytes(key)};
      builder.append(1'700'000'000'000 + i, as_bytes(key), as_bytes(value), std::span(&header, 1));
      lines.push_back(fmt::format("{} {} {} h={}", 1'700'000'000'000 + i, key, value, key));
    }
    auto batch = builder.finish({.compression = codec});
    ASSERT_TRUE(batch);
    const auto topic = fmt::format("own-{}", name_of(codec));
    RawConnection raw(broker_.kafka_port());
    CreateTopicsRequest create;
    create.topics = {{topic, 1, 1, {}, {}}};
    ASSERT_TRUE(raw.ask(7, create));
    ProduceRequest request;
    request.acks = ProduceRequest::kAcksAll;
    request.timeout_ms = 10'000;
    request.topics = {{topic, {{PartitionIndex(0), Records(SharedBytes(*std::move(batch)))}}}};
    const auto stored = raw.ask(9, request);
    ASSERT_TRUE(stored) << stored.error().message;
    ASSERT_EQ(stored->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(consume(topic, "beginning", "%T %k %s %h\\n"), lines);
  }
}

TEST_F(Kcat, ReadsWhatTheBrokerStampedAndCompressedAnew) {
  const auto before = system_clock().wall_now_ms();
  const auto lines = readings(300, 3);
  for (const auto* codec : {"uncompressed", "gzip", "snappy", "lz4", "zstd"}) {
    SCOPED_TRACE(codec);
    const auto topic = fmt::format("stamped-{}", codec);
    RawConnection raw(broker_.kafka_port());
    CreateTopicsRequest create;
    create.topics = {{topic, 1, 1, {}, {{"message.timestamp.type", "LogAppendTime"}, {"compression.type", codec}}}};
    const auto created = raw.ask(7, create);
    ASSERT_TRUE(created) << created.error().message;
    ASSERT_EQ(created->topics.at(0).error_code, ErrorCode::kNone);
    produce(topic, "gzip", lines);
    EXPECT_EQ(consume(topic, "beginning"), lines);
    for (const auto& time : consume(topic, "beginning", "%T\\n")) {
      EXPECT_GE(std::stoll(time), before);
      EXPECT_LE(std::stoll(time), system_clock().wall_now_ms());
    }
  }
}

TEST_F(Kcat, GetsBackEmptyAndNullAndBinaryValues) {
  const auto path = folder_ / "binary";
  std::string blob;
  for (int i = 0; i < 70'000; ++i) blob += static_cast<char>(i * 31);
  std::ofstream(path, std::ios::binary) << blob;
  const auto sent = kcat({"-P", "-t", "binary", "-p", "0", "-z", "lz4", path});
  ASSERT_EQ(sent.exit_code, 0) << sent.errors;
  const auto back = kcat({"-C", "-t", "binary", "-p", "0", "-o", "0", "-e", "-q", "-f", "%s"});
  EXPECT_EQ(back.output, blob);

  std::ofstream(folder_ / "nulls") << "key:\n:value\n";
  const auto nulls = kcat({"-P", "-t", "nulls", "-p", "0", "-Z", "-K:", "-l", folder_ / "nulls"});
  ASSERT_EQ(nulls.exit_code, 0) << nulls.errors;
  EXPECT_EQ(consume("nulls", "beginning", "%K %S\\n"), (std::vector<std::string>{"3 -1", "-1 5"}));
}

TEST_F(Kcat, StartsAtTimes) {
  const auto first = readings(50, 1);
  produce("times", "zstd", first);
  const auto now_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch()).count();
  };
  const auto before = now_ms();
  while (now_ms() <= before) std::this_thread::yield();  // the second half is at least a millisecond later
  const auto second = readings(50, 2);
  produce("times", "none", second);
  EXPECT_EQ(consume("times", "s@1"), [&] {
    auto both = first;
    both.insert(both.end(), second.begin(), second.end());
    return both;
  }());
  EXPECT_EQ(consume("times", fmt::format("s@{}", before + 1)), second);

  const auto query = [&](const std::string& time) { return kcat({"-Q", "-t", "times:0:" + time}).output; };
  EXPECT_EQ(query(std::to_string(before + 1)), "times [0] offset 50\n");
  EXPECT_EQ(query("-1"), "times [0] offset 100\n");
  EXPECT_EQ(query("-2"), "times [0] offset 0\n");
  const auto after = consume("times", fmt::format("s@{}", now_ms() + 3'600'000));
  EXPECT_THAT(after, testing::IsEmpty());
}

TEST_F(Kcat, ReadsEverythingAgainAfterARestart) {
  const auto lines = readings(300, 5);
  produce("restarted", "zstd", lines);
  broker_.kill();
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  EXPECT_EQ(consume("restarted", "beginning"), lines);
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  EXPECT_EQ(consume("restarted", "beginning"), lines);
}

TEST_F(Kcat, IsToldThatATopicDoesNotExistWhereItMayNotBeCreated) {
  ASSERT_EQ(broker_.terminate(), 0);
  broker_.extra_args = {"--auto-create-topics=false"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  const auto listed = kcat({"-L", "-t", "missing"});
  EXPECT_THAT(listed.output + listed.errors, HasSubstr("Unknown topic or partition"));
  EXPECT_THAT(kcat({"-L"}).output, HasSubstr(" 0 topics:"));
}

TEST_F(Kcat, IsToldThatAMessageIsTooLarge) {
  std::ofstream(folder_ / "large") << std::string(1'500'000, 'x');
  const auto done = kcat({"-P", "-t", "large", "-p", "0", "-X", "message.max.bytes=10000000", folder_ / "large"});
  EXPECT_NE(done.exit_code, 0);
  EXPECT_THAT(done.errors, HasSubstr("Message size too large"));
  produce("large", "none", {"k:v"});
  EXPECT_EQ(consume("large", "beginning"), std::vector<std::string>{"k:v"});
}

TEST_F(Kcat, ReadsOnFromOffsetsAndTimesThatWereCompactedAway) {
  ASSERT_TRUE(broker_.terminate());
  broker_.extra_args = {"--cleaner-interval", "10ms"};
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  RawConnection connection(broker_.kafka_port());
  CreateTopicsRequest create;
  create.topics = {{"c", 1, 1, {}, {{"cleanup.policy", "compact"}, {"segment.bytes", "16384"},
                                   {"min.cleanable.dirty.ratio", "0.01"}}}};
  ASSERT_EQ(connection.ask(7, create)->topics.at(0).error_code, ErrorCode::kNone);
  // Whole batches and segments go; of some only a header is left, where the segment ends.
  constexpr std::int64_t kRecords = 300, kFirstMs = 1'700'000'000'000;
  const std::string value(500, 'v');
  for (std::int64_t offset = 0; offset < kRecords; offset += 3) {
    BatchBuilder builder;
    for (std::int64_t i = offset; i < offset + 3; ++i) {
      const auto key = i % 50 == 7 ? fmt::format("once-{}", i) : std::string("again");
      builder.append(kFirstMs + 1'000 * i, as_bytes(key), as_bytes(value));
    }
    const auto batch = builder.finish({});
    ProduceRequest request;
    request.acks = ProduceRequest::kAcksAll;
    request.timeout_ms = 10'000;
    request.topics = {{"c", {{PartitionIndex(0), Records(*batch)}}}};
    ASSERT_EQ(connection.ask(9, request)->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  }
  // Before the open segment, with at most 33 records, only those are left whose key came once.
  std::vector<std::int64_t> offsets;
  const auto read_from = [&](const std::string& where) {
    std::vector<std::int64_t> read;
    for (const auto& line : consume("c", where, "%o\\n")) read.push_back(std::stoll(line));
    return read;
  };
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] {
    offsets = read_from("beginning");
    return std::ranges::count_if(offsets, [](auto offset) { return offset < kRecords - 40 && offset % 50 != 7; }) == 0;
  })) << fmt::format("{}", fmt::join(offsets, " "));
  EXPECT_EQ(offsets.front(), 7);
  EXPECT_EQ(offsets.back(), kRecords - 1);
  for (const std::int64_t from : {0, 1, 8, 56, 57, 58, 100, 155, 200, 208, 255, 299}) {
    const std::vector<std::int64_t> rest(std::ranges::lower_bound(offsets, from), offsets.end());
    EXPECT_EQ(read_from(fmt::format("{}", from)), rest) << from;
    EXPECT_EQ(read_from(fmt::format("s@{}", kFirstMs + 1'000 * from)), rest) << from;
    EXPECT_EQ(read_from(fmt::format("s@{}", kFirstMs + 1'000 * from - 999)), rest) << from;
  }
  EXPECT_EQ(read_from(fmt::format("{}", kRecords)), std::vector<std::int64_t>());
}

}  // namespace
}  // namespace tributary::test
