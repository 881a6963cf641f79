// DescribeConfigs: what topics and the broker go by.

#include <algorithm>

#include "cluster/server/cluster_image.h"
#include "cluster/server/handlers.h"
#include "common/protocol/messages/describe_configs.h"

namespace tributary {
namespace {

using ConfigSource = DescribeConfigsResponse::Source;
using ConfigType = DescribeConfigsResponse::Type;

/// The broker's default for a topic config, under Kafka's name for it; empty if there is none.
std::string_view broker_name_of(std::string_view topic_config) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"cleanup.policy", "log.cleanup.policy"},
      {"delete.retention.ms", "log.cleaner.delete.retention.ms"},
      {"flush.messages", "log.flush.interval.messages"}, {"flush.ms", "log.flush.interval.ms"},
      {"max.message.bytes", "message.max.bytes"},        {"retention.bytes", "log.retention.bytes"},
      {"retention.ms", "log.retention.ms"},              {"segment.bytes", "log.segment.bytes"},
      {"segment.ms", "log.roll.ms"},
  };
  for (const auto& [topic, broker] : kNames)
    if (topic == topic_config) return broker;
  return {};
}

ConfigType type_of(TopicConfigInfo::Type type) {
  switch (type) {
    case TopicConfigInfo::Type::kInt: return ConfigType::kInt;
    case TopicConfigInfo::Type::kLong: return ConfigType::kLong;
    case TopicConfigInfo::Type::kDouble: return ConfigType::kDouble;
    case TopicConfigInfo::Type::kString: return ConfigType::kString;
    case TopicConfigInfo::Type::kList: return ConfigType::kList;
    case TopicConfigInfo::Type::kBoolean: return ConfigType::kBoolean;
  }
  return ConfigType::kUnknown;
}

class DescribeConfigs {
 public:
  DescribeConfigs(const Call& call, const DescribeConfigsRequest& request)
      : server_(call.server()), image_(*call.home().image()), request_(request) {}

  DescribeConfigsResponse::Resource describe(const DescribeConfigsRequest::Resource& wanted) const {
    DescribeConfigsResponse::Resource resource;
    resource.type = wanted.type;
    resource.name = wanted.name;
    if (wanted.type == ConfigResourceType::kTopic) describe_topic(resource);
    else if (wanted.type == ConfigResourceType::kBroker) describe_broker(resource);
    else refuse(resource, ErrorCode::kInvalidRequest, "configs are kept of topics and brokers only");
    if (wanted.configuration_keys)
      std::erase_if(resource.configs, [&](const DescribeConfigsResponse::Config& config) {
        return std::ranges::find(*wanted.configuration_keys, config.name) == wanted.configuration_keys->end();
      });
    return resource;
  }

 private:
  static void refuse(DescribeConfigsResponse::Resource& resource, ErrorCode error, std::string message) {
    resource.error_code = error;
    resource.error_message = std::move(message);
  }

  void describe_topic(DescribeConfigsResponse::Resource& resource) const {
    const auto* found = image_.find(resource.name);
    if (!found)
      return refuse(resource, ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", resource.name));
    const auto defaults = describe_topic_configs(server_.topic_defaults, {});
    for (const auto& info : describe_topic_configs(found->settings, found->topic.configs)) {
      auto& config = resource.configs.emplace_back();
      config.name = info.name;
      config.value = info.value;
      config.source = info.own ? ConfigSource::kTopic : ConfigSource::kDefault;
      config.type = type_of(info.type);
      if (request_.include_documentation) config.documentation = std::string(info.documentation);
      if (!request_.include_synonyms) continue;
      if (info.own) config.synonyms.push_back({std::string(info.name), info.value, ConfigSource::kTopic});
      const auto broker_name = broker_name_of(info.name);
      if (broker_name.empty()) continue;
      const auto& inherited = std::ranges::find(defaults, info.name, &TopicConfigInfo::name)->value;
      config.synonyms.push_back({std::string(broker_name), inherited, ConfigSource::kDefault});
    }
  }

  void describe_broker(DescribeConfigsResponse::Resource& resource) const {
    if (resource.name != fmt::to_string(server_.options.node_id))
      return refuse(resource, ErrorCode::kInvalidRequest,
                    fmt::format("broker '{}' is not this one, which is {}", resource.name, server_.options.node_id));
    const auto& options = server_.options;
    const auto kafka = server_.endpoint(Listener::kKafkaTcp);
    const auto nng = server_.endpoint(Listener::kNng);
    const auto add = [&](std::string name, std::string value, ConfigType type) {
      auto& config = resource.configs.emplace_back();
      config.name = std::move(name);
      config.value = std::move(value);
      config.read_only = true;
      config.source = ConfigSource::kStaticBroker;
      config.type = type;
    };
    add("advertised.listeners",
        fmt::format("PLAINTEXT://{}:{},NNG://{}:{}", kafka.host, kafka.port, nng.host, nng.port), ConfigType::kList);
    add("auto.create.topics.enable", options.auto_create_topics ? "true" : "false", ConfigType::kBoolean);
    add("broker.id", fmt::to_string(options.node_id), ConfigType::kInt);
    add("compression.type", "producer", ConfigType::kString);
    add("default.replication.factor", "1", ConfigType::kInt);
    add("fetch.max.bytes", std::to_string(options.fetch_bytes_max), ConfigType::kInt);
    add("log.dirs", options.data, ConfigType::kList);
    for (const auto& info : describe_topic_configs(server_.topic_defaults, {}))
      if (const auto name = broker_name_of(info.name); !name.empty())
        add(std::string(name), info.value, type_of(info.type));
    add("max.connections", std::to_string(options.connections_max), ConfigType::kInt);
    add("node.id", fmt::to_string(options.node_id), ConfigType::kInt);
    add("num.partitions", std::to_string(options.num_partitions), ConfigType::kInt);
    add("socket.request.max.bytes", std::to_string(options.frame_bytes_max), ConfigType::kInt);
    std::ranges::sort(resource.configs, {}, &DescribeConfigsResponse::Config::name);
  }

  const ServerContext& server_;
  const ClusterImage& image_;
  const DescribeConfigsRequest& request_;
};

}  // namespace

void handle_describe_configs(CallPtr call) {
  const auto request = call->decode<DescribeConfigsRequest>();
  if (!request) return;
  // An answer is far larger than its question: the number of resources bounds it.
  constexpr std::size_t kResourcesMax = 10'000;
  if (request->resources.size() > kResourcesMax)
    return call->drop("more than 10000 resources in one request", ErrorCode::kInvalidRequest);
  const DescribeConfigs describer(*call, *request);
  DescribeConfigsResponse response;
  auto first_error = ErrorCode::kNone;
  for (const auto& wanted : request->resources) {
    const auto& resource = response.resources.emplace_back(describer.describe(wanted));
    if (first_error == ErrorCode::kNone) first_error = resource.error_code;
  }
  call->reply(response, first_error);
}

}  // namespace tributary
