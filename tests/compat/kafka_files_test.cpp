// The files of a partition in Kafka's hands, and Kafka's in ours: its DumpLogSegments over what we wrote, and folders
// that change sides between its broker and ours.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "common/env/random.h"
#include "tests/compat/real_kafka.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* kCodecNames[] = {"none", "gzip", "snappy", "lz4", "zstd"};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// "k7:gzip 7 3f9a…", of which at least half does not compress.
std::vector<std::string> keyed_lines(const std::string& word, int count, std::size_t digits) {
  SeededRandom random(digits);
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    auto line = fmt::format("k{}:{} {} ", i % 10, word, i);
    while (line.size() < digits) line += fmt::format("{:016x}", random.next_u64());
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> files_with(const std::string& folder, const std::set<std::string>& extensions) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (extensions.contains(entry.path().extension())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

class KafkaFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto& why = KafkaJars::why_not(); !why.empty()) {
      feature_result("skipped", why.substr(0, why.find('\n')));
      GTEST_SKIP() << why;
    }
  }

  /// With an idempotent producer, in batches of `batch` records; appended to `sent_`.
  void produce(const std::string& address, const std::string& codec, const std::vector<std::string>& lines, int batch) {
    const auto path = folder_ / "input";
    std::ofstream(path) << fmt::format("{}\n", fmt::join(lines, "\n"));
    const auto done = run({"kcat", "-b", address, "-P", "-t", kTopic, "-p", "0", "-z", codec, "-K:", "-H", "h=1", "-X",
                           "enable.idempotence=true", "-X", fmt::format("batch.num.messages={}", batch), "-l", path}, 60s);
    ASSERT_EQ(done.exit_code, 0) << done.errors;
    sent_.insert(sent_.end(), lines.begin(), lines.end());
  }
  [[nodiscard]] std::vector<std::string> consume(const std::string& address) const {
    const auto done = run({"kcat", "-b", address, "-C", "-t", kTopic, "-p", "0", "-o", "beginning", "-e", "-q", "-X",
                           "check.crcs=true", "-f", "%o %k:%s\\n"}, 60s);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    return lines_of(done.output);
  }
  /// What consume() should bring.
  [[nodiscard]] std::vector<std::string> sent() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < sent_.size(); ++i) all.push_back(fmt::format("{} {}", i, sent_[i]));
    return all;
  }

  [[nodiscard]] std::string ours() const { return fmt::format("127.0.0.1:{}", broker_.kafka_port()); }
  [[nodiscard]] std::string our_partition() const { return broker_.data() + "/" + kTopic + "-0"; }

  void create_at_ours(const std::vector<std::string>& further = {}) {
    std::vector<std::string> args = {"topic", "create", kTopic, "--partitions", "1", "--set", "segment.bytes=65536",
                                     "--set", "index.interval.bytes=1024"};
    args.insert(args.end(), further.begin(), further.end());
    const auto created = tributary(broker_, args);
    ASSERT_EQ(created.exit_code, 0) << created.errors;
  }

  /// What Kafka's DumpLogSegments says; fails the test if it complains.
  std::string dump(const std::vector<std::string>& files, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--files", fmt::format("{}", fmt::join(files, ","))});
    const auto done = run(KafkaJars::command("kafka.tools.DumpLogSegments", flags), 120s);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    for (const auto& line : lines_of(done.output + done.errors)) {
      static const std::regex kComplaint(
          "^(?!\\|).*([Mm]ismatch|onsecutive|out of order|not found|orrupt|[Ii]nvalid|isvalid: false|Exception|Failed|"
          "rror|truncated)");
      EXPECT_FALSE(std::regex_search(line, kComplaint)) << line;
    }
    return done.output;
  }

  /// As consume() brings them, from the dump of these segments.
  std::vector<std::string> records_in(const std::vector<std::string>& logs) {
    std::vector<std::string> records;
    for (const auto& line : lines_of(dump(logs, {"--deep-iteration", "--print-data-log"}))) {
      static const std::regex kRecord(R"(^\| offset: (\d+) .* key: (\S*) payload: (.*)$)");
      if (std::smatch found; std::regex_match(line, found, kRecord))
        records.push_back(fmt::format("{} {}:{}", found.str(1), found.str(2), found.str(3)));
    }
    return records;
  }

  /// The records in all segments of our partition are exactly what was sent, and all its files are right.
  void expect_sound(std::size_t segments_min) {
    const auto logs = files_with(our_partition(), {".log"});
    EXPECT_GE(logs.size(), segments_min);
    EXPECT_EQ(records_in(logs), sent());

    const auto indexes = files_with(our_partition(), {".index", ".timeindex"});
    EXPECT_EQ(indexes.size(), 2 * logs.size());
    const auto entries = dump(indexes, {});  // each entry is looked up in the log
    EXPECT_GT(std::ranges::count(entries, '\n'), static_cast<std::ptrdiff_t>(3 * indexes.size()));
    const auto sanity = dump(indexes, {"--index-sanity-check"});
    for (const auto& index : indexes) EXPECT_THAT(sanity, testing::HasSubstr(index + " passed sanity check"));
  }

  /// While both brokers are stopped.
  void replace_ours_by(const std::string& partition) {
    for (const auto& entry : fs::directory_iterator(our_partition()))
      if (entry.path().filename() != "partition.metadata") fs::remove(entry);
    for (const auto& entry : fs::directory_iterator(partition))
      fs::copy_file(entry, our_partition() + "/" + entry.path().filename().string(), fs::copy_options::skip_existing);
  }

  void feature_result(const std::string& word, const std::string& text) const {
    KafkaJars::program().keep_results(fmt::format("version kafka {}\n{} {}\n", KafkaJars::kVersion, word, text));
  }
  /// For docs/compatibility.md.
  void keep_result(const std::string& feature) const {
    feature_result(HasFailure() ? "failed" : "ok", HasFailure() ? feature + ": see the test's output" : feature);
  }

  static constexpr const char* kTopic = "moved";
  std::vector<std::string> sent_;
  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
};

