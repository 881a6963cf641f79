#include "common/config/settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/config/exit_codes.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

struct Route {
  std::string filter;
  int qos = 1;
};

struct Options {
  std::string data = "./data";
  HostPort kafka{"127.0.0.1", 9092};
  std::uint64_t segment_bytes = 1 << 30;
  std::chrono::milliseconds retention = 168h;
  std::string flush = "always";
  std::uint16_t threads = 2;
  double ratio = 0.5;
  bool auto_create = true;
  std::vector<std::string> peers;
  std::vector<Route> routes;
  std::vector<std::string> route_flags;
};

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() : settings_({"prog", "Does things", "1.2.3"}) {
    char name[] = "/tmp/tributary-settings-XXXXXX";
    folder_ = ::mkdtemp(name);
    std::filesystem::current_path(folder_);
    settings_.add("data", o_.data, "The folder").placeholder("DIR");
    settings_.add("kafka", o_.kafka, "Where Kafka clients connect");
    settings_.bytes("storage.segment_bytes", o_.segment_bytes, "Segment size").range("1KiB", "2GiB");
    settings_.add("storage.retention", o_.retention, "Kept for").flag("--retention,-r");
    settings_.add("flush", o_.flush, "When").choices({"always", "interval"});
    settings_.add("threads", o_.threads, "How many").range(1, 64);
    settings_.add("ratio", o_.ratio, "A ratio").range("0", "1");
    settings_.add("auto_create", o_.auto_create, "Create topics");
    settings_.add("peers", o_.peers, "Others");
    settings_.flag_only("--route", o_.route_flags, "A route");
    settings_.tables<Route>("route", o_.routes, "A route", [](SettingGroup& group, Route& route) {
      group.add("filter", route.filter, "Filter").required();
      group.add("qos", route.qos, "QoS").range(0, 2);
    });
    settings_.example("prog --data /d", "as usual");
  }
  ~SettingsTest() override {
    std::filesystem::current_path("/");
    std::filesystem::remove_all(folder_);
  }

  std::optional<int> parse(std::vector<std::string> args) {
    out_.str("");
    err_.str("");
    return settings_.parse(args, out_, err_);
  }
  std::optional<int> parse_file(const std::string& content, std::vector<std::string> args = {}) {
    std::ofstream("t.toml") << content;
    args.insert(args.begin(), {"--config", "t.toml"});
    return parse(args);
  }
  void expect_file_error(const std::string& content, const std::string& error) {
    EXPECT_EQ(parse_file(content), kExitUsage) << content;
    EXPECT_EQ(err_.str(), error + "\n");
  }
  void expect_flag_error(std::vector<std::string> args, const std::string& error) {
    EXPECT_EQ(parse(args), kExitUsage) << args.front();
    EXPECT_EQ(err_.str().substr(0, err_.str().find('\n')), error);
  }

  std::string folder_;
  Options o_;
  Settings settings_;
  std::ostringstream out_, err_;
};

TEST_F(SettingsTest, DefaultsStandWhenNothingIsGiven) {
  EXPECT_EQ(parse({}), std::nullopt);
  EXPECT_EQ(o_.data, "./data");
  EXPECT_EQ(o_.retention, 168h);
  EXPECT_FALSE(settings_.given("data"));
}

TEST_F(SettingsTest, TheFileWinsOverDefaultsAndFlagsOverTheFile) {
  EXPECT_EQ(parse_file("data = \"/file\"\nkafka = \"0.0.0.0:1\"\npeers = [\"a\", \"b\"]\n"
                       "auto_create = false\nratio = 1\n[storage]\nsegment_bytes = \"1MiB\"\nretention = \"2s\"\n",
                       {"--data", "/flag", "--peers", "c", "--peers=d"}),
            std::nullopt)
      << err_.str();
  EXPECT_EQ(o_.data, "/flag");
  EXPECT_EQ(o_.kafka, (HostPort{"0.0.0.0", 1}));
  EXPECT_EQ(o_.segment_bytes, 1u << 20);
  EXPECT_EQ(o_.retention, 2s);
  EXPECT_EQ(o_.ratio, 1.0);
  EXPECT_FALSE(o_.auto_create);
  EXPECT_EQ(o_.peers, (std::vector<std::string>{"c", "d"}));
  EXPECT_TRUE(settings_.given("--data"));
}

