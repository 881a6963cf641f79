#include "cluster/metadata/topic_registry.h"

#include <gtest/gtest.h>

#include <set>

#include "cluster/metadata/sqlite_metadata_store.h"
#include "common/base/topic_name.h"
#include "tests/unit/metadata/await.h"

namespace tributary {
namespace {

class TopicRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    auto opened = SqliteMetadataStore::open(folder_.path() + "/metadata.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }
  TopicRegistry registry() { return TopicRegistry(*store_); }
  static Topic topic(const std::string& name, std::uint64_t id) {
    return {name, uuid_from_random(id, id), 3, {{"segment.bytes", "1048576"}}, 1234, false};
  }
  Result<Topic> create(const Topic& topic) {
    return await<Topic>([&](auto done) { registry().create(topic, std::move(done)); });
  }
  std::vector<Topic> topics() {
    return await<std::vector<Topic>>([&](auto done) { registry().topics(std::move(done)); }).value();
  }
  Result<RemovedTopic> remove(const Topic& topic) {
    return await<RemovedTopic>([&](auto done) { registry().remove(topic.name, topic.id, std::move(done)); });
  }
  std::vector<RemovedTopic> removed_topics() {
    return await<std::vector<RemovedTopic>>([&](auto done) { registry().removed_topics(std::move(done)); }).value();
  }
  void put_raw(const std::string& key, const std::string& value) {
    ASSERT_TRUE(await<MetadataStore::NewVersions>(
        [&](auto done) { store_->commit({MetadataWrite::create(key, value)}, std::move(done)); }));
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteMetadataStore> store_;
};

TEST_F(TopicRegistryTest, TheClusterIdIsMadeOnceAndKept) {
  const auto first = uuid_from_random(1, 2);
  const auto ask = [&](const Uuid& if_new) {
    return await<Uuid>([&](auto done) { registry().cluster_id(if_new, std::move(done)); }).value();
  };
  EXPECT_EQ(ask(first), first);
  reopen();
  EXPECT_EQ(ask(uuid_from_random(3, 4)), first);
}

TEST_F(TopicRegistryTest, TopicsComeBackAsTheyWereCreated) {
  ASSERT_TRUE(create(topic("b", 2)));
  ASSERT_TRUE(create(topic("a", 1)));
  reopen();
  EXPECT_EQ(topics(), (std::vector{topic("a", 1), topic("b", 2)}));
}

TEST_F(TopicRegistryTest, ANameIsTakenOnlyOnce) {
  ASSERT_TRUE(create(topic("a", 1)));
  const auto second = create(topic("a", 2));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kAlreadyExists);
  EXPECT_EQ(topics().at(0).id, topic("a", 1).id);
}

TEST_F(TopicRegistryTest, ARemovedTopicIsRememberedUntilItsFoldersAreGone) {
  const auto a = topic("a", 1);
  ASSERT_TRUE(create(a));
  EXPECT_EQ(remove(a).value(), (RemovedTopic{"a", a.id, 3}));
  reopen();
  EXPECT_TRUE(topics().empty());
  EXPECT_EQ(removed_topics(), (std::vector{RemovedTopic{"a", a.id, 3}}));
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(await<bool>([&](auto done) { registry().forget_removed(a.id, std::move(done)); }));
  EXPECT_TRUE(removed_topics().empty());
}

TEST_F(TopicRegistryTest, ATopicIsReadyWhenItsFoldersAreThere) {
  const auto a = topic("a", 1);
  ASSERT_TRUE(create(a));
  const auto mark = [&](const Topic& which) {
    return await<Topic>([&](auto done) { registry().mark_ready(which.name, which.id, std::move(done)); });
  };
  EXPECT_EQ(mark(topic("a", 2)).error().code, Errc::kNotFound);
  EXPECT_TRUE(mark(a).value().ready);
  reopen();
  EXPECT_TRUE(topics().at(0).ready);
  EXPECT_TRUE(remove(a));
}

TEST_F(TopicRegistryTest, ConfigsAreReplacedAsAWhole) {
  const auto a = topic("a", 1);
  ASSERT_TRUE(create(a));
  ASSERT_TRUE(await<Topic>([&](auto done) { registry().mark_ready("a", a.id, std::move(done)); }));
  const auto set = [&](const Topic& which, TopicConfigs configs) {
    return await<Topic>([&](auto done) { registry().set_configs(which.name, which.id, configs, std::move(done)); });
  };
  EXPECT_EQ(set(topic("a", 2), {}).error().code, Errc::kNotFound);
  EXPECT_EQ(set(topic("b", 1), {}).error().code, Errc::kNotFound);
  EXPECT_EQ(set(a, {{"flush.ms", "5"}})->configs, (TopicConfigs{{"flush.ms", "5"}}));
  reopen();
  auto changed = a;
  changed.configs = {{"flush.ms", "5"}};
  changed.ready = true;
  EXPECT_EQ(topics(), std::vector{changed});
  EXPECT_EQ(*await<Topic>([&](auto done) { registry().topic("a", a.id, std::move(done)); }), changed);
  EXPECT_FALSE(await<Topic>([&](auto done) { registry().topic("a", topic("a", 2).id, std::move(done)); }));
}

TEST_F(TopicRegistryTest, AGrowthIsNothingUntilItIsFinished) {
  const auto a = topic("a", 1);  // with 3 partitions
  ASSERT_TRUE(create(a));
  using Step = void (TopicRegistry::*)(std::string, Uuid, TopicRegistry::Done<Topic>);
  const auto begin = [&](std::int32_t to, Uuid id) {
    return await<Topic>([&](auto done) { registry().begin_growth("a", id, to, std::move(done)); });
  };
  const auto end = [&](Step step) {
    return await<Topic>([&](auto done) { (registry().*step)("a", a.id, std::move(done)); });
  };
  EXPECT_EQ(begin(5, topic("a", 2).id).error().code, Errc::kNotFound);
  EXPECT_EQ(begin(3, a.id)->growing_to, 0);
  EXPECT_EQ(begin(5, a.id)->growing_to, 5);
  reopen();
  EXPECT_EQ(topics().at(0).partitions, 3);
  EXPECT_EQ(topics().at(0).growing_to, 5);
  EXPECT_TRUE(end(&TopicRegistry::abandon_growth));
  EXPECT_EQ(topics(), std::vector{a});
  EXPECT_TRUE(begin(5, a.id));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(end(&TopicRegistry::finish_growth)->partitions, 5);
  EXPECT_EQ(topics().at(0).partitions, 5);
  EXPECT_EQ(topics().at(0).growing_to, 0);
  EXPECT_TRUE(begin(7, a.id));
  EXPECT_EQ(remove(a)->partitions, 7);
}

TEST_F(TopicRegistryTest, RemovingNeedsTheIdOfTheTopic) {
  ASSERT_TRUE(create(topic("a", 1)));
  EXPECT_EQ(remove(topic("a", 2)).error().code, Errc::kNotFound);
  EXPECT_EQ(remove(topic("b", 1)).error().code, Errc::kNotFound);
  EXPECT_EQ(topics().size(), 1u);
}

TEST_F(TopicRegistryTest, ProducerIdsAreNeverHandedOutTwice) {
  std::set<std::int64_t> firsts;
  for (int i = 0; i < 5; ++i) {
    const auto next = await<ProducerId>([&](auto done) { registry().next_producer_id(std::move(done)); });
    const auto block = await<ProducerIdBlock>([&](auto done) { registry().take_producer_ids(std::move(done)); });
    ASSERT_TRUE(block);
    EXPECT_EQ(block->first, next);
    EXPECT_EQ(block->count, kProducerIdBlockSize);
    firsts.insert(block->first.value());
    if (i == 2) reopen();
  }
  EXPECT_EQ(firsts, (std::set<std::int64_t>{0, 1000, 2000, 3000, 4000}));
}

TEST_F(TopicRegistryTest, BrokersThatRaceForProducerIdsGetDifferentOnes) {
  std::mutex mutex;
  std::set<std::int64_t> firsts;
  std::promise<void> all;
  for (int i = 0; i < 8; ++i)
    registry().take_producer_ids([&](Result<ProducerIdBlock> block) {
      const std::scoped_lock lock(mutex);
      firsts.insert(block.value().first.value());
      if (firsts.size() == 8) all.set_value();
    });
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(TopicRegistryTest, BrokenValuesAreReportedWithTheirKey) {
  put_raw("/topics/a", "{\"format\":1,");
  const auto broken = await<std::vector<Topic>>([&](auto done) { registry().topics(std::move(done)); });
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Errc::kCorrupt);
  EXPECT_NE(broken.error().message.find("/topics/a"), std::string::npos);

  put_raw("/cluster/id", "{\"format\":2}");
  const auto id = await<Uuid>([&](auto done) { registry().cluster_id(Uuid{}, std::move(done)); });
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, Errc::kUnsupported);