TEST_F(KafkaFiles, DumpLogSegmentsReadsAllThatWeWrite) {
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  create_at_ours();
  for (const auto* codec : kCodecNames) produce(ours(), codec, keyed_lines(codec, 300, 200), 20);
  broker_.kill();  // what follows is behind a recovery
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  for (const auto* codec : kCodecNames) produce(ours(), codec, keyed_lines(codec, 300, 200), 7);
  const auto group = run({"kcat", "-b", ours(), "-G", "dumped-group", "-e", "-q", "-X", "auto.offset.reset=earliest",
                          kTopic}, 60s);
  EXPECT_EQ(lines_of(group.output).size(), sent_.size()) << group.errors;
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();

  expect_sound(4);

  const auto snapshots = files_with(our_partition(), {".snapshot"});
  ASSERT_GE(snapshots.size(), 2u);
  EXPECT_THAT(dump(snapshots, {}), testing::HasSubstr("producerId: "));
  const auto newest = dump({snapshots.back()}, {});
  for (int producer = 0; producer < 10; ++producer) {
    EXPECT_TRUE(std::regex_search(newest, std::regex(fmt::format(
        "producerId: \\d+ producerEpoch: 0 .* lastSequence: 299 lastOffset: {} ", producer * 300 + 299)))) << newest;
  }

  std::string committed;
  for (const auto& entry : fs::directory_iterator(broker_.data())) {
    if (!entry.path().filename().string().starts_with("__consumer_offsets-")) continue;
    for (const auto& log : files_with(entry.path(), {".log"}))
      if (fs::file_size(log) > 0) committed += dump({log}, {"--offsets-decoder"});
  }
  EXPECT_THAT(committed, testing::HasSubstr("dumped-group"));
  EXPECT_TRUE(std::regex_search(committed, std::regex("\"offset\":3000\\b"))) << committed;
  keep_result("DumpLogSegments reads .log, .index, .timeindex, .snapshot and committed offsets");
}

/// What Kafka leaves behind when it is stopped, and when it is killed: then the indexes have their full size, with
/// zeros behind the entries, and there is no snapshot at the end.
class SegmentsOfKafka : public KafkaFiles, public testing::WithParamInterface<bool> {};

TEST_P(SegmentsOfKafka, AreServedAndContinued) {
  RealKafka kafka(folder_ / "kafka");
  ASSERT_TRUE(kafka.start_ready()) << kafka.log();
  for (const auto* codec : kCodecNames) produce(kafka.address(), codec, keyed_lines(codec, 400, 2000), 20);
  EXPECT_EQ(consume(kafka.address()), sent());
  if (GetParam()) ASSERT_TRUE(kafka.stop()) << kafka.log();
  else kafka.kill();

  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  create_at_ours();
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();
  replace_ours_by(kafka.data() + "/" + kTopic + "-0");
  ASSERT_GE(files_with(our_partition(), {".log"}).size(), 2u);

  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  EXPECT_EQ(consume(ours()), sent());
  const auto through_cli = tributary(broker_, {"consume", kTopic, "--from", "earliest"});
  EXPECT_EQ(lines_of(through_cli.output).size(), sent_.size()) << through_cli.errors;
  for (const auto* codec : kCodecNames) produce(ours(), codec, keyed_lines(codec, 30, 500), 10);
  EXPECT_EQ(consume(ours()), sent());
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();
  expect_sound(2);
  EXPECT_THAT(broker_.log(), testing::Not(testing::HasSubstr("[error]")));
  keep_result(GetParam() ? "its segments are served here" : "its segments are served here, after SIGKILL");
}