TEST_F(SettingsTest, EveryKindOfFlagIsTaken) {
  EXPECT_EQ(parse({"--kafka=[::1]:7", "--storage-segment-bytes", "2KiB", "-r", "1m", "--no-auto-create",
                   "--threads", "3", "--threads", "4", "--ratio", "0.25", "--route", "a -> {1}", "--route",
                   "[x]", "--flush", "interval"}),
            std::nullopt)
      << err_.str();
  EXPECT_EQ(o_.kafka, (HostPort{"::1", 7}));
  EXPECT_EQ(o_.segment_bytes, 2048u);
  EXPECT_EQ(o_.retention, 1min);
  EXPECT_FALSE(o_.auto_create);
  EXPECT_EQ(o_.threads, 4) << "the last one wins";
  EXPECT_EQ(o_.ratio, 0.25);
  EXPECT_EQ(o_.route_flags, (std::vector<std::string>{"a -> {1}", "[x]"}));
  EXPECT_EQ(parse({"--auto-create=true"}), std::nullopt);
  EXPECT_TRUE(o_.auto_create);
}

TEST_F(SettingsTest, ArraysOfTablesBecomeRows) {
  EXPECT_EQ(parse_file("[[route]]\nfilter = \"a/#\"\n[[route]]\nfilter = \"b/+\"\nqos = 2\n"), std::nullopt)
      << err_.str();
  ASSERT_EQ(o_.routes.size(), 2u);
  EXPECT_EQ(o_.routes[0].filter, "a/#");
  EXPECT_EQ(o_.routes[0].qos, 1);
  EXPECT_EQ(o_.routes[1].qos, 2);
}

TEST_F(SettingsTest, UnknownKeysNameFileLineAndTheNearestName) {
  expect_file_error("\n\nkafak = \"a:1\"\n", "t.toml:3: unknown key \"kafak\", did you mean \"kafka\"?");
  expect_file_error("[storage]\nsegmet_bytes = 1\n",
                    "t.toml:2: unknown key \"storage.segmet_bytes\", did you mean \"storage.segment_bytes\"?");
  expect_file_error("[stroage]\nx = 1\n", "t.toml:1: unknown key \"stroage\", did you mean \"storage\"?");
  expect_file_error("zebra = 1\n", "t.toml:1: unknown key \"zebra\"");
  expect_file_error("[[route]]\nfilter = \"a\"\nqso = 1\n",
                    "t.toml:3: unknown key \"qso\", did you mean \"qos\"?");
}

TEST_F(SettingsTest, WrongTypesAndValuesNameFileLineAndWhatWasExpected) {
  expect_file_error("data = 5\n", "t.toml:1: data: expected a string, got an integer");
  expect_file_error("\nkafka = true\n",
                    "t.toml:2: kafka: expected host:port such as \"127.0.0.1:9092\", got a boolean");
  expect_file_error("threads = \"3\"\n", "t.toml:1: threads: expected a whole number, got a string");
  expect_file_error("threads = 65\n", "t.toml:1: threads: 65 is out of range, expected 1 to 64");
  expect_file_error("threads = -1\n", "t.toml:1: threads: -1 is out of range, expected 1 to 64");
  expect_file_error("storage = 1\n", "t.toml:1: storage: expected a table [storage], got an integer");
  expect_file_error("[data]\nx = 1\n", "t.toml:1: data: expected a string, got a table");
  expect_file_error("peers = [\"a\", 1]\n", "t.toml:1: peers: expected an array of strings, got an integer");
  expect_file_error("peers = \"a\"\n", "t.toml:1: peers: expected an array of strings, got a string");
  expect_file_error("[storage]\nretention = 10\n",
                    "t.toml:2: storage.retention: expected a duration such as \"500ms\", \"10s\" or \"7d\", "
                    "got an integer");
  expect_file_error("[storage]\nsegment_bytes = \"12 parsecs\"\n",
                    "t.toml:2: storage.segment_bytes: \"12 parsecs\" is not a byte size such as \"64MiB\"");
  expect_file_error("flush = \"alwais\"\n",
                    "t.toml:1: flush: \"alwais\" is not one of always, interval; did you mean \"always\"?");
  expect_file_error("[route]\nfilter = \"x\"\n",
                    "t.toml:1: route: expected an array of tables [[route]], got a table");
  expect_file_error("\n[[route]]\nqos = 1\n", "t.toml:2: \"filter\" is missing");
  expect_file_error("[[route]]\nfilter = \"x\"\nqos = 3\n", "t.toml:3: qos: 3 is out of range, expected 0 to 2");
  expect_file_error("ratio = nan\n", "t.toml:1: ratio: \"nan\" is not a number");
}

