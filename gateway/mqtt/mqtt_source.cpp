// The one file that knows the MQTT library: Paho's asynchronous C client. The C++ wrapper hides the packet
// id, by which a redelivery is told from an equal new reading.
//
// Why a handle lives for one connection only: a message that the library receives while it closes a
// connection goes to a queue in RAM, and as long as that queue is not empty, further messages are queued
// and acknowledged before they are handed over. A new handle has an empty queue, and what was in the old
// one was never acknowledged.

#include "gateway/mqtt/mqtt_source.h"

#include <MQTTAsync.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/check.h"
#include "common/env/random.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

constexpr int kConnectTimeout_s = 10;
constexpr auto kStopTimeout = std::chrono::seconds(3);
constexpr std::size_t kKeptProperties = 1024;  // what a message with many may leave allocated
constexpr unsigned char kRetainHandlingDoNotSend = 2;  // MQTT 5, 3.8.3.1

std::string_view view_of(const MQTTLenString& text) {
  return {text.data, static_cast<std::size_t>(std::max(text.len, 0))};
}

std::string failure_text(const MQTTAsync_failureData5* data) {
  if (data == nullptr) return "failed";
  const char* code = MQTTAsync_strerror(data->code);
  const char* reason = MQTTReasonCode_toString(data->reasonCode);
  std::string text = data->message != nullptr ? data->message : code != nullptr ? code : "failed";
  if (data->reasonCode != MQTTREASONCODE_SUCCESS && reason != nullptr) text += fmt::format(" ({})", reason);
  return text;
}

void add_property(MQTTProperties& properties, MQTTPropertyCodes code, std::uint32_t value) {
  MQTTProperty property{};
  property.identifier = code;
  if (code == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM) {
    property.value.integer2 = static_cast<unsigned short>(value);
  } else {
    property.value.integer4 = value;
  }
  CHECK(MQTTProperties_add(&properties, &property) == 0, "property {}", static_cast<int>(code));
}

}  // namespace

struct MqttSource::Impl {
  Impl(MqttOptions given, MqttHandler& receiver) : options(std::move(given)), handler(receiver) {}

  const MqttOptions options;
  MqttHandler& handler;

  enum class Wish { kTake, kPause, kStop };
  enum class Link { kNone, kConnecting, kConnected, kSubscribing, kReady, kDisconnecting };

  std::mutex mutex;  // protects what follows; never held while the library is called (it calls back
                     // under a lock of its own)
  std::condition_variable changed;
  Wish wish = Wish::kTake;
  Link link = Link::kNone;
  bool broken = false;  // this connection is over; its handle is to be destroyed
  std::string trouble;  // why

  std::atomic<bool> ready{false};
  std::atomic<std::uint64_t> connects{0};
  // Who is thrown out as soon as it is connected says so once a minute, too: see settle().
  OncePer connected{std::chrono::minutes(1)};
  OncePer unreachable{std::chrono::minutes(1)};

  // The control thread's only.
  std::thread control;
  MQTTAsync handle = nullptr;
  SeededRandom random{random_u64_from_os()};
  Duration backoff{};
  std::chrono::steady_clock::time_point next_attempt{};
  std::optional<std::chrono::steady_clock::time_point> settled_at;  // unless the connection breaks before
  std::vector<UserProperty> properties;  // the receive thread's only

  void run();
  void connect();
  void subscribe();
  void disconnect();
  void drop_connection(const std::string& why, bool asked_for);
  void settle(std::unique_lock<std::mutex>& lock);
  void set_link(Link now) {
    const std::lock_guard guard(mutex);
    link = now;
    changed.notify_all();
  }
  void set_broken(std::string why) {
    const std::lock_guard guard(mutex);
    broken = true;
    if (trouble.empty()) trouble = std::move(why);
    changed.notify_all();
  }

  static Impl& of(void* context) { return *static_cast<Impl*>(context); }
  static int on_message(void* context, char* topic, int topic_size, MQTTAsync_message* message);
  static void on_connect(void* context, MQTTAsync_successData5* data);
  static void on_subscribed(void* context, MQTTAsync_successData5* data);
};

