// A Kafka Streams application against the broker: readings counted per device and minute, through a repartition topic
// and a changelog; also when it is killed, and when what it kept locally is lost. With TRIBUTARY_COMPAT_RECORD what it
// sends with a changelog is left for tests/compat/golden.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "tests/compat/fetched_program.h"
#include "tests/compat/frame_recorder.h"
#include "tests/compat/rdkafka_client.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;
using Counts = std::map<std::string, std::int64_t>;  // "DEVICE@MINUTE_MS" -> readings

const FetchedProgram& counts_app() {
  static const FetchedProgram app("streams");
  return app;
}

/// Why it cannot run, or empty.
const std::string& why_no_streams() {
  static const std::string why = [] {
    const auto missing = counts_app().fetch({"mvn", "-q", "-B", "-f", "{dir}/pom.xml", "dependency:copy-dependencies",
                                             "-DoutputDirectory={dir}/jars"});
    if (!missing.empty()) return missing;
    const auto built = run(counts_app().filled({"javac", "-cp", "{dir}/jars/*", "-d", "{dir}/classes",
                                                "{dir}/Counts.java"}), 120s);
    return built.exit_code == 0 ? std::string() : "javac: " + built.errors;
  }();
  return why;
}

class KafkaStreams : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto& why = why_no_streams(); !why.empty()) {
      counts_app().keep_results("skipped " + why.substr(0, why.find('\n')) + "\n");
      GTEST_SKIP() << why;
    }
    broker_.extra_args = {"--group-initial-rebalance-delay", "500ms"};
    recording_.emplace("streams", broker_, "per-device");
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    ASSERT_EQ(tributary(broker_, {"topic", "create", "readings", "--partitions", "3"}).exit_code, 0);
    ASSERT_EQ(tributary(broker_, {"topic", "create", "counts", "--partitions", "2"}).exit_code, 0);
    const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch()).count();
    first_minute_ms_ = now_ms / 60'000 * 60'000 - 10 * 60'000;
    producer_ = make_rdkafka_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", address()}, {"linger.ms", "2"},
                                                        {"enable.idempotence", "true"}});
  }
  ~KafkaStreams() override {
    if (producer_ != nullptr) rd_kafka_destroy(producer_);
  }

  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", broker_.kafka_port()); }

  /// `count` more readings of 7 devices, spread over 5 minutes; durable when this returns.
  void produce(int count) {
    for (const int end = produced_ + count; produced_ < end; ++produced_) {
      const auto device = fmt::format("device-{}", produced_ % 7);
      const auto time_ms = first_minute_ms_ + produced_ * 251LL % (5 * 60'000);
      const auto value = fmt::format(R"({{"device":"{}","seq":{},"temperature":21.5}})", device, produced_);
      const auto error = rd_kafka_producev(
          producer_, RD_KAFKA_V_TOPIC("readings"), RD_KAFKA_V_PARTITION(produced_ % 3),
          RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_KEY(device.data(), device.size()),
          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_END);
      ASSERT_EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR);
      ++expected_[fmt::format("{}@{}", device, time_ms / 60'000 * 60'000)];
    }
    ASSERT_EQ(rd_kafka_flush(producer_, 20'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  /// Starts it and waits until it runs; what it prints is in app_output().
  void start_app(const std::string& changelog) {
    app_log_ = folder_ / fmt::format("app-{}", ++starts_);
    Process::Options options;
    options.command = counts_app().filled({"java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp",
                                           "{dir}/jars/*:{dir}/classes", "Counts"});
    options.command.insert(options.command.end(), {recording_->address(), state_folder(), changelog});
    options.output_path = options.error_path = app_log_;
    app_.emplace(options);
    const bool runs = eventually(60s, [&] {
      return app_output().find("state RUNNING") != std::string::npos || !app_->running();
    }, 50ms);
    ASSERT_TRUE(runs && app_->running()) << app_output() << broker_.log();
  }
  void stop_app() {
    EXPECT_EQ(app_->terminate(40s), 128 + 15) << app_output();  // Java's exit code after SIGTERM
    EXPECT_THAT(app_output(), testing::HasSubstr("state NOT_RUNNING"));
  }
  [[nodiscard]] std::string app_output() const { return read_whole_file(app_log_); }
  [[nodiscard]] std::string state_folder() const { return folder_ / "state"; }

  /// The newest count of each key, and how many there were in all.
  [[nodiscard]] std::pair<Counts, int> counts() const {
    const auto done = run({"kcat", "-b", address(), "-C", "-t", "counts", "-o", "beginning", "-e", "-q", "-f",
                           "%k %s\\n"}, 60s);
    std::pair<Counts, int> result;
    std::istringstream lines(done.output);
    std::string key;
    for (std::int64_t count = 0; lines >> key >> count; ++result.second) result.first[key] = count;
    return result;
  }
  /// Waits until `holds(counts)`.
  template <class Holds>
  [[nodiscard]] bool eventually_counts(Holds holds) const {
    return eventually(90s, [&] { return holds(counts()); }, 200ms);
  }
  void expect_exact() {
    EXPECT_TRUE(eventually_counts([&](const auto& now) { return now.second >= produced_; })) << app_output();
    const auto [newest, in_all] = counts();
    EXPECT_EQ(newest, expected_);
    EXPECT_EQ(in_all, produced_) << "each reading makes one new count";
  }
  [[nodiscard]] bool at_least_expected(const Counts& newest) const {
    return std::ranges::all_of(expected_, [&](const auto& one) {
      const auto found = newest.find(one.first);
      return found != newest.end() && found->second >= one.second;
    });
  }

  /// Skips the test if the broker refuses the topic that Streams makes for a windowed store.
  [[nodiscard]] std::string why_no_changelog() const {
    const auto probe = tributary(broker_, {"topic", "create", "probe", "--set", "cleanup.policy=compact,delete"});
    return probe.exit_code == 0 ? "" : "the changelog's topic is refused: " + probe.errors;
  }
  void keep_result(const std::string& feature, const std::string& word, const std::string& why = "") const {
    counts_app().keep_results(fmt::format("version kafka-streams 4.0.0\n{} {}{}{}\n", word, feature,
                                          why.empty() ? "" : ": ", why));
  }
  void keep_result(const std::string& feature) const {
    if (HasFailure()) keep_result(feature, "failed", "see the test's output");
    else keep_result(feature, "ok");
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::optional<ClientRecording> recording_;
  rd_kafka_t* producer_ = nullptr;
  std::int64_t first_minute_ms_ = 0;
  int produced_ = 0;
  Counts expected_;
  std::optional<Process> app_;
  std::string app_log_;
  int starts_ = 0;
};

TEST_F(KafkaStreams, CountsPerDeviceAndMinuteThroughARepartitionTopic) {
  produce(1000);
  start_app("no-changelog");
  produce(1000);
  expect_exact();
  stop_app();
  EXPECT_THAT(tributary(broker_, {"topic", "list"}).output, testing::HasSubstr("per-device-per-minute-repartition"));
  keep_result("windowed counts through a repartition topic");
}

TEST_F(KafkaStreams, GoesOnExactlyFromTheChangelogWhenItsFolderIsLost) {
  static constexpr const char* kFeature = "windowed counts restored from a changelog";
  if (const auto why = why_no_changelog(); !why.empty()) {
    keep_result(kFeature, "failed", why.substr(0, why.find('\n')));
    GTEST_SKIP() << why;
  }
  produce(1000);
  start_app("changelog");
  produce(1000);
  expect_exact();
  stop_app();
  std::filesystem::remove_all(state_folder());
  produce(500);
  start_app("changelog");
  produce(500);
  expect_exact();
  stop_app();
  keep_result(kFeature);
}

TEST_F(KafkaStreams, CountsNothingTooFewWhenItIsKilled) {
  static constexpr const char* kFeature = "windowed counts, killed and restarted";
  if (const auto why = why_no_changelog(); !why.empty()) {
    keep_result(kFeature, "failed", why.substr(0, why.find('\n')));
    GTEST_SKIP() << why;
  }
  start_app("changelog");
  produce(2000);
  ASSERT_TRUE(eventually_counts([](const auto& now) { return now.second > 500; })) << app_output();
  produce(1000);
  app_->kill();
  produce(500);
  start_app("changelog");
  ASSERT_TRUE(eventually_counts([&](const auto& now) { return at_least_expected(now.first); })) << app_output();
  produce(2000);
  app_->kill();
  std::filesystem::remove_all(state_folder());
  start_app("changelog");
  ASSERT_TRUE(eventually_counts([&](const auto& now) { return at_least_expected(now.first); })) << app_output();
  stop_app();

  const auto [newest, in_all] = counts();
  std::int64_t counted = 0;
  for (const auto& [key, count] : newest) {
    counted += count;
    EXPECT_TRUE(expected_.contains(key)) << key;
  }
  EXPECT_TRUE(at_least_expected(newest));
  EXPECT_LE(counted, 2 * produced_) << "at least once, not always again";
  std::printf("%d readings, counted %lld (those in flight at the two kills twice), %d counts sent\n", produced_,
              static_cast<long long>(counted), in_all);
  keep_result(kFeature);
}

}  // namespace
}  // namespace tributary::test