TEST_F(SettingsTest, EveryMistakeInAFileIsSaidAtOnce) {
  EXPECT_EQ(parse_file("dta = 1\nthreads = 0\n"), kExitUsage);
  EXPECT_NE(err_.str().find("t.toml:1: "), std::string::npos);
  EXPECT_NE(err_.str().find("t.toml:2: "), std::string::npos);
}

TEST_F(SettingsTest, BrokenTomlNamesTheLine) {
  EXPECT_EQ(parse_file("data = \"/a\"\nkafka = \n"), kExitUsage);
  EXPECT_EQ(err_.str().rfind("t.toml:2: ", 0), 0u) << err_.str();
  EXPECT_EQ(parse_file("data = \"a\"\ndata = \"b\"\n"), kExitUsage);
  EXPECT_EQ(err_.str().rfind("t.toml:2: ", 0), 0u) << err_.str();
  EXPECT_EQ(parse_file(std::string(100000, '[')), kExitUsage);
  EXPECT_EQ(parse_file(std::string("a = \0", 5)), kExitUsage);
  EXPECT_EQ(parse_file("a = \"\xff\"\n"), kExitUsage);
}

TEST_F(SettingsTest, AMissingOrHugeFileIsRefusedByName) {
  EXPECT_EQ(parse({"--config", "nowhere.toml"}), kExitUsage);
  EXPECT_NE(err_.str().find("nowhere.toml"), std::string::npos);
  EXPECT_EQ(parse({"--config", "/dev/zero"}), kExitUsage);
  EXPECT_EQ(parse({"--config", folder_}), kExitUsage);
}

TEST_F(SettingsTest, BadFlagsNameTheFlag) {
  expect_flag_error({"--kafak", "a:1"}, "prog: unknown flag \"--kafak\", did you mean \"--kafka\"?");
  expect_flag_error({"stray"}, "prog: unexpected argument \"stray\"");
  expect_flag_error({"--threads", "x"}, "--threads: \"x\" is not a whole number");
  expect_flag_error({"--threads", "-1"}, "--threads: -1 is out of range, expected 1 to 64");
  expect_flag_error({"--threads", "70000"}, "--threads: 70000 is out of range, expected 1 to 64");
  expect_flag_error({"--storage-segment-bytes", "1B"},
                    "--storage-segment-bytes: 1B is out of range, expected 1KiB to 2GiB");
  expect_flag_error({"--auto-create=maybe"}, "--auto-create: \"maybe\" is not true or false");
  EXPECT_EQ(parse({"--data"}), kExitUsage);
  EXPECT_NE(err_.str().find("--data"), std::string::npos) << err_.str();
}

TEST_F(SettingsTest, AnEmptyValueIsAValue) {
  EXPECT_EQ(parse({"--data", ""}), std::nullopt) << err_.str();
  EXPECT_EQ(o_.data, "");
  EXPECT_EQ(parse({"--data="}), std::nullopt) << err_.str();
}

TEST_F(SettingsTest, HelpShowsPlaceholdersRangesDefaultsAndExamples) {
  EXPECT_EQ(parse({"--help"}), kExitOk);
  const auto help = out_.str();
  for (const auto* part : {"--data DIR", "(default: ./data)", "--retention, -r DURATION", "(default: 7d)",
                           "1KiB to 2GiB", "--[no-]auto-create", "one of always, interval", "--config FILE", "--print-config",
                           "Examples:", "# as usual\n  prog --data /d", "[[route]]"})
    EXPECT_NE(help.find(part), std::string::npos) << part << "\n" << help;
}

TEST_F(SettingsTest, VersionIsPrinted) {
  EXPECT_EQ(parse({"--version"}), kExitOk);
  EXPECT_EQ(out_.str(), "prog 1.2.3\n");
}

TEST_F(SettingsTest, PrintedConfigIsReadBackTheSame) {
  EXPECT_EQ(parse_file("data = \"q\\\"\\\\\\n\\u0001\"\n[[route]]\nfilter = \"a/#\"\nqos = 2\n",
                       {"--threads", "7", "--peers", "x", "--print-config"}),
            kExitOk)
      << err_.str();
  const auto printed = out_.str();
  o_.threads = 2;
  o_.peers.clear();
  o_.routes.clear();
  EXPECT_EQ(parse_file(printed), std::nullopt) << err_.str() << printed;
  EXPECT_EQ(o_.data, "q\"\\\n\x01");
  EXPECT_EQ(o_.threads, 7);
  EXPECT_EQ(o_.peers, (std::vector<std::string>{"x"}));
  ASSERT_EQ(o_.routes.size(), 1u);
  EXPECT_EQ(o_.routes[0].qos, 2);
}