  put_raw("/removed_topics/" + to_string(Uuid{}), R"({"format":1,"name":"../..","partitions":1})");
  EXPECT_FALSE(await<std::vector<RemovedTopic>>([&](auto done) { registry().removed_topics(std::move(done)); }));
}

TEST_F(TopicRegistryTest, TopicNamesFollowKafkasRules) {
  for (const auto& name : std::vector<std::string>{"a", "A.b_c-9", "...", std::string(249, 'x')})
    EXPECT_TRUE(validate_topic_name(name)) << name;
  for (const auto& name : std::vector<std::string>{"", ".", "..", "a/b", "a b", "\xc3\xa4", std::string(250, 'x')})
    EXPECT_FALSE(validate_topic_name(name)) << name;
  EXPECT_FALSE(create(topic("a/b", 1)));
}

TEST(UuidTest, TextAndBytesAreOneToOne) {
  SeededRandom random(7);
  for (int i = 0; i < 200; ++i) {
    const auto id = uuid_from_random(random.next_u64(), random.next_u64());
    const auto text = to_string(id);
    EXPECT_EQ(text.size(), 22u);
    EXPECT_NE(text.front(), '-');
    EXPECT_EQ(parse_uuid(text), id);
  }
  EXPECT_EQ(to_string(Uuid{}), "AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_EQ(parse_uuid("AAAAAAAAAAAAAAAAAAAAAB"), std::nullopt);
  EXPECT_EQ(parse_uuid("AAAAAAAAAAAAAAAAAAAAA"), std::nullopt);
  EXPECT_EQ(parse_uuid("AAAAAAAAAAAAAAAAAAAA+A"), std::nullopt);
}

}  // namespace
}  // namespace tributary
