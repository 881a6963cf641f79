#include "gateway/pipeline/topic_filter.h"

#include <gtest/gtest.h>

#include "common/env/random.h"

namespace tributary {
namespace {

TEST(TopicFilter, MatchesAsMqttSays) {
  EXPECT_TRUE(filter_matches("sport/tennis/player1/#", "sport/tennis/player1"));
  EXPECT_TRUE(filter_matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
  EXPECT_TRUE(filter_matches("sport/#", "sport"));
  EXPECT_TRUE(filter_matches("#", "a/b"));
  EXPECT_TRUE(filter_matches("sport/tennis/+", "sport/tennis/player1"));
  EXPECT_FALSE(filter_matches("sport/tennis/+", "sport/tennis/player1/ranking"));
  EXPECT_FALSE(filter_matches("sport/+", "sport"));
  EXPECT_TRUE(filter_matches("sport/+", "sport/"));
  EXPECT_TRUE(filter_matches("+/+", "/finance"));
  EXPECT_TRUE(filter_matches("/+", "/finance"));
  EXPECT_FALSE(filter_matches("+", "/finance"));
  EXPECT_FALSE(filter_matches("#", "$SYS/uptime"));
  EXPECT_FALSE(filter_matches("+/uptime", "$SYS/uptime"));
  EXPECT_TRUE(filter_matches("$SYS/#", "$SYS/uptime"));
  EXPECT_FALSE(filter_matches("a/b", "a/b/c"));
  EXPECT_FALSE(filter_matches("a/b/c", "a/b"));
}

TEST(TopicFilter, RefusesWhatMqttDoesNotAllow) {
  for (const auto* valid : {"a", "a/+/b", "#", "+", "a/#", "/", "$SYS/#", "\xc3\xa4/b"}) {
    EXPECT_TRUE(check_topic_filter(valid)) << valid;
  }
  for (const auto* bad : {"", "a#", "a/#/b", "a+/b", "+a", "#/a", "$share/g/a", "\xff"}) {
    EXPECT_FALSE(check_topic_filter(bad)) << bad;
  }
  EXPECT_FALSE(check_topic_filter(std::string(70'000, 'a')));
  EXPECT_FALSE(check_topic_filter(std::string_view("a\0b", 3)));
}

TEST(TopicFilter, CoveringAndOverlappingAgreeWithMatching) {
  EXPECT_TRUE(filter_covers("a/#", "a/+/c"));
  EXPECT_TRUE(filter_covers("a/#", "a"));
  EXPECT_FALSE(filter_covers("a/+", "a/#"));
  EXPECT_TRUE(filters_overlap("a/+", "+/b"));
  EXPECT_FALSE(filters_overlap("a/+", "a/b/c"));
  SeededRandom random(7);
  const auto pick = [&](std::initializer_list<const char*> levels) {
    std::string text;
    const auto count = 1 + random.below(3);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string level = *(levels.begin() + random.below(levels.size()));
      text += (i == 0 ? "" : "/") + level;
      if (level == "#") break;
    }
    return text;
  };
  for (int round = 0; round < 20'000; ++round) {
    const auto a = pick({"a", "b", "+", "#", "$x"});
    const auto b = pick({"a", "b", "+", "#", "$x"});
    const auto topic = pick({"a", "b", "c", "$x"});
    if (filter_covers(a, b) && filter_matches(b, topic)) {
      EXPECT_TRUE(filter_matches(a, topic)) << a << " covers " << b << ", topic " << topic;
    }
    if (filter_matches(a, topic) && filter_matches(b, topic)) {
      EXPECT_TRUE(filters_overlap(a, b)) << a << ", " << b << ", topic " << topic;
    }
    EXPECT_TRUE(filter_covers(a, a));
  }
}

TEST(TopicFilter, Utf8IsCheckedAsRfc3629Says) {
  EXPECT_TRUE(is_utf8("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x8c\x8a"));
  for (const auto* bad : {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

}  // namespace
}  // namespace tributary
