#include "gateway/pipeline/routes.h"

#include <charconv>

#include "common/base/topic_name.h"
#include "gateway/pipeline/topic_filter.h"

namespace tributary {
namespace {

constexpr int kText = -1;
constexpr int kWholeTopic = -2;
constexpr std::int32_t kPartitionsMax = 10'000;

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<int> number_of(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<std::string_view> level_of(std::string_view topic, int level) {
  for (; level > 0; --level) {
    const auto slash = topic.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    topic.remove_prefix(slash + 1);
  }
  return topic.substr(0, topic.find('/'));
}

int levels_in(std::string_view filter) {
  return 1 + static_cast<int>(std::count(filter.begin(), filter.end(), '/'));
}

/// The level of the first wildcard, or kWholeTopic.
int first_wildcard(std::string_view filter) {
  for (int level = 0; level < levels_in(filter); ++level) {
    const auto text = level_of(filter, level);
    if (text == "+" || text == "#") return level;
  }
  return kWholeTopic;
}

tl::unexpected<Error> wrong(const Route& route, std::string_view why) {
  return fail(Errc::kInvalidArgument,
              fmt::format("route \"{} -> {}\": {}", route.filter, route.topic, why));
}

Result<> check_route(const Route& route) {
  if (auto valid = check_topic_filter(route.filter); !valid) return wrong(route, valid.error().message);
  if (auto valid = validate_topic_name(route.topic); !valid) return wrong(route, valid.error().message);
  if (route.qos == 2) {
    return wrong(route, "QoS 2 is not subscribed to: what the MQTT library knows of a half-done QoS 2 "
                        "delivery does not survive a crash; use 1, devices may publish at 2 all the same");
  }
  if (route.qos != 0 && route.qos != 1) return wrong(route, "qos is 0 or 1");
  if (route.partitions < 1 || route.partitions > kPartitionsMax) {
    return wrong(route, fmt::format("partitions is 1 to {}", kPartitionsMax));
  }
  return {};
}

}  // namespace

Result<Route> parse_route(std::string_view text) {
  const auto wrong_text = [&](std::string_view why) {
    return fail(Errc::kInvalidArgument,
                fmt::format("route \"{}\": {}; expected \"FILTER -> TOPIC [key=TEMPLATE] [qos=0|1] "
                            "[partitions=N]\", such as \"sensors/+/+ -> readings\"", text, why));
  };
  const auto arrow = text.find("->");
  if (arrow == std::string_view::npos) return wrong_text("there is no \"->\"");
  Route route;
  route.filter = trimmed(text.substr(0, arrow));
  auto rest = trimmed(text.substr(arrow + 2));
  const auto next_word = [&rest] {
    const auto space = rest.find(' ');
    const auto word = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view{} : trimmed(rest.substr(space));
    return word;
  };
  route.topic = next_word();
  if (route.filter.empty() || route.topic.empty()) return wrong_text("one side is empty");
  while (!rest.empty()) {
    const auto word = next_word();
    const auto number = number_of(word.substr(std::min(word.size(), word.find('=') + 1)));
    if (word.starts_with("key=")) {
      route.key = word.substr(4);
    } else if (word.starts_with("qos=") && number) {
      route.qos = *number;
    } else if (word.starts_with("partitions=") && number) {
      route.partitions = *number;
    } else {
      return wrong_text(fmt::format("\"{}\" is not known", word));
    }
  }
  return route;
}

Result<std::vector<RouteTable::KeyPart>> RouteTable::parse_key(const Route& route) {
  if (route.key.empty()) return std::vector<KeyPart>{{"", first_wildcard(route.filter)}};
  std::vector<KeyPart> parts;
  std::string_view rest = route.key;
  while (!rest.empty()) {
    const auto open = rest.find('{');
    if (open != 0) {
      parts.push_back({std::string(rest.substr(0, open)), kText});
      rest.remove_prefix(std::min(open, rest.size()));
      continue;
    }
    const auto close = rest.find('}');
    if (close == std::string_view::npos) return wrong(route, "key: a '{' without its '}'");
    const auto name = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (name == "topic") {
      parts.push_back({"", kWholeTopic});
      continue;
    }
    const auto level = number_of(name);
    const bool open_ended = route.filter.ends_with('#');
    if (!level || *level < 0 || (!open_ended && *level >= levels_in(route.filter))) {
      return wrong(route, fmt::format("key: {{{}}} is neither {{topic}} nor a level of the filter, "
                                      "counted from 0", name));
    }
    parts.push_back({"", *level});
  }
  return parts;
}

Result<RouteTable> RouteTable::make(std::vector<Route> routes) {
  if (routes.empty()) {
    return fail(Errc::kInvalidArgument, "no route: give one with --route 'sensors/+/+ -> readings'");
  }
  RouteTable table;
  for (auto& route : routes) {
    RETURN_IF_ERROR(check_route(route));
    for (const auto& other : table.routes_) {
      if (other.filter == route.filter) return wrong(route, "its filter has a route already");
      if (other.topic == route.topic && other.partitions != route.partitions) {
        return wrong(route, "another route gives this topic another number of partitions");
      }
      if (filters_overlap(other.filter, route.filter) && !filter_covers(other.filter, route.filter) &&
          !filter_covers(route.filter, other.filter)) {
        return wrong(route, fmt::format("its filter and \"{}\" match some topics in common, and neither "
                                        "covers the other", other.filter));
      }
    }
    ASSIGN_OR_RETURN(auto key, parse_key(route));
    table.keys_.push_back(std::move(key));
    table.routes_.push_back(std::move(route));
  }
  return table;
}

const Route* RouteTable::match(std::string_view mqtt_topic) const {
  for (const auto& route : routes_) {
    if (filter_matches(route.filter, mqtt_topic)) return &route;
  }
  return nullptr;
}

std::string_view RouteTable::key_of(const Route& route, std::string_view mqtt_topic,
                                    std::string& scratch) const {
  const auto& parts = keys_[static_cast<std::size_t>(&route - routes_.data())];
  const auto value_of = [&](const KeyPart& part) -> std::string_view {
    if (part.level == kText) return part.text;
    if (part.level == kWholeTopic) return mqtt_topic;
    return level_of(mqtt_topic, part.level).value_or("");
  };
  std::string_view key;
  if (parts.size() == 1) {
    key = value_of(parts.front());
  } else {
    scratch.clear();
    for (const auto& part : parts) scratch += value_of(part);
    key = scratch;
  }
  return key.empty() ? mqtt_topic : key;
}

std::vector<RouteTable::Subscription> RouteTable::subscriptions() const {
  std::vector<Subscription> wanted;
  for (const auto& route : routes_) {
    Subscription subscription{route.filter, route.qos};
    bool covered = false;
    for (const auto& other : routes_) {
      if (other.filter == route.filter) continue;
      covered |= filter_covers(other.filter, route.filter);
      if (filter_covers(route.filter, other.filter)) subscription.qos = std::max(subscription.qos, other.qos);
    }
    if (!covered) wanted.push_back(std::move(subscription));
  }
  return wanted;
}

}  // namespace tributary