TEST_F(SettingsTest, ASecretIsNeverPrinted) {
  std::string password = "default-pw";
  settings_.add("password", password, "For the MQTT broker").secret();
  EXPECT_EQ(parse({"--password", "hunter2", "--print-config"}), kExitOk);
  EXPECT_EQ(out_.str().find("hunter2"), std::string::npos);
  EXPECT_EQ(parse({"--help"}), kExitOk);
  EXPECT_EQ(out_.str().find("default-pw"), std::string::npos);
  EXPECT_EQ(password, "hunter2");
}

TEST_F(SettingsTest, AFailedCheckAcrossSettingsIsABadConfiguration) {
  settings_.check([&]() -> Result<> {
    if (o_.threads == 5) return fail(Errc::kInvalidArgument, "five is no good");
    return {};
  });
  EXPECT_EQ(parse({"--threads", "5"}), kExitUsage);
  EXPECT_EQ(err_.str(), "five is no good\n");
}

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() : settings_({"tool", "A tool", "1"}) {
    settings_.flag_only("--cluster", cluster_, "Where");
    auto& topic = settings_.command("topic", "Topics");
    auto& create = topic.command("create", "Make one");
    create.argument("NAME", name_, "The topic's name");
    create.add("partitions", partitions_, "How many");
    auto& dump = settings_.command("dump", "Files");
    dump.argument("FILE", files_, "The files");
  }
  std::optional<int> parse(std::vector<std::string> args) {
    return settings_.parse(args, out_, err_);
  }
  std::string cluster_ = "here", name_;
  int partitions_ = 1;
  std::vector<std::string> files_;
  Settings settings_;
  std::ostringstream out_, err_;
};

TEST_F(CommandsTest, NestedCommandsTakeTheirFlagsAndThoseOfTheProgram) {
  EXPECT_EQ(parse({"topic", "create", "readings", "--partitions", "4", "--cluster", "there"}), std::nullopt)
      << err_.str();
  EXPECT_EQ(settings_.chosen(), "topic create");
  EXPECT_EQ(name_, "readings");
  EXPECT_EQ(partitions_, 4);
  EXPECT_EQ(cluster_, "there");
}

TEST_F(CommandsTest, FlagsOfTheProgramMayComeFirst) {
  EXPECT_EQ(parse({"--cluster", "x", "dump", "a", "b"}), std::nullopt) << err_.str();
  EXPECT_EQ(settings_.chosen(), "dump");
  EXPECT_EQ(cluster_, "x");
  EXPECT_EQ(files_, (std::vector<std::string>{"a", "b"}));
}

TEST_F(CommandsTest, MistakesAreNamed) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{}, "tool: \"tool\" needs one of the commands topic, dump"},
      {{"topic"}, "tool: \"tool topic\" needs one of the commands create"},
      {{"topik"}, "tool: unknown command \"topik\", did you mean \"topic\"?"},
      {{"topic", "crate"}, "tool: unknown command \"crate\", did you mean \"create\"?"},
      {{"topic", "create"}, "NAME is missing"},
      {{"topic", "create", "a", "b"}, "tool: unexpected argument \"b\""},
      {{"topic", "create", "a", "--partitons", "2"},
       "tool: unknown flag \"--partitons\", did you mean \"--partitions\"?"},
      {{"dump", "--partitions", "2"}, "tool: unknown flag \"--partitions\""},
  };
  for (const auto& [args, error] : cases) {
    err_.str("");
    EXPECT_EQ(parse(args), kExitUsage);
    EXPECT_EQ(err_.str().substr(0, err_.str().find('\n')), error);
  }
}

TEST_F(CommandsTest, HelpIsThatOfTheCommand) {
  EXPECT_EQ(parse({"topic", "create", "--help"}), kExitOk);
  EXPECT_NE(out_.str().find("Usage: tool topic create [flags] NAME"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("Flags of tool:"), std::string::npos) << out_.str();
  out_.str("");
  EXPECT_EQ(parse({"--help"}), kExitOk);
  EXPECT_NE(out_.str().find("Commands:\n  topic"), std::string::npos) << out_.str();
}

}  // namespace
}  // namespace tributary
