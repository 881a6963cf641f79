#include "gateway/pipeline/routes.h"

#include <gtest/gtest.h>

namespace tributary {
namespace {

RouteTable table(std::initializer_list<const char*> texts) {
  std::vector<Route> routes;
  for (const auto* text : texts) routes.push_back(parse_route(text).value());
  auto made = RouteTable::make(routes);
  EXPECT_TRUE(made) << made.error().message;
  return *std::move(made);
}
std::string error_of(std::initializer_list<const char*> texts) {
  std::vector<Route> routes;
  for (const auto* text : texts) {
    auto route = parse_route(text);
    if (!route) return route.error().message;
    routes.push_back(*route);
  }
  auto made = RouteTable::make(routes);
  return made ? "" : made.error().message;
}
std::string key(const RouteTable& routes, std::string_view topic) {
  std::string scratch;
  const auto* route = routes.match(topic);
  return route == nullptr ? "no route" : std::string(routes.key_of(*route, topic, scratch));
}

TEST(Routes, TheTextFormHasFilterTopicAndOptions) {
  const auto route = parse_route("sensors/+/+ -> readings key={1}/{2} qos=0 partitions=12").value();
  EXPECT_EQ(route.filter, "sensors/+/+");
  EXPECT_EQ(route.topic, "readings");
  EXPECT_EQ(route.key, "{1}/{2}");
  EXPECT_EQ(route.qos, 0);
  EXPECT_EQ(route.partitions, 12);
  EXPECT_EQ(parse_route("a->b").value().topic, "b");
  for (const auto* bad : {"", "a", "a ->", "-> b", "a -> b c", "a -> b qos=x", "a -> b partitions="}) {
    EXPECT_FALSE(parse_route(bad)) << bad;
  }
}

TEST(Routes, TheKeyIsTheFirstWildcardsLevelUnlessATemplateSaysOtherwise) {
  EXPECT_EQ(key(table({"sensors/+/+ -> readings"}), "sensors/d7/temp"), "d7");
  EXPECT_EQ(key(table({"sensors/# -> readings"}), "sensors/d7/temp"), "d7");
  EXPECT_EQ(key(table({"sensors/# -> readings"}), "sensors"), "sensors");
  EXPECT_EQ(key(table({"# -> readings"}), "d7/temp"), "d7");
  EXPECT_EQ(key(table({"one/topic -> readings"}), "one/topic"), "one/topic");
  EXPECT_EQ(key(table({"a/+/+ -> readings key=site-{2}.{1}"}), "a/x/y"), "site-y.x");
  EXPECT_EQ(key(table({"a/+/+ -> readings key={topic}"}), "a/x/y"), "a/x/y");
  EXPECT_EQ(key(table({"a/+/+ -> readings"}), "a//y"), "a//y");  // an empty level is no key
}

TEST(Routes, TheFirstThatMatchesWinsAndCoveredFiltersAreNotSubscribedTo) {
  const auto routes = table({"s/+/alarm -> alarms qos=1", "s/# -> readings qos=0", "t/+ -> other"});
  EXPECT_EQ(routes.match("s/1/alarm")->topic, "alarms");
  EXPECT_EQ(routes.match("s/1/temp")->topic, "readings");
  EXPECT_EQ(routes.match("u/1"), nullptr);
  const auto subscriptions = routes.subscriptions();
  ASSERT_EQ(subscriptions.size(), 2u);
  EXPECT_EQ(subscriptions[0].filter, "s/#");
  EXPECT_EQ(subscriptions[0].qos, 1);
  EXPECT_EQ(subscriptions[1].filter, "t/+");
}

TEST(Routes, MistakesAreRefusedWithTheRoute) {
  EXPECT_NE(error_of({"a/#/b -> r"}).find("a/#/b"), std::string::npos);
  EXPECT_NE(error_of({"a -> bad/topic"}), "");
  EXPECT_NE(error_of({"a -> r qos=2"}).find("QoS 2"), std::string::npos);
  EXPECT_NE(error_of({"a -> r partitions=0"}), "");
  EXPECT_NE(error_of({"a/+ -> r key={2}"}), "");
  EXPECT_NE(error_of({"a/+ -> r key={x"}), "");
  EXPECT_EQ(error_of({"a/# -> r key={7}"}), "");
  EXPECT_NE(error_of({"a/+ -> r", "+/b -> q"}).find("in common"), std::string::npos);
  EXPECT_NE(error_of({"a/+ -> r", "a/+ -> q"}), "");
  EXPECT_NE(error_of({"a -> r partitions=2", "b -> r partitions=3"}), "");
  EXPECT_FALSE(RouteTable::make({}));
}

}  // namespace
}  // namespace tributary
