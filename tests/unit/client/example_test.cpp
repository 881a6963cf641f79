#include "tests/unit/client/example.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "common/record/batch_builder.h"
#include "tests/support/eventually.h"
#include "tests/support/process.h"
#include "tests/unit/client/scripted_cluster.h"

namespace tributary {
namespace {

/// What stands between the first `from` and the next `to`.
std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const auto begin = text.find(from);
  if (begin == std::string::npos) return {};
  const auto start = begin + from.size(), end = text.find(to, start);
  return end == std::string::npos ? std::string{} : text.substr(start, end - start);
}

TEST(ClientsExample, DoesWhatItSays) {
  ScriptedCluster cluster(Endpoint::Kind::kNng, 1);
  cluster.add_topic("readings", 1);
  BatchBuilder builder;
  builder.append(1000, std::nullopt, as_bytes("21.5"));
  cluster.append({"readings", PartitionIndex(0)}, builder.finish({}).value());
  std::atomic<bool> stop = false;
  std::atomic<int> shown = 0;
  std::thread reader([&] {
    const auto result = show_readings(cluster.url(), stop, [&](const TopicPartition&, const RecordView& record) {
      EXPECT_EQ(as_string_view(*record.value), "21.5");
      ++shown;
    });
    EXPECT_TRUE(result) << result.error().message;
  });
  EXPECT_TRUE(test::eventually(10s, [&] { return shown == 1; }));
  stop = true;
  reader.join();
  const auto group = cluster.group("dashboards");
  EXPECT_EQ(group.offsets.at({"readings", PartitionIndex(0)}), Offset(1));
  EXPECT_TRUE(group.members.empty());
}

TEST(ClientsExample, IsTheOneOfTheDocumentation) {
  const auto* source = std::getenv("TRIBUTARY_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "TRIBUTARY_SOURCE names the source tree";
  const auto page = test::read_whole_file(std::string(source) + "/docs/clients.md");
  const auto code = test::read_whole_file(std::string(source) + "/tests/unit/client/example.h");
  const auto documented = between(page, "```cpp\n", "```");
  ASSERT_FALSE(documented.empty());
  EXPECT_EQ(documented, between(code, "// [docs/clients.md]\n", "// [docs/clients.md]\n"));
}

}  // namespace
}  // namespace tributary