INSTANTIATE_TEST_SUITE_P(When, SegmentsOfKafka, testing::Bool(), [](const auto& stopped) {
  return stopped.param ? "Stopped" : "Killed";
});

TEST_F(KafkaFiles, KafkaServesAndContinuesTheSegmentsThatWeWrote) {
  RealKafka kafka(folder_ / "kafka");
  ASSERT_TRUE(kafka.start_ready()) << kafka.log();
  produce(kafka.address(), "none", {"k:replaced"}, 1);
  ASSERT_TRUE(kafka.stop()) << kafka.log();
  sent_.clear();

  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  create_at_ours();
  for (const auto* codec : kCodecNames) produce(ours(), codec, keyed_lines(codec, 300, 300), 20);
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();

  const auto theirs = kafka.data() + "/" + kTopic + "-0";
  for (const auto& entry : fs::directory_iterator(theirs))
    if (entry.path().filename() != "partition.metadata") fs::remove(entry);
  for (const auto& entry : fs::directory_iterator(our_partition()))
    fs::copy_file(entry, theirs + "/" + entry.path().filename().string(), fs::copy_options::skip_existing);
  ASSERT_TRUE(kafka.start_ready()) << kafka.log();
  EXPECT_EQ(consume(kafka.address()), sent());
  for (const auto* codec : kCodecNames) produce(kafka.address(), codec, keyed_lines(codec, 30, 300), 10);
  EXPECT_EQ(consume(kafka.address()), sent());
  EXPECT_THAT(kafka.log(), testing::Not(testing::HasSubstr("ERROR")));
  EXPECT_TRUE(kafka.stop());
  keep_result("serves the segments that were written here");
}

// Kafka does not note per partition that a log was compacted. Who moves one says it: else gaps are taken for damage.
TEST_F(KafkaFiles, ACompactedPartitionOfKafkaIsServedWithItsGaps) {
  RealKafka kafka(folder_ / "kafka");
  kafka.properties = "log.cleanup.policy=compact\nlog.cleaner.min.cleanable.ratio=0.01\nlog.cleaner.backoff.ms=200\n"
                     "log.roll.ms=500\n";
  ASSERT_TRUE(kafka.start_ready()) << kafka.log();
  ASSERT_TRUE(eventually(60s, [&] {
    produce(kafka.address(), "lz4", keyed_lines("compacted", 200, 100), 20);
    return consume(kafka.address()).size() + 400 < sent_.size();  // the first segments are gone but for ten records
  }, 200ms));
  ASSERT_TRUE(kafka.stop()) << kafka.log();

  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  create_at_ours({"--set", "cleanup.policy=compact"});
  ASSERT_EQ(broker_.terminate(), 0) << broker_.log();
  replace_ours_by(kafka.data() + "/" + kTopic + "-0");
  std::ofstream(our_partition() + "/compaction-checkpoint") << fmt::format("0\ncleaned 0\ngaps {}\n", sent_.size());
  const auto kept = records_in(files_with(our_partition(), {".log"}));
  ASSERT_LT(kept.size(), sent_.size() - 400);

  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  EXPECT_EQ(consume(ours()), kept);
  produce(ours(), "zstd", {"k0:new", "other:new"}, 2);
  broker_.kill();
  ASSERT_TRUE(broker_.start_ready()) << broker_.log();
  const auto after = consume(ours());
  ASSERT_GE(after.size(), 2u);
  EXPECT_EQ(after.back(), fmt::format("{} other:new", sent_.size() - 1));
  std::map<std::string, std::string> newest, expected;
  for (const auto& line : sent_) expected[line.substr(0, line.find(':'))] = line;
  for (const auto& line : after) {
    const auto record = line.substr(line.find(' ') + 1);
    newest[record.substr(0, record.find(':'))] = record;
  }
  EXPECT_EQ(newest, expected);
  keep_result("its compacted segments are served here");
}

}  // namespace
}  // namespace tributary::test
