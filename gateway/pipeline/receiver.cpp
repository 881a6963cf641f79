#include "gateway/pipeline/receiver.h"

#include "common/base/check.h"
#include "gateway/pipeline/topic_filter.h"

namespace tributary {
namespace {

constexpr std::size_t kLoggedTopicBytesMax = 200;
/// What keys of long topics may leave allocated.
constexpr std::size_t kKeptKeyBytes = 256;
/// What a user property costs beside its text, however short: lengths in the packet, the column and the record.
constexpr std::size_t kPropertyOverhead = 10;

/// Printable ASCII, the rest escaped: a topic comes from anyone.
std::string printable(std::string_view topic) {
  std::string text;
  for (const char c : topic.substr(0, kLoggedTopicBytesMax)) {
    if (c >= ' ' && c < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return topic.size() > kLoggedTopicBytesMax ? text + "..." : text;
}

std::size_t bytes_of(const ReadingView& reading) {
  std::size_t bytes = reading.key.size() + reading.mqtt_topic.size() + reading.payload.size();
  for (const auto& property : reading.properties) {
    bytes += kPropertyOverhead + property.name.size() + property.value.size();
  }
  return bytes;
}

}  // namespace

Receiver::Receiver(Options options, const RouteTable& routes, Intake& intake, Pressure& pressure,
                   const Clock& clock, GatewayMetrics& metrics, std::function<void(const Error&)> fatal)
    : options_(options),
      routes_(routes),
      intake_(intake),
      pressure_(pressure),
      clock_(clock),
      metrics_(metrics),
      fatal_(std::move(fatal)) {}

void Receiver::reject(Counter& counter, OncePer& log_turn, const char* reason, const MqttMessage& message) {
  counter.inc();
  if (auto turn = log_turn.turn()) {
    log_warning("receiver", "message dropped", {{"reason", reason},
                                                {"mqtt_topic", printable(message.topic)},
                                                {"payload_bytes", message.payload.size()},
                                                {"user_properties", message.properties.size()},
                                                {"unsaid", turn.suppressed}});
  }
}

// Into arrivals_, unless it cannot be taken.
void Receiver::prepare(const MqttMessage& message) {
  if (!is_utf8(message.topic)) {
    return reject(metrics_.rejected_not_utf8, not_utf8_turn_, "the topic is not UTF-8", message);
  }
  const Route* route = routes_.match(message.topic);
  if (route == nullptr) {
    return reject(metrics_.rejected_no_route, no_route_turn_, "no route matches the topic", message);
  }
  ReadingView reading;
  reading.topic = route->topic;
  reading.key = routes_.key_of(*route, message.topic, keys_[arrivals_.size()]);
  reading.mqtt_topic = message.topic;
  reading.properties = message.properties;
  reading.payload = message.payload;
  if (bytes_of(reading) > options_.payload_bytes_max) {
    return reject(metrics_.rejected_too_large, too_large_turn_, "it is over payload_bytes_max", message);
  }
  arrivals_.push_back({reading, message.delivery});
}

void Receiver::on_messages(std::span<const MqttMessage> messages) {
  arrivals_.clear();
  if (keys_.size() < messages.size()) keys_.resize(messages.size());
  for (const auto& message : messages) prepare(message);
  if (arrivals_.empty()) return;
  const auto wall = clock_.wall_now_ms();
  const auto mono = clock_.mono_now();
  for (auto& arrival : arrivals_) {
    arrival.reading.received_ms = wall;
    arrival.reading.received = mono;
  }
  if (auto stored = intake_.store(arrivals_, outcomes_); !stored) {
    fatal_(stored.error());
    CHECK(false, "fatal must not return: {}", stored.error().message);
  }
  std::size_t count = 0, payload_bytes = 0, bytes = 0;
  for (std::size_t i = 0; i < arrivals_.size(); ++i) {
    if (outcomes_[i] == StoreOutcome::kRedelivery) continue;
    const auto& reading = arrivals_[i].reading;
    ++count;
    payload_bytes += reading.payload.size();
    bytes += bytes_of(reading);
  }
  for (std::size_t i = 0; i < arrivals_.size(); ++i) {
    if (keys_[i].capacity() > kKeptKeyBytes) std::string().swap(keys_[i]);
  }
  metrics_.redelivered.inc(arrivals_.size() - count);
  metrics_.received.inc(count);
  metrics_.received_bytes.inc(payload_bytes);
  pressure_.stored(count, bytes);
}

void Receiver::on_connected(bool session_present) {
  if (session_present) return;
  if (auto forgotten = intake_.forget_deliveries(); !forgotten) {
    fatal_(forgotten.error());
    CHECK(false, "fatal must not return: {}", forgotten.error().message);
  }
}

}  // namespace tributary
