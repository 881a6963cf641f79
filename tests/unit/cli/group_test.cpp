#include "cluster/cli/group_view.h"

#include <csignal>

#include "cluster/cli/table.h"
#include "cluster/client/consumer_protocol.h"
#include "common/record/batch_builder.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/unit/cli/run.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

const TopicPartition kFirst{"readings", PartitionIndex(0)}, kSecond{"readings", PartitionIndex(1)};

class GroupCommand : public testing::Test {
 protected:
  GroupCommand() {
    cluster_.add_topic("readings", 2);
    for (int i = 0; i < 10; ++i) {
      BatchBuilder builder;
      builder.append(1000 * (i + 1), std::nullopt, as_bytes("x"));
      cluster_.append(kFirst, builder.finish({}).value());
    }
  }
  Ran tributary(std::vector<std::string> args) {
    args.insert(args.end(), {"--cluster", cluster_.url()});
    return run(args);
  }
  Ran reset(std::vector<std::string> args) {
    args.insert(args.begin(), {"group", "reset-offsets", "g"});
    return tributary(args);
  }
  void commit(const TopicPartition& partition, std::int64_t offset) {
    auto group = cluster_.group("g");
    group.offsets[partition] = Offset(offset);
    cluster_.set_group("g", group);
  }
  std::int64_t committed(const TopicPartition& partition = kFirst) {
    const auto group = cluster_.group("g");
    return group.offsets.contains(partition) ? group.offsets.at(partition).value() : -1;
  }
  void add_member() {
    auto group = cluster_.group("g");
    group.members["m-1"] = {"reader", {}, encode_assignment({kFirst, kSecond})};
    cluster_.set_group("g", group);
  }

  ScriptedCluster cluster_{Endpoint::Kind::kNng, 1};
};

TEST_F(GroupCommand, GroupsAreListed) {
  EXPECT_EQ(tributary({"group", "list"}).output, "");
  commit(kFirst, 3);
  add_member();
  cluster_.set_group("another", {});
  EXPECT_EQ(tributary({"group", "list"}).output, "another  Empty   consumer\n"
                                                 "g        Stable  consumer\n");
  EXPECT_EQ(tributary({"group", "list", "--state", "Stable", "--json"}).output,
            "{\"group\":\"g\",\"state\":\"Stable\",\"protocol_type\":\"consumer\"}\n");
  EXPECT_EQ(tributary({"group", "list", "--state", "stable"}).exit_code, 2);
}

TEST_F(GroupCommand, DescribeShowsHowFarAGroupIsAndWhoReads) {
  commit(kFirst, 3);
  commit({"gone", PartitionIndex(4)}, 17);
  add_member();
  const auto ran = tributary({"group", "describe", "g"});
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_EQ(ran.output, "group g, Stable, range, 1 members\n\n"
                        "TOPIC     PARTITION  COMMITTED  LOG END  LAG  MEMBER  HOST\n"
                        "gone              4         17        -    -  -       -\n"
                        "readings          0          3       10    7  m-1     127.0.0.1\n"
                        "readings          1          -        0    -  m-1     127.0.0.1\n");
  EXPECT_EQ(tributary({"group", "describe", "g", "--members"}).output,
            "group g, Stable, range, 1 members\n\n"
            "MEMBER  CLIENT  HOST       PARTITIONS\n"
            "m-1     reader  127.0.0.1  readings:0,1\n");
  const auto json = tributary({"group", "describe", "g", "--json"}).output;
  EXPECT_NE(json.find(R"({"topic":"readings","partition":0,"committed":3,"log_end":10,"lag":7,"member":"m-1","host":"127.0.0.1"})"),
            std::string::npos) << json;
  EXPECT_NE(json.find(R"({"topic":"gone","partition":4,"committed":17,"log_end":null,"lag":null,"member":null,"host":null})"),
            std::string::npos) << json;
  EXPECT_NE(json.find(R"("members":[{"member":"m-1","instance":null,"client":"reader","host":"127.0.0.1",)"
                      R"("partitions":[{"topic":"readings","partition":0},{"topic":"readings","partition":1}]}]})"),
            std::string::npos) << json;
}