// ---- The library's threads ---------------------------------------------------------------------------

int MqttSource::Impl::on_message(void* context, char* topic, int topic_size, MQTTAsync_message* message) {
  auto& impl = of(context);
  MqttMessage given;
  // The size is 0 unless the topic has a NUL in it.
  given.topic = topic_size > 0 ? std::string_view(topic, static_cast<std::size_t>(topic_size)) : topic;
  given.payload = {static_cast<const std::uint8_t*>(message->payload),
                   static_cast<std::size_t>(message->payloadlen)};
  impl.properties.clear();
  for (int i = 0; i < message->properties.count; ++i) {
    const auto& property = message->properties.array[i];
    if (property.identifier != MQTTPROPERTY_CODE_USER_PROPERTY) continue;
    impl.properties.push_back({view_of(property.value.data), view_of(property.value.value)});
  }
  given.properties = impl.properties;
  if (message->qos > 0) {
    given.delivery = {static_cast<std::uint16_t>(message->msgid), message->dup != 0};
  }
  impl.handler.on_message(given);
  if (impl.properties.capacity() > kKeptProperties) std::vector<UserProperty>().swap(impl.properties);
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

void MqttSource::Impl::on_connect(void* context, MQTTAsync_successData5* data) {
  auto& impl = of(context);
  const bool session_present = data->alt.connect.sessionPresent != 0;
  impl.handler.on_connected(session_present);
  if (auto turn = impl.connected.turn()) {
    log_info("mqtt", "connected", {{"url", impl.options.url},
                                   {"client_id", impl.options.client_id},
                                   {"session_present", session_present},
                                   {"unsaid", turn.suppressed}});
  }
  impl.connects.fetch_add(1, std::memory_order_relaxed);
  impl.set_link(Link::kConnected);
}

void MqttSource::Impl::on_subscribed(void* context, MQTTAsync_successData5* data) {
  auto& impl = of(context);
  const int count = data->alt.sub.reasonCodeCount;
  for (int i = 0; i < count; ++i) {
    const auto code = count == 1 ? data->reasonCode : data->alt.sub.reasonCodes[i];
    if (code < MQTTREASONCODE_UNSPECIFIED_ERROR) continue;
    const char* reason = MQTTReasonCode_toString(code);
    impl.set_broken(fmt::format("the broker refuses the subscription to {}: {}",
                                impl.options.subscriptions[static_cast<std::size_t>(i)].filter,
                                reason != nullptr ? reason : "unknown reason"));
    return;
  }
  const std::lock_guard guard(impl.mutex);
  if (impl.link == Link::kSubscribing) impl.link = Link::kReady;  // else it is being left already
  impl.changed.notify_all();
}

// ---- The control thread ------------------------------------------------------------------------------

void MqttSource::Impl::connect() {
  set_link(Link::kConnecting);
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
  int rc = MQTTAsync_createWithOptions(&handle, options.url.c_str(), options.client_id.c_str(),
                                       MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
  if (rc != MQTTASYNC_SUCCESS) {
    handle = nullptr;
    return set_broken(fmt::format("no MQTT client for {}: code {}", options.url, rc));
  }
  MQTTAsync_setCallbacks(
      handle, this,
      [](void* context, char* cause) {
        of(context).set_broken(cause != nullptr ? cause : "connection lost");
      },
      &Impl::on_message, nullptr);
  MQTTAsync_setDisconnected(handle, this, [](void* context, MQTTProperties*, MQTTReasonCodes code) {
    const char* reason = MQTTReasonCode_toString(code);
    of(context).set_broken(fmt::format("the broker ended the connection: {}",
                                       reason != nullptr ? reason : "no reason"));
  });
  MQTTProperties connect_properties = MQTTProperties_initializer;
  add_property(connect_properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, 0xffffffffu);  // never
  add_property(connect_properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, options.receive_maximum);
  add_property(connect_properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, options.packet_bytes_max);
  MQTTAsync_connectOptions connect_options = MQTTAsync_connectOptions_initializer5;
  connect_options.keepAliveInterval = options.keep_alive_s;
  connect_options.cleanstart = 0;
  connect_options.connectTimeout = kConnectTimeout_s;
  connect_options.connectProperties = &connect_properties;
  if (!options.username.empty()) connect_options.username = options.username.c_str();
  if (!options.password.empty()) connect_options.password = options.password.c_str();
  connect_options.context = this;
  connect_options.onSuccess5 = &Impl::on_connect;
  connect_options.onFailure5 = [](void* context, MQTTAsync_failureData5* data) {
    of(context).set_broken(failure_text(data));
  };
  rc = MQTTAsync_connect(handle, &connect_options);
  MQTTProperties_free(&connect_properties);
  if (rc != MQTTASYNC_SUCCESS) set_broken(fmt::format("connect: code {}", rc));
}

// After every connect: the session's subscriptions may be of a former configuration, and to subscribe
// again only replaces them. No retained messages: they are not new readings.
void MqttSource::Impl::subscribe() {
  set_link(Link::kSubscribing);
  std::vector<char*> filters;
  std::vector<int> qos;
  std::vector<MQTTSubscribe_options> subscribe_options;
  for (const auto& subscription : options.subscriptions) {
    filters.push_back(const_cast<char*>(subscription.filter.c_str()));
    qos.push_back(subscription.qos);
    MQTTSubscribe_options one = MQTTSubscribe_options_initializer;
    one.retainHandling = kRetainHandlingDoNotSend;
    subscribe_options.push_back(one);
  }
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = this;
  response.onSuccess5 = &Impl::on_subscribed;
  response.onFailure5 = [](void* context, MQTTAsync_failureData5* data) {
    of(context).set_broken(fmt::format("subscribe: {}", failure_text(data)));
  };
  response.subscribeOptions = subscribe_options.front();
  response.subscribeOptionsCount = static_cast<int>(subscribe_options.size());
  response.subscribeOptionsList = subscribe_options.data();
  const int rc = MQTTAsync_subscribeMany(handle, static_cast<int>(filters.size()), filters.data(),
                                         qos.data(), &response);
  if (rc != MQTTASYNC_SUCCESS) set_broken(fmt::format("subscribe: code {}", rc));
}

void MqttSource::Impl::disconnect() {
  set_link(Link::kDisconnecting);
  MQTTAsync_disconnectOptions disconnect_options = MQTTAsync_disconnectOptions_initializer5;
  disconnect_options.timeout = 1000;
  disconnect_options.context = this;
  disconnect_options.onSuccess5 = [](void* context, MQTTAsync_successData5*) {
    of(context).set_broken("disconnected");
  };
  disconnect_options.onFailure5 = [](void* context, MQTTAsync_failureData5*) {
    of(context).set_broken("disconnected");
  };
  const int rc = MQTTAsync_disconnect(handle, &disconnect_options);
  if (rc != MQTTASYNC_SUCCESS) set_broken("disconnected");
}

void MqttSource::Impl::drop_connection(const std::string& why, bool asked_for) {
  if (handle != nullptr) MQTTAsync_destroy(&handle);
  handle = nullptr;
  settled_at.reset();
  const std::lock_guard guard(mutex);
  link = Link::kNone;
  broken = false;
  trouble.clear();
  if (asked_for) {
    backoff = {};
    next_attempt = {};
    return;
  }
  if (auto turn = unreachable.turn()) {
    log_warning("mqtt", "no connection to the MQTT broker, trying again",
                {{"url", options.url}, {"reason", why}, {"unsaid", turn.suppressed}});
  }
  backoff = std::clamp(backoff * 2, options.backoff_min, options.backoff_max);
  const auto jittered = backoff / 2 + Duration(static_cast<std::int64_t>(
                                          random.unit() * static_cast<double>(backoff.count()) / 2));
  next_attempt = std::chrono::steady_clock::now() + jittered;
}

// Waits while the connection stands. Only one that has stood for a while ends the trouble that was before: a broker
// that accepts and throws out at once (another client with the same id, a subscription that it refuses) is asked
// at growing intervals.
void MqttSource::Impl::settle(std::unique_lock<std::mutex>& lock) {
  const auto now = std::chrono::steady_clock::now();
  if (!settled_at) settled_at = now + options.settled_after;
  if (now < *settled_at) {
    changed.wait_until(lock, *settled_at);
    return;
  }
  backoff = {};
  connected.reset();
  unreachable.reset();
  changed.wait(lock);
}

void MqttSource::Impl::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    ready = link == Link::kReady;
    const bool leaving = wish != Wish::kTake;
    if (broken) {
      const auto why = trouble;
      const bool asked_for = leaving || link == Link::kDisconnecting;
      lock.unlock();
      ready = false;
      drop_connection(why, asked_for);
      lock.lock();
    } else if (link == Link::kNone && wish == Wish::kStop) {
      return;
    } else if (link == Link::kNone && wish == Wish::kTake) {
      if (std::chrono::steady_clock::now() < next_attempt) {
        changed.wait_until(lock, next_attempt);
        continue;
      }
      lock.unlock();
      connect();
      lock.lock();
    } else if (leaving && link == Link::kConnecting) {
      // Disconnecting before CONNACK is not in the library's states: wait for its end, or give it up.
      if (changed.wait_for(lock, kStopTimeout) == std::cv_status::timeout) {
        broken = true;
      }
    } else if (leaving && link != Link::kNone && link != Link::kDisconnecting) {
      ready = false;
      lock.unlock();
      disconnect();
      lock.lock();
    } else if (link == Link::kConnected) {
      lock.unlock();
      subscribe();
      lock.lock();
    } else if (link == Link::kDisconnecting) {
      if (changed.wait_for(lock, kStopTimeout) == std::cv_status::timeout) broken = true;
    } else if (link == Link::kReady) {
      settle(lock);
    } else {
      changed.wait(lock);
    }
  }
}

