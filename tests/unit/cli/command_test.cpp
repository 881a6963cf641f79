#include <sys/stat.h>

#include <csignal>

#include "common/bytes/crc32c.h"
#include "common/record/batch_builder.h"
#include "firmware-sim/ledger/ledger.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/unit/cli/run.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

class Command : public testing::TestWithParam<Endpoint::Kind> {
 protected:
  Ran tributary(std::vector<std::string> args, const std::string& input = {}) {
    args.insert(args.end(), {"--cluster", cluster_.url()});
    return run(args, input);
  }
  static int lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

  ScriptedCluster cluster_{GetParam(), 1};
};
INSTANTIATE_TEST_SUITE_P(Transports, Command, testing::Values(Endpoint::Kind::kNng, Endpoint::Kind::kKafkaTcp),
                         [](const auto& kind) { return kind.param == Endpoint::Kind::kNng ? "Nng" : "KafkaTcp"; });

TEST_P(Command, TopicsComeAndGo) {
  EXPECT_EQ(tributary({"topic", "create", "readings", "-p", "3", "--set", "segment.bytes=1024"}).output, "created topic readings\n");
  const auto again = tributary({"topic", "create", "readings"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_EQ(again.errors, "tributary: topic readings exists already\n");
  EXPECT_EQ(tributary({"topic", "create", "readings", "--if-not-exists"}).exit_code, 0);
  EXPECT_EQ(tributary({"topic", "create", "bad name"}).exit_code, 1);
  EXPECT_EQ(tributary({"topic", "create", "x", "--set", "novalue"}).exit_code, 1);
  EXPECT_EQ(tributary({"topic", "list"}).output, "readings  3\n");
  EXPECT_EQ(tributary({"topic", "list", "--json"}).output, "{\"name\":\"readings\",\"partitions\":3,\"internal\":false}\n");
  const auto described = tributary({"topic", "describe", "readings"});
  EXPECT_EQ(described.exit_code, 0) << described.errors;
  EXPECT_NE(described.output.find("segment.bytes = 1024  (set on the topic)"), std::string::npos) << described.output;
  EXPECT_NE(tributary({"topic", "describe", "readings", "--json"}).output.find("\"earliest\":0,\"latest\":0"), std::string::npos);
  EXPECT_EQ(tributary({"topic", "delete", "readings"}).exit_code, 0);
  EXPECT_EQ(tributary({"topic", "delete", "readings"}).errors, "tributary: topic readings does not exist\n");
  EXPECT_EQ(tributary({"topic", "delete", "readings", "--if-exists"}).exit_code, 0);
  EXPECT_EQ(tributary({"topic", "describe", "readings"}).exit_code, 1);
}

TEST_P(Command, TopicsAreAltered) {
  cluster_.add_topic("t", 2);
  EXPECT_EQ(tributary({"topic", "alter", "t", "--set", "flush.ms=5", "--set", "segment.ms=7"}).output, "altered topic t\n");
  EXPECT_NE(tributary({"topic", "describe", "t"}).output.find("flush.ms = 5  (set on the topic)"), std::string::npos);
  const auto both = tributary({"topic", "alter", "t", "--unset", "flush.ms", "--partitions", "4"});
  EXPECT_EQ(both.output, "altered topic t\ntopic t has 4 partitions now\n") << both.errors;
  EXPECT_EQ(tributary({"topic", "describe", "t"}).output.find("flush.ms"), std::string::npos);
  EXPECT_EQ(tributary({"topic", "list"}).output, "t  4\n");
  const auto fewer = tributary({"topic", "alter", "t", "-p", "3"});
  EXPECT_EQ(fewer.exit_code, 1);
  EXPECT_EQ(fewer.errors, "tributary: adding partitions to topic t: INVALID_PARTITIONS (not more)\n");
  EXPECT_EQ(tributary({"topic", "alter", "none", "--set", "flush.ms=5"}).errors, "tributary: topic none does not exist\n");
  EXPECT_EQ(tributary({"topic", "alter", "none", "-p", "3"}).errors, "tributary: topic none does not exist\n");
  EXPECT_EQ(tributary({"topic", "alter", "t", "--set", "novalue"}).exit_code, 1);
  EXPECT_NE(tributary({"topic", "alter", "t"}).errors.find("--set, --unset or --partitions"), std::string::npos);
  EXPECT_EQ(tributary({"topic", "alter"}).exit_code, 2);
  EXPECT_NE(run({"topic", "alter", "--help"}).output.find("tributary topic alter readings --partitions 8"), std::string::npos);
}

TEST_P(Command, OffsetsOfATopicAreShown) {
  cluster_.add_topic("t", 2);
  BatchBuilder builder;
  for (const auto time : {1'000, 3'000, 2'000}) builder.append(1'700'000'000'000 + time, std::nullopt, as_bytes("a reading"));
  cluster_.append({"t", PartitionIndex(0)}, builder.finish(BatchOptions{}).value());
  EXPECT_EQ(tributary({"topic", "offsets", "t"}).output, "PARTITION  EARLIEST  LATEST  RECORDS\n"
                                                         "        0         0       3        3\n"
                                                         "        1         0       0        0\n");
  EXPECT_EQ(tributary({"topic", "offsets", "t", "--json"}).output,
            "{\"topic\":\"t\",\"partition\":0,\"earliest\":0,\"latest\":3,\"records\":3}\n"
            "{\"topic\":\"t\",\"partition\":1,\"earliest\":0,\"latest\":0,\"records\":0}\n");
  cluster_.trim({"t", PartitionIndex(0)}, Offset(1));
  EXPECT_EQ(tributary({"topic", "offsets", "t", "-p", "0"}).output, "PARTITION  EARLIEST  LATEST  RECORDS\n"
                                                                    "        0         1       3        2\n");
  EXPECT_NE(run({"topic", "offsets", "--help"}).output.find("tributary topic offsets readings --at 2026-07-01T12:00:00Z"),
            std::string::npos);
}

TEST_P(Command, OffsetsOfAPlaceAreShown) {
  cluster_.add_topic("t", 2);
  BatchBuilder builder;
  for (const auto time : {1'000, 3'000, 2'000}) builder.append(1'700'000'000'000 + time, std::nullopt, as_bytes("a reading"));
  cluster_.append({"t", PartitionIndex(0)}, builder.finish(BatchOptions{}).value());
  const auto at = [&](const std::string& place) { return tributary({"topic", "offsets", "t", "--at", place}).output; };
  EXPECT_EQ(at("earliest"), "PARTITION  OFFSET  TIME\n        0       0  -\n        1       0  -\n");
  EXPECT_EQ(at("latest"), "PARTITION  OFFSET  TIME\n        0       3  -\n        1       0  -\n");
  EXPECT_EQ(at("max-timestamp"), "PARTITION  OFFSET  TIME\n"
                                 "        0       1  2023-11-14T22:13:23.000Z\n"
                                 "        1       -  -\n");
  EXPECT_EQ(at("2023-11-14T22:13:22Z"), at("max-timestamp"));
  EXPECT_EQ(at("@1700000000500"), "PARTITION  OFFSET  TIME\n"
                                  "        0       0  2023-11-14T22:13:21.000Z\n"
                                  "        1       -  -\n");
  EXPECT_EQ(tributary({"topic", "offsets", "t", "--at", "max-timestamp", "--json"}).output,
            "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"timestamp_ms\":1700000003000}\n"
            "{\"topic\":\"t\",\"partition\":1,\"offset\":null,\"timestamp_ms\":null}\n");
  EXPECT_EQ(tributary({"topic", "offsets", "t", "--at", "latest", "-p", "0", "--json"}).output,
            "{\"topic\":\"t\",\"partition\":0,\"offset\":3,\"timestamp_ms\":null}\n");
}

TEST_P(Command, OffsetsOfWhatIsNotThereAreAnError) {
  cluster_.auto_create = false;
  cluster_.add_topic("t", 2);
  EXPECT_EQ(tributary({"topic", "offsets", "none"}).errors, "tributary: topic none does not exist\n");
  EXPECT_EQ(tributary({"topic", "offsets", "t", "-p", "7"}).errors, "tributary: topic t has no partition 7; it has 0 to 1\n");
  EXPECT_EQ(tributary({"topic", "offsets", "t", "--at", "7"}).exit_code, 2);
  EXPECT_EQ(tributary({"topic", "offsets", "t", "--at", "yesterday"}).exit_code, 2);
  EXPECT_EQ(tributary({"topic", "offsets"}).exit_code, 2);
}

TEST_P(Command, LinesGoInAndComeOut) {
  cluster_.add_topic("t", 1);
  for (const auto* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    const auto produced = tributary({"produce", "-t", "t", "-z", codec}, "one\n\nthree");
    EXPECT_EQ(produced.exit_code, 0) << produced.errors;
    EXPECT_NE(produced.errors.find("3 records in 1 batches"), std::string::npos) << produced.errors;
  }
  EXPECT_EQ(tributary({"consume", "-t", "t", "--format", "raw", "-n", "4"}).output, "one\n\nthree\none\n");
  EXPECT_EQ(tributary({"consume", "-t", "t", "--format", "raw", "--from", "14"}).output, "three\n");
  EXPECT_EQ(tributary({"consume", "-t", "t", "--format", "raw", "--from", "latest"}).output, "");
  EXPECT_EQ(tributary({"consume", "-t", "t", "--from", "@1"}).exit_code, 0);
  EXPECT_EQ(lines(tributary({"consume", "-t", "t", "--from", "1970-01-01T00:00:01Z"}).output), 15);
  EXPECT_EQ(lines(tributary({"consume", "-t", "t", "--from", "2200-01-01T00:00:01Z"}).output), 0);
}

TEST_P(Command, KeysAndHeadersAreKept) {
  cluster_.add_topic("t", 2);
  EXPECT_EQ(tributary({"produce", "-t", "t", "-K", "::", "-H", "source=test", "-p", "1"}, "k::v::w\n").exit_code, 0);
  const auto json = tributary({"consume", "-t", "t", "--format", "json"}).output;
  EXPECT_NE(json.find(R"("partition":1,"offset":0,)"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("key":"k","value":"v::w","headers":[{"key":"source","value":"test"}]})"), std::string::npos) << json;
  const auto text = tributary({"consume", "-t", "t", "-p", "1"}).output;
  EXPECT_NE(text.find("Z t-1@0 k v::w [source=test]\n"), std::string::npos) << text;
  EXPECT_EQ(tributary({"consume", "-t", "t", "-p", "0"}).output, "");
}

TEST_P(Command, ABadLineIsNamedAndWhatCameBeforeItIsDelivered) {
  cluster_.add_topic("t", 1);
  const auto ran = tributary({"produce", "-t", "t", "-K", ":"}, "a:1\nb:2\nno separator\nc:3\n");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.errors.find("line 3 has no key separator \":\""), std::string::npos) << ran.errors;
  EXPECT_EQ(tributary({"consume", "-t", "t", "--format", "raw"}).output, "1\n2\n");
  const auto longer = tributary({"produce", "-t", "t", "--line-bytes-max", "100"}, "ok\n" + std::string(200'000, 'x'));
  EXPECT_EQ(longer.exit_code, 1);
  EXPECT_NE(longer.errors.find("line 2 has more than 100 bytes"), std::string::npos) << longer.errors;
}

TEST_P(Command, WhatIsNotThereIsNamed) {
  cluster_.auto_create = false;
  cluster_.add_topic("t", 2);
  EXPECT_EQ(tributary({"consume", "-t", "none"}).errors, "tributary: topic none does not exist\n");
  EXPECT_EQ(tributary({"consume", "-t", "t", "-p", "7"}).errors, "tributary: topic t has no partition 7; it has 0 to 1\n");
  EXPECT_EQ(tributary({"produce", "-t", "t", "-p", "7"}, "x\n").exit_code, 1);
  cluster_.stop(0);
  const auto ran = tributary({"topic", "list", "--timeout", "200ms"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.errors.find("is tributary-broker running there?"), std::string::npos) << ran.errors;
}

TEST_P(Command, ABadCommandLineIsExitCode2) {
  EXPECT_EQ(run({"consume"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "-t", "t", "--from", "yesterday"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "-t", "t", "--format", "xml"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "-t", "t", "-n", "-5"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "-t", "t", "-p", "-3"}).exit_code, 2);
  EXPECT_EQ(run({"topic"}).exit_code, 2);
  EXPECT_EQ(run({"--cluster", "localhost", "topic", "list"}).exit_code, 2);
  EXPECT_EQ(run({"--version"}).exit_code, 0);
  EXPECT_NE(run({"verify", "--help"}).output.find("Examples:"), std::string::npos);
}

TEST_P(Command, VerifyHoldsTheTopicAgainstTheLedger) {
  const test::TempFolder folder;
  auto writer = LedgerWriter::create(folder / "l.db", {.topic_pattern = "sensors/{device}"}, {{1, "d", "sensors/d"}}).value();
  std::string input;
  for (int seq = 1; seq <= 3000; ++seq) {
    const auto text = fmt::format(R"({{"device":"d","seq":{}}})", seq);
    writer->record(1, {seq, 1, 2, crc32c(as_bytes(text)), static_cast<std::uint32_t>(text.size()), false});
    input += "d\t" + text + "\n";
  }
  ASSERT_TRUE(writer->close());
  cluster_.add_topic("t", 3);
  ASSERT_EQ(tributary({"produce", "-t", "t", "-K", "\t", "-z", "zstd", "--batch-bytes", "4KiB"}, input).exit_code, 0);
  const auto good = tributary({"verify", "--ledger", folder / "l.db", "-t", "t"});
  EXPECT_EQ(good.exit_code, 0) << good.output << good.errors;
  EXPECT_NE(good.output.find("OK"), std::string::npos);
  ASSERT_EQ(tributary({"produce", "-t", "t", "-K", "\t"}, "d\t{\"device\":\"d\",\"seq\":17}\n").exit_code, 0);
  const auto bad = tributary({"verify", "--ledger", folder / "l.db", "-t", "t"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.output.find("doubled: device d seq 17: again at t-"), std::string::npos) << bad.output;
  const auto json = tributary({"verify", "--ledger", folder / "l.db", "-t", "t", "--json"});
  EXPECT_TRUE(json.output.starts_with(R"({"ok":false,"devices":1,"acknowledged":3000,"records":3001,"missing":0,"doubled":1,)")) << json.output;
  EXPECT_EQ(tributary({"verify", "--ledger", folder / "none.db", "-t", "t"}).exit_code, 1);
}

TEST_P(Command, AVerdictStandsThoughItsReaderLeaves) {
  const test::TempFolder folder;
  auto writer = LedgerWriter::create(folder / "l.db", {.topic_pattern = "sensors/{device}"}, {{1, "d", "sensors/d"}}).value();
  for (int seq = 1; seq <= 20'000; ++seq) writer->record(1, {seq, 1, 2, 3, 4, false});
  ASSERT_TRUE(writer->close());
  cluster_.add_topic("t", 1);
  const auto finished = test::run({"bash", "-c", fmt::format("{} verify --ledger {} -t t --show 20000 --cluster {} | head -n 1; echo ${{PIPESTATUS[0]}}",
                                                             test::program_path("tributary"), folder / "l.db", cluster_.url())});
  EXPECT_TRUE(finished.output.ends_with("\n1\n")) << finished.output << finished.errors;
}

TEST_P(Command, AnEmptyLedgerVerifiesNothing) {
  const test::TempFolder folder;
  auto writer = LedgerWriter::create(folder / "l.db", {.topic_pattern = "sensors/{device}"}, {{1, "d", "sensors/d"}}).value();
  ASSERT_TRUE(writer->close());
  cluster_.add_topic("t", 1);
  const auto ran = tributary({"verify", "--ledger", folder / "l.db", "-t", "t"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.errors.find("nothing is verified"), std::string::npos) << ran.errors;
}

TEST_P(Command, FollowingFromBeyondTheEndBeginsAtTheEnd) {
  cluster_.add_topic("t", 1);
  ASSERT_EQ(tributary({"produce", "-t", "t"}, "first\n").exit_code, 0);
  const test::TempFolder folder;
  test::Process consumer({.command = {test::program_path("tributary"), "consume", "-t", "t", "--format", "raw", "--follow",
                                      "--from", "50", "--cluster", cluster_.url()}, .output_path = folder / "out", .error_path = folder / "err"});
  EXPECT_TRUE(test::eventually(10s, [&] { return test::read_whole_file(folder / "err").find("ends with offset 1") != std::string::npos; }));
  ASSERT_EQ(tributary({"produce", "-t", "t"}, "second\n").exit_code, 0);
  EXPECT_TRUE(test::eventually(10s, [&] { return test::read_whole_file(folder / "out") == "second\n"; }));
  consumer.signal(SIGINT);
  EXPECT_EQ(consumer.wait(10s), 0) << test::read_whole_file(folder / "err");
}

TEST_P(Command, AWatchShowsRecordsWithoutATime) {
  cluster_.add_topic("t", 1);
  BatchBuilder builder;
  builder.append(-1, std::nullopt, as_bytes("a reading"));
  cluster_.append({"t", PartitionIndex(0)}, builder.finish(BatchOptions{}).value());
  const auto ran = tributary({"watch", "-t", "t", "--from", "earliest", "--for", "1s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
}

TEST_P(Command, FollowGoesOnUntilItIsStopped) {
  cluster_.add_topic("t", 1);
  ASSERT_EQ(tributary({"produce", "-t", "t"}, "first\n").exit_code, 0);
  const test::TempFolder folder;
  test::Process consumer({.command = {test::program_path("tributary"), "consume", "-t", "t", "--format", "raw", "--follow",
                                      "--cluster", cluster_.url()}, .output_path = folder / "out", .error_path = folder / "err"});
  EXPECT_TRUE(test::eventually(10s, [&] { return test::read_whole_file(folder / "out") == "first\n"; }));
  ASSERT_EQ(tributary({"produce", "-t", "t"}, "second\n").exit_code, 0);
  EXPECT_TRUE(test::eventually(10s, [&] { return test::read_whole_file(folder / "out") == "first\nsecond\n"; }));
  consumer.signal(SIGINT);
  EXPECT_EQ(consumer.wait(10s), 0) << test::read_whole_file(folder / "err");
}

TEST_P(Command, AReaderThatLeavesEndsItQuietly) {
  cluster_.add_topic("t", 1);
  std::string input;
  for (int i = 0; i < 50'000; ++i) input += "a line of some length\n";
  ASSERT_EQ(tributary({"produce", "-t", "t"}, input).exit_code, 0);
  const auto finished = test::run({"bash", "-c", fmt::format("{} consume -t t --format raw --cluster {} | head -n 1; echo ${{PIPESTATUS[0]}}",
                                                             test::program_path("tributary"), cluster_.url())});
  EXPECT_EQ(finished.output, "a line of some length\n0\n");
  EXPECT_EQ(finished.errors, "");
}

TEST_P(Command, ProduceStoppedBySignalDeliversWhatItHasRead) {
  cluster_.add_topic("t", 1);
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "in").c_str(), 0600), 0);
  const int pipe = ::open((folder / "in").c_str(), O_RDWR);  // so that the input does not end
  ASSERT_EQ(::write(pipe, "read\n", 5), 5);
  test::Process producer({.command = {"bash", "-c", fmt::format("exec {} produce -t t --cluster {} < {}", test::program_path("tributary"),
                                                                cluster_.url(), folder / "in")},
                          .error_path = folder / "err"});
  EXPECT_TRUE(test::eventually(10s, [&] { return cluster_.batches({"t", PartitionIndex(0)}).size() == 1; }));
  producer.signal(SIGTERM);
  EXPECT_EQ(producer.wait(10s), 0);
  EXPECT_NE(test::read_whole_file(folder / "err").find("1 records in 1 batches"), std::string::npos);
  ::close(pipe);
}

}  // namespace
}  // namespace tributary