TEST_F(GroupCommand, AGroupThatThereIsNotIsNamed) {
  const auto ran = tributary({"group", "describe", "none"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.errors, "tributary: group none does not exist\n");
}

TEST_F(GroupCommand, OffsetsGoWhereTheyAreTold) {
  commit(kFirst, 5);
  const auto ran = reset({"--topic", "readings", "--to-earliest"});
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_EQ(ran.output, "TOPIC     PARTITION  OLD  NEW\n"
                        "readings          0    5    0\n"
                        "readings          1    -    0\n");
  EXPECT_EQ(committed(), 0);
  EXPECT_EQ(committed(kSecond), 0);
  EXPECT_EQ(reset({"-t", "readings:0", "--to-latest", "--json"}).output,
            "{\"topic\":\"readings\",\"partition\":0,\"old\":0,\"new\":10}\n");
  EXPECT_EQ(reset({"-t", "readings:0", "--shift-by", "-3"}).exit_code, 0);
  EXPECT_EQ(committed(), 7);
  EXPECT_EQ(reset({"-t", "readings:0", "--shift-by=1"}).exit_code, 0);
  EXPECT_EQ(committed(), 8);
  EXPECT_EQ(reset({"-t", "readings:0", "--to-time", "1970-01-01T00:00:03.500Z"}).exit_code, 0);
  EXPECT_EQ(committed(), 3);
  EXPECT_EQ(reset({"-t", "readings:0", "--to-time", "@9000"}).exit_code, 0);
  EXPECT_EQ(committed(), 8);
  EXPECT_EQ(reset({"-t", "readings:0", "--to-offset", "4"}).exit_code, 0);
  EXPECT_EQ(committed(), 4);
}

TEST_F(GroupCommand, OffsetsOutsideOfTheLogBecomeItsNearestEnd) {
  cluster_.trim(kFirst, Offset(2));
  commit(kFirst, 5);
  EXPECT_EQ(reset({"-t", "readings:0", "--to-offset", "1"}).exit_code, 0);
  EXPECT_EQ(committed(), 2);
  EXPECT_EQ(reset({"-t", "readings:0", "--shift-by", "9223372036854775807"}).exit_code, 0);
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(reset({"-t", "readings:0", "--shift-by=-9223372036854775807"}).exit_code, 0);
  EXPECT_EQ(committed(), 2);
}

TEST_F(GroupCommand, ADryRunSetsNothing) {
  commit(kFirst, 5);
  const auto ran = reset({"-t", "readings:0", "--to-latest", "--dry-run"});
  EXPECT_EQ(ran.output, "TOPIC     PARTITION  OLD  NEW\nreadings          0    5   10\n");
  EXPECT_EQ(ran.errors, "tributary: nothing was set: --dry-run\n");
  EXPECT_EQ(committed(), 5);
}

TEST_F(GroupCommand, AGroupWithMembersIsNotReset) {
  commit(kFirst, 5);
  add_member();
  for (const auto* how : {"--to-latest", "--to-earliest"}) {
    const auto ran = reset({"-t", "readings", how});
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_EQ(ran.errors, "tributary: group g has 1 members and is Stable: its offsets can be set only while it has none; "
                          "stop its consumers first\n");
  }
  EXPECT_EQ(committed(), 5);
}

TEST_F(GroupCommand, WhatCannotBeResetIsNamed) {
  EXPECT_EQ(reset({"-t", "readings:0", "--shift-by", "1"}).errors,
            "tributary: group g has committed no offset of readings-0 that --shift-by could shift\n");
  EXPECT_EQ(reset({"-t", "none", "--to-latest"}).errors, "tributary: topic none does not exist\n");
  EXPECT_EQ(reset({"-t", "readings:2", "--to-latest"}).errors, "tributary: topic readings has no partition 2; it has 0 to 1\n");
}

TEST_F(GroupCommand, ABadCommandLineIsExitCode2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {}, {"-t", "readings"}, {"--to-latest"}, {"-t", "readings", "--to-latest", "--to-earliest"},
           {"-t", "readings", "--to-offset", "-1"}, {"-t", "readings", "--to-time", "5"}, {"-t", "readings:", "--to-latest"},
           {"-t", "readings:x", "--to-latest"}, {"-t", "bad name", "--to-latest"}})
    EXPECT_EQ(reset(args).exit_code, 2) << fmt::format("{}", fmt::join(args, " "));
  EXPECT_EQ(run({"group"}).exit_code, 2);
  EXPECT_EQ(run({"group", "delete"}).exit_code, 2);
  for (const auto* command : {"list", "describe", "reset-offsets", "delete"})
    EXPECT_NE(run({"group", command, "--help"}).output.find("Examples:"), std::string::npos) << command;
}