MqttSource::MqttSource(MqttOptions options, MqttHandler& handler)
    : impl_(std::make_unique<Impl>(std::move(options), handler)) {}

MqttSource::~MqttSource() { stop(); }

Result<> MqttSource::start(bool paused) {
  const auto& options = impl_->options;
  if (!options.url.starts_with("tcp://") && !options.url.starts_with("mqtt://")) {
    return fail(Errc::kInvalidArgument,
                fmt::format("mqtt {}: expected tcp://host:port or mqtt://host:port", options.url));
  }
  if (options.subscriptions.empty()) return fail(Errc::kInvalidArgument, "mqtt: nothing to subscribe to");
  for (const auto& [filter, qos] : options.subscriptions) {
    if (qos != 0 && qos != 1) {
      return fail(Errc::kInvalidArgument, fmt::format("mqtt {}: QoS {}, expected 0 or 1", filter, qos));
    }
  }
  // At its default level the library formats a line for every message, and shows it to nobody.
  MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
  if (paused) impl_->wish = Impl::Wish::kPause;
  impl_->control = std::thread([impl = impl_.get()] { impl->run(); });
  return {};
}

void MqttSource::pause() {
  const std::lock_guard guard(impl_->mutex);
  if (impl_->wish == Impl::Wish::kTake) impl_->wish = Impl::Wish::kPause;
  impl_->changed.notify_all();
}

void MqttSource::resume() {
  const std::lock_guard guard(impl_->mutex);
  if (impl_->wish == Impl::Wish::kPause) impl_->wish = Impl::Wish::kTake;
  impl_->changed.notify_all();
}

bool MqttSource::ready() const { return impl_->ready; }
std::uint64_t MqttSource::connects() const { return impl_->connects; }

void MqttSource::stop() {
  {
    const std::lock_guard guard(impl_->mutex);
    impl_->wish = Impl::Wish::kStop;
    impl_->changed.notify_all();
  }
  if (impl_->control.joinable()) impl_->control.join();
}

}  // namespace tributary
