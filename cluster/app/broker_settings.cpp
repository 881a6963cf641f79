#include "cluster/app/broker_settings.h"

namespace tributary {

BrokerSettings::BrokerSettings()
    : settings_({"tributary-broker", "Keeps partition logs on disk and serves them to Kafka clients and over nng",
                 TRIBUTARY_VERSION}) {
  settings_.add("data", options_.data, "The folder that holds everything; created if missing").placeholder("DIR");
  settings_.add("node_id", node_id_, "This broker's number in its cluster").range(0, INT32_MAX);
  declare_listeners();
  declare_topics();
  declare_storage();
  declare_compaction();
  declare_groups();
  settings_.add("shards", options_.shards, "Threads that serve partitions and connections")
      .range(0, 256).default_text("0: one per core");
  log_.declare(settings_);
  settings_.example("tributary-broker --data /var/lib/tributary", "on the usual ports, for this machine only");
  settings_.example("tributary-broker --kafka 0.0.0.0:9092 --nng tcp://0.0.0.0:9093 --advertised-host log1.example.com",
                    "for other machines: there is neither TLS nor authentication, so keep the ports off public networks");
}

void BrokerSettings::declare_listeners() {
  settings_.add("kafka", kafka_, "Where Kafka clients connect; 0.0.0.0 opens it to other machines (no TLS, no authentication)");
  settings_.add("nng", options_.nng_url, "Where gateways and native clients connect; tcp://0.0.0.0:9093 opens it as well")
      .placeholder("URL")
      .check([](const std::string& url) -> Result<> {
        if (!url.starts_with("tcp://")) return fail(Errc::kInvalidArgument, "expected a URL such as tcp://127.0.0.1:9093");
        if (auto address = parse_host_port(std::string_view(url).substr(6)); !address)
          return tl::unexpected<Error>(std::move(address).error());
        return {};
      });
  settings_.add("http", http_, "Where /healthz, /readyz and /metrics are served");
  settings_.add("advertised_host", options_.advertised_host, "The host that clients are told to connect to")
      .placeholder("HOST").default_text("the listener's; with 0.0.0.0, this machine's name");
  settings_.add("advertised_kafka_port", options_.advertised_kafka_port, "The port that Kafka clients are told to connect to")
      .default_text("0: the listener's");
  settings_.add("advertised_nng_port", options_.advertised_nng_port, "The port that native clients are told to connect to")
      .default_text("0: the listener's");
  settings_.add("connections_max", options_.connections_max, "Connections per listener; more are closed at once").range(1, 1'000'000);
  settings_.bytes("request_bytes_max", options_.frame_bytes_max, "The largest request, over nng at most 16 MiB; a larger one closes its connection")
      .range("64KiB", "1GiB");
  settings_.bytes("fetch_bytes_max", options_.fetch_bytes_max, "The largest answer to a fetch (one batch is always given)")
      .range("64KiB", "1GiB");
}

void BrokerSettings::declare_topics() {
  settings_.add("auto_create_topics", options_.auto_create_topics, "Create a topic when a client asks for it");
  settings_.add("num_partitions", options_.num_partitions, "Partitions of a topic that is created without saying").range(1, 1'000);
  settings_.add("partitions_max", options_.partitions_max, "Partitions of this broker; each has an open file")
      .range(1, 100'000);
}

void BrokerSettings::declare_storage() {
  settings_.add("flush", flush_,
                "always: acks=all is answered, and records are served, after fdatasync. interval: after the write, "
                "with fdatasync every flush_interval, so that a power cut may lose so much")
      .choices({"always", "interval"});
  settings_.add("flush_interval", options_.flush_interval, "With flush = interval").range("1ms", "1h");
  settings_.bytes("segment_bytes", options_.segment_bytes, "Size at which a segment file is closed").range("1KiB", "2147483647B");
  settings_.add("segment_age", options_.segment_ms, "Age at which a segment file is closed").range("1s", "3650d");
  settings_.bytes("message_bytes_max", options_.message_bytes_max, "The largest record batch that is taken").range("1KiB", "64MiB");
  settings_.add("retention_ms", options_.retention_ms,
                "Segment files whose newest record is older, in milliseconds, are removed; -1: never. "
                "For topics that do not say (retention.ms)")
      .range(-1, INT64_MAX);
  settings_.add("retention_bytes", options_.retention_bytes,
                "The oldest segment files of a partition that is at least so large without them are removed; -1: never. "
                "For topics that do not say (retention.bytes)")
      .range(-1, INT64_MAX);
  settings_.add("retention_check_interval", options_.retention_check_interval,
                "How often each partition is looked at for what is too old or too much").range("10ms", "1d");
}

void BrokerSettings::declare_compaction() {
  settings_.add("cleaner_interval", options_.compactor.interval, "How often compacted topics are looked at").range("10ms", "1d");
  settings_.bytes("cleaner_memory", options_.compactor.memory_bytes,
                  "Memory for the keys of the partition that is being compacted, 24 bytes each; with more keys it takes "
                  "several cleanings").range("64KiB", "64GiB");
  settings_.bytes("cleaner_bytes_per_second", options_.compactor.bytes_per_second,
                  "How much compaction reads and writes").range("64KiB", "1TiB");
}

void BrokerSettings::declare_groups() {
  settings_.add("offsets_topic_partitions", options_.offsets_topic_partitions,
                "Partitions of the topic that keeps consumer groups, settled when the first group comes").range(1, 1'000);
  settings_.add("group_session_timeout_min", session_timeout_min_, "The shortest session timeout that a member may ask for")
      .range("1ms", "1h");
  settings_.add("group_session_timeout_max", session_timeout_max_, "The longest").range("1s", "24h");
  settings_.add("group_initial_rebalance_delay", initial_rebalance_delay_,
                "How long a new group waits for more members before it begins").range("0ms", "5m");
  settings_.add("group_size_max", options_.groups.group_size_max, "Members of a group").range(1, 100'000);
  settings_.add("offsets_retention", offsets_retention_, "How long the offsets of a group without members are kept")
      .range("1m", "3650d");
}

std::optional<int> BrokerSettings::parse(int argc, const char* const* argv) {
  if (auto code = settings_.parse(argc, argv)) return code;
  options_.node_id = BrokerId(node_id_);
  options_.kafka_host = kafka_.host;
  options_.kafka_port = kafka_.port;
  const auto ms = [](std::chrono::milliseconds time) { return static_cast<std::int32_t>(time.count()); };
  options_.groups.session_timeout_min_ms = ms(session_timeout_min_);
  options_.groups.session_timeout_max_ms = ms(session_timeout_max_);
  options_.groups.initial_rebalance_delay_ms = ms(initial_rebalance_delay_);
  options_.groups.offsets_retention_ms = offsets_retention_.count();
  options_.flush = flush_ == "always" ? FlushMode::kAlways : FlushMode::kInterval;
  return std::nullopt;
}

}  // namespace tributary