TEST_F(GroupCommand, GroupsAreDeletedAndWhatCannotBeIsSaid) {
  commit(kFirst, 5);
  cluster_.set_group("empty", {});
  add_member();
  const auto ran = tributary({"group", "delete", "g", "none", "empty"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.output, "deleted group empty\n");
  EXPECT_EQ(ran.errors, "tributary: group g has members: its consumers must be stopped first\n"
                        "tributary: group none does not exist\n"
                        "tributary: 2 of 3 groups were not deleted\n");
  EXPECT_EQ(tributary({"group", "delete", "none", "--if-exists"}).output, "group none does not exist\n");
  EXPECT_EQ(tributary({"group", "delete", "none"}).errors, "tributary: group none does not exist\n");
}

TEST_F(GroupCommand, ConsumeGoesOnWhereTheGroupWasAndCommitsWhatItPrinted) {
  const auto consume = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"consume", "--group", "g", "readings", "--format", "raw"});
    return tributary(args);
  };
  const auto first = consume({"-n", "4"});
  EXPECT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_EQ(first.output, "x\nx\nx\nx\n");
  EXPECT_EQ(committed(), 4);
  EXPECT_TRUE(cluster_.group("g").members.empty());
  const auto rest = consume({});
  EXPECT_EQ(rest.exit_code, 0) << rest.errors;
  EXPECT_EQ(rest.output, "x\nx\nx\nx\nx\nx\n");
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(committed(kSecond), 0);
  EXPECT_EQ(consume({}).output, "");
  EXPECT_EQ(consume({"none"}).errors, "tributary: topic none does not exist\n");
}

TEST_F(GroupCommand, ConsumeOfANewGroupStartsWhereItIsTold) {
  EXPECT_EQ(tributary({"consume", "-g", "g", "-t", "readings", "--from", "latest"}).output, "");
  EXPECT_EQ(committed(), 10);
}

TEST_F(GroupCommand, ConsumeThatIsStoppedHasCommittedWhatItPrinted) {
  const test::TempFolder folder;
  test::Process consumer({.command = {test::program_path("tributary"), "consume", "--group", "g", "readings", "--follow", "--format",
                                      "raw", "--cluster", cluster_.url()},
                          .output_path = folder / "out", .error_path = folder / "err"});
  EXPECT_TRUE(test::eventually(std::chrono::seconds(10), [&] { return test::read_whole_file(folder / "out").size() == 20; }));
  consumer.signal(SIGTERM);
  EXPECT_EQ(consumer.wait(std::chrono::seconds(10)), 0) << test::read_whole_file(folder / "err");
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(test::read_whole_file(folder / "err"), "tributary: group g gave it readings-0, readings-1\n");
}

TEST_F(GroupCommand, ConsumeAsAStaticMemberWithAnAssignorKeepsItsPlace) {
  const auto ran = tributary({"consume", "-g", "g", "readings", "--instance-id", "wall-1", "--assignor",
                              "cooperative-sticky,range", "--format", "raw"});
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_EQ(committed(), 10);
  EXPECT_EQ(cluster_.group("g").members.size(), 1u);
  EXPECT_EQ(tributary({"consume", "readings", "--instance-id", "wall-1"}).exit_code, 2);
  EXPECT_EQ(tributary({"consume", "readings", "--assignor", "range"}).exit_code, 2);
  for (const auto* bad : {"sticky", "range,", ",range", "range,,roundrobin"})
    EXPECT_EQ(tributary({"consume", "-g", "g", "readings", "--assignor", bad}).exit_code, 2) << bad;
}

TEST_F(GroupCommand, WhatDoesNotGoWithAGroupIsExitCode2) {
  EXPECT_EQ(run({"consume", "--group", "g"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "--group", "g", "readings", "-p", "0"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "--group", "g", "readings", "--from", "7"}).exit_code, 2);
  EXPECT_EQ(run({"consume", "readings", "raw"}).exit_code, 2);
  EXPECT_EQ(tributary({"consume", "readings", "-n", "1", "--format", "raw"}).output, "x\n");
}

TEST(GroupText, TopicsAndPartitionsAreRead) {
  EXPECT_TRUE(parse_topic_partitions("readings")->partitions.empty());
  EXPECT_EQ(parse_topic_partitions("a.b_c-1:0")->topic, "a.b_c-1");
  EXPECT_EQ(parse_topic_partitions("t:3,0")->partitions, (std::vector{PartitionIndex(3), PartitionIndex(0)}));
  for (const auto* bad : {"", ":", ":1", "t:", "t:1,", "t:-1", "t:1:2", "t:99999999999"}) EXPECT_FALSE(parse_topic_partitions(bad)) << bad;
}

}  // namespace
}  // namespace tributary
