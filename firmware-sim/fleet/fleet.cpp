#include "firmware-sim/fleet/fleet.h"

#include <fmt/format.h>

#include <asio.hpp>
#include <queue>

#include "common/base/check.h"
#include "common/bytes/crc32c.h"
#include "common/env/random.h"
#include "common/telemetry/log.h"
#include "firmware-sim/device/reading.h"
#include "firmware-sim/device/simulated_device.h"
#include "firmware-sim/fleet/latency_histogram.h"
#include "firmware-sim/ledger/ledger.h"
#include "firmware-sim/mqtt/publisher.h"
#include "firmware-sim/recordings/recording.h"

namespace tributary {
namespace {

using mqtt::Outcome;
using mqtt::Publisher;

constexpr int kDevicesMax = 100'000;
constexpr int kInFlightMax = 65'535;
constexpr double kRateMax = 100'000;
constexpr std::size_t kPayloadBytesMax = 16 * 1024 * 1024;
constexpr std::int64_t kOwedMax = 1'000;
constexpr auto kLateStart = std::chrono::seconds(5);  // how long the first connected wait for the last
// QoS 0 has no window, so a flood hands over this many per turn and lets the io_context run.
constexpr int kFloodBurst = 64;

struct Device {
  std::string name, topic;
  std::size_t connection = 0;
  std::int64_t next_seq = 1;
  std::int64_t owed = 0;      // due, not published yet
  std::int64_t scheduled = 0; // due so far
  int in_flight = 0;
  Duration phase{};           // of its schedule, within one interval
};

/// A reading in flight; its index is the MQTT token.
struct Pending {
  std::uint32_t device = 0;
  LedgerEntry entry;
  MonoTime sent;
};

struct Connection {
  std::unique_ptr<Publisher> publisher;
  std::vector<std::uint32_t> devices;
  std::size_t turn = 0;  // the device that publishes first next time
  bool up = false;
};

Result<> check(const FleetOptions& o) {
  const auto range = [](std::string_view name, auto value, auto low, auto high) -> Result<> {
    if (value >= low && value <= high) return {};
    return fail(Errc::kInvalidArgument, fmt::format("{} {}: expected {} to {}", name, value, low, high));
  };
  RETURN_IF_ERROR(range("devices", o.devices, 1, kDevicesMax));
  RETURN_IF_ERROR(range("connections", o.connections, 1, kDevicesMax));
  RETURN_IF_ERROR(range("qos", o.qos, 0, 2));
  RETURN_IF_ERROR(range("in-flight", o.in_flight, 1, kInFlightMax));
  RETURN_IF_ERROR(range("rate", o.rate, 0.0, kRateMax));
  RETURN_IF_ERROR(check_device_prefix(o.device_prefix));
  RETURN_IF_ERROR(range("payload-bytes", o.payload_bytes, std::size_t{0}, kPayloadBytesMax));
  if (o.mqtt_version != 5 && o.mqtt_version != 3)
    return fail(Errc::kInvalidArgument, fmt::format("mqtt-version {}: expected 5, or 3 for 3.1.1", o.mqtt_version));
  if (o.qos == 0 && !o.ledger_path.empty())
    return fail(Errc::kInvalidArgument, "a ledger holds what was acknowledged, and QoS 0 acknowledges nothing: "
                                        "use --qos 1 or 2, or leave --ledger away");
  return {};
}

}  // namespace

struct Fleet::Impl {
  enum class Phase { kConnecting, kPublishing, kDraining, kClosing, kDone };

  // First, so that it outlives the sockets and timers of everything below.
  asio::io_context io{1};
  asio::steady_timer second_timer{io}, due_timer{io}, end_timer{io}, connect_timer{io}, flood_timer{io};
  std::atomic<int> stops{0};

  FleetOptions options;
  mqtt::Address address;
  std::vector<Device> devices;
  std::vector<Connection> connections;
  std::unique_ptr<ValueSource> values;
  const Recording* recording = nullptr;  // owned by values
  std::unique_ptr<LedgerWriter> ledger;
  std::function<void(const FleetStats&)> progress = [](const FleetStats&) {};

  Phase phase = Phase::kConnecting;
  std::optional<Error> failure;
  FleetStats stats;
  LatencyHistogram ack_latency;
  std::vector<Pending> pending;
  std::vector<std::uint64_t> free_tokens;
  MonoTime started{};
  Duration interval{};
  using Due = std::pair<Duration, std::uint32_t>;  // since `started`, device
  std::priority_queue<Due, std::vector<Due>, std::greater<>> schedule;
  std::size_t closed = 0, finished_devices = 0;
  OncePer said_down{std::chrono::minutes(1)};
  bool trouble_said = false;
  std::string values_json, payload;

  void start();
  void on_connected(std::size_t index);
  void on_disconnected(std::size_t index, const std::string& why);
  void begin_publishing();
  void on_due();
  void pump(std::size_t index);
  bool publish_one(Device& device, std::uint32_t index, Publisher& publisher);
  void on_outcome(std::uint64_t token, Outcome outcome, bool resent);
  void every_second();
  void drain();
  void close_all();
  void give_up(Error error);
  void flood_on();
  [[nodiscard]] FleetStats snapshot();
  [[nodiscard]] MonoTime now() const { return system_clock().mono_now(); }
};

void Fleet::Impl::start() {
  interval = options.rate > 0 ? Duration(static_cast<std::int64_t>(1e9 / options.rate)) : Duration(0);
  for (std::size_t i = 0; i < connections.size(); ++i) {
    const auto& first = devices[connections[i].devices.front()];
    mqtt::PublisherOptions o{.address = address, .client_id = first.name, .qos = options.qos,
                             .seed = options.seed + i};
    o.version = options.mqtt_version == 5 ? mqtt::Version::k5 : mqtt::Version::k3_1_1;
    connections[i].publisher = std::make_unique<Publisher>(io, std::move(o), Publisher::Callbacks{
        .on_outcome = [this](std::uint64_t token, Outcome outcome, bool resent) { on_outcome(token, outcome, resent); },
        .on_connected = [this, i] { on_connected(i); },
        .on_disconnected = [this, i](const std::string& why) { on_disconnected(i, why); }});
    connections[i].publisher->start();
  }
  every_second();
  if (options.connect_timeout > Duration(0)) {
    connect_timer.expires_after(options.connect_timeout);
    connect_timer.async_wait([this](asio::error_code error) {
      if (!error && phase == Phase::kConnecting)
        give_up({Errc::kTimeout, fmt::format("MQTT broker {}: {} of {} connections stand after {} s",
                                             options.mqtt_url, stats.connected, connections.size(),
                                             std::chrono::duration<double>(options.connect_timeout).count())});
    });
  }
}

void Fleet::Impl::on_connected(std::size_t index) {
  connections[index].up = true;
  ++stats.connected;
  if (trouble_said && stats.connected == static_cast<int>(connections.size())) {
    log_info("fleet", "all devices are connected", {{"url", options.mqtt_url}});
    trouble_said = false;
  }
  if (phase == Phase::kPublishing) return pump(index);
  if (phase != Phase::kConnecting) return;
  if (stats.connected == static_cast<int>(connections.size())) return begin_publishing();
  if (stats.connected == 1 && options.connect_timeout == Duration(0)) {
    connect_timer.expires_after(kLateStart);
    connect_timer.async_wait([this](asio::error_code error) {
      if (!error && phase == Phase::kConnecting) begin_publishing();
    });
  }
}

void Fleet::Impl::on_disconnected(std::size_t index, const std::string& why) {
  if (std::exchange(connections[index].up, false)) {  // else an attempt has failed
    --stats.connected;
    ++stats.connections_lost;
  }
  if (!said_down.turn()) return;
  trouble_said = true;
  log_warning("fleet", "MQTT broker not reached, trying on",
              {{"url", options.mqtt_url}, {"error", why}, {"connected", stats.connected},
               {"connections", connections.size()}});
}

void Fleet::Impl::begin_publishing() {
  connect_timer.cancel();
  phase = Phase::kPublishing;
  started = now();
  if (options.run_for > Duration(0)) {
    end_timer.expires_after(options.run_for);
    end_timer.async_wait([this](asio::error_code error) {
      if (!error && phase == Phase::kPublishing) drain();
    });
  }
  if (options.rate > 0) {
    for (std::uint32_t i = 0; i < devices.size(); ++i) schedule.emplace(devices[i].phase, i);
    on_due();
  } else {
    for (std::size_t i = 0; i < connections.size(); ++i) pump(i);
    if (options.qos == 0) flood_on();
  }
}

/// QoS 0 has no acknowledgement that would ask for the next message.
void Fleet::Impl::flood_on() {
  if (phase != Phase::kPublishing) return;
  bool any = false;
  for (std::size_t i = 0; i < connections.size(); ++i) {
    any = any || connections[i].publisher->can_publish();
    pump(i);
  }
  if (any) return asio::post(io, [this] { flood_on(); });
  flood_timer.expires_after(std::chrono::milliseconds(1));
  flood_timer.async_wait([this](asio::error_code error) { if (!error) flood_on(); });
}

void Fleet::Impl::on_due() {
  if (phase != Phase::kPublishing) return;
  const auto passed = now() - started;
  while (!schedule.empty() && schedule.top().first <= passed) {
    const auto [due, index] = schedule.top();
    schedule.pop();
    auto& device = devices[index];
    ++device.scheduled;
    if (device.owed < kOwedMax || options.count > 0) ++device.owed;
    else ++stats.skipped;
    pump(device.connection);
    if (phase != Phase::kPublishing) return;
    if (options.count == 0 || device.scheduled < options.count)
      schedule.emplace(device.phase + Duration(device.scheduled * interval.count()), index);
  }
  if (schedule.empty()) return;
  due_timer.expires_after(schedule.top().first - passed);
  due_timer.async_wait([this](asio::error_code error) { if (!error) on_due(); });
}

/// Publishes what the connection's devices owe, one reading a device in turn, while there is room.
void Fleet::Impl::pump(std::size_t index) {
  auto& connection = connections[index];
  auto& publisher = *connection.publisher;
  int burst = options.qos == 0 && options.rate == 0 ? kFloodBurst : std::numeric_limits<int>::max();
  for (std::size_t idle = 0; idle < connection.devices.size() && burst > 0;) {
    if (phase != Phase::kPublishing || !publisher.can_publish()) return;
    const auto device_index = connection.devices[connection.turn];
    connection.turn = (connection.turn + 1) % connection.devices.size();
    auto& device = devices[device_index];
    const bool wants = options.rate > 0 ? device.owed > 0 : options.count == 0 || device.next_seq <= options.count;
    if (!wants || device.in_flight >= options.in_flight) {
      ++idle;
      continue;
    }
    if (!publish_one(device, device_index, publisher)) return;
    idle = 0;
    --burst;
  }
}

bool Fleet::Impl::publish_one(Device& device, std::uint32_t index, Publisher& publisher) {
  const auto wall_ms = system_clock().wall_now_ms();
  values_json.clear();
  if (auto made = values->append_values(index, wall_ms, values_json); !made) {
    give_up(made.error());
    return false;
  }
  build_reading(device.name, device.next_seq, wall_ms, values_json, options.payload_bytes, payload);
  const auto packet_bytes = mqtt::publish_bytes(publisher.version(), device.topic, payload, options.qos);
  if (packet_bytes > publisher.packet_bytes_max()) {
    give_up({Errc::kTooLarge, fmt::format("MQTT broker {}: a reading makes a packet of {} bytes, and it takes {} at most",
                                          options.mqtt_url, packet_bytes, publisher.packet_bytes_max())});
    return false;
  }
  std::uint64_t token = 0;
  if (options.qos > 0) {
    if (free_tokens.empty()) {
      free_tokens.push_back(pending.size());
      pending.emplace_back();
    }
    token = free_tokens.back();
    free_tokens.pop_back();
    pending[token] = {.device = index,
                      .entry = {.seq = device.next_seq, .published_ms = wall_ms,
                                .payload_crc32c = ledger ? crc32c(as_bytes(payload)) : 0,
                                .payload_bytes = static_cast<std::uint32_t>(payload.size())},
                      .sent = now()};
    ++device.in_flight;
    ++stats.in_flight;
  }
  publisher.publish(device.topic, payload, options.qos, token);
  ++stats.published;
  stats.payload_bytes += static_cast<std::int64_t>(payload.size());
  if (options.rate > 0) --device.owed;
  if (device.next_seq++ == options.count) ++finished_devices;
  if (finished_devices == devices.size()) {
    drain();
    return false;
  }
  return true;
}

void Fleet::Impl::on_outcome(std::uint64_t token, Outcome outcome, bool resent) {
  auto& reading = pending[token];
  auto& device = devices[reading.device];
  --device.in_flight;
  --stats.in_flight;
  switch (outcome) {
    case Outcome::kAcknowledged:
      ++stats.acked;
      stats.resent += resent ? 1 : 0;
      ack_latency.add(std::chrono::duration_cast<std::chrono::microseconds>(now() - reading.sent).count());
      if (ledger) {
        reading.entry.acked_ms = system_clock().wall_now_ms();
        reading.entry.resent = resent;
        ledger->record(reading.device + 1, reading.entry);
      }
      break;
    case Outcome::kUnheard: ++stats.unheard; break;
    case Outcome::kRefused: ++stats.refused; break;
    case Outcome::kUnknown: ++stats.unknown; break;
  }
  free_tokens.push_back(token);
  if (phase == Phase::kPublishing) pump(device.connection);
  else if (phase == Phase::kDraining && stats.in_flight == 0) close_all();
}

void Fleet::Impl::every_second() {
  second_timer.expires_after(std::chrono::seconds(1));
  second_timer.async_wait([this](asio::error_code error) {
    // A cancelled timer may have expired already, and come all the same.
    if (error || phase == Phase::kClosing || phase == Phase::kDone) return;
    for (auto& connection : connections) connection.publisher->keep_alive();
    if (ledger)
      if (auto broken = ledger->error()) return give_up(*broken);
    progress(snapshot());
    every_second();
  });
}

void Fleet::Impl::drain() {
  if (phase == Phase::kConnecting) return close_all();
  if (phase != Phase::kPublishing) return;
  phase = Phase::kDraining;
  due_timer.cancel();
  flood_timer.cancel();
  stats.seconds = std::chrono::duration<double>(now() - started).count();
  end_timer.expires_after(options.drain_timeout);
  end_timer.async_wait([this](asio::error_code error) {
    if (error || phase != Phase::kDraining) return;
    log_warning("fleet", "stopped waiting for acknowledgements", {{"in_flight", stats.in_flight}});
    close_all();
  });
  if (stats.in_flight == 0) close_all();
}

void Fleet::Impl::close_all() {
  if (phase == Phase::kClosing || phase == Phase::kDone) return;
  if (phase == Phase::kPublishing) stats.seconds = std::chrono::duration<double>(now() - started).count();
  phase = Phase::kClosing;
  for (auto* timer : {&second_timer, &due_timer, &end_timer, &connect_timer, &flood_timer}) timer->cancel();
  // Posted: this may be a callback of one of the publishers.
  asio::post(io, [this] {
    for (auto& connection : connections)
      connection.publisher->close([this] {
        if (++closed == connections.size()) phase = Phase::kDone;
      });
  });
}

void Fleet::Impl::give_up(Error error) {
  if (!failure) failure = std::move(error);
  close_all();
}

FleetStats Fleet::Impl::snapshot() {
  auto now_stats = stats;
  if (phase == Phase::kPublishing)
    now_stats.seconds = std::chrono::duration<double>(now() - started).count();
  now_stats.devices = static_cast<int>(devices.size());
  now_stats.connections = static_cast<int>(connections.size());
  now_stats.ack_p50_us = ack_latency.percentile_us(0.50);
  now_stats.ack_p99_us = ack_latency.percentile_us(0.99);
  if (recording != nullptr) now_stats.malformed = recording->malformed();
  return now_stats;
}

Fleet::Fleet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Fleet::~Fleet() = default;

Result<std::unique_ptr<Fleet>> Fleet::create(FleetOptions options) {
  RETURN_IF_ERROR(check(options));
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->address, mqtt::parse_url(options.mqtt_url));
  impl->connections.resize(static_cast<std::size_t>(std::min(options.devices, options.connections)));
  SeededRandom random(options.seed);
  std::vector<LedgerDevice> ledger_devices;
  for (int i = 0; i < options.devices; ++i) {
    Device device{.name = device_name(options.device_prefix, static_cast<std::size_t>(i + 1))};
    ASSIGN_OR_RETURN(device.topic, topic_of(options.topic, device.name));
    device.connection = static_cast<std::size_t>(i) % impl->connections.size();
    if (options.rate > 0)
      device.phase = Duration(static_cast<std::int64_t>(random.unit() * 1e9 / options.rate));
    ledger_devices.push_back({i + 1, device.name, device.topic});
    impl->connections[device.connection].devices.push_back(static_cast<std::uint32_t>(i));
    impl->devices.push_back(std::move(device));
  }
  if (options.replay_path.empty()) {
    impl->values = std::make_unique<SimulatedValues>(impl->devices.size(), options.seed);
  } else {
    RecordingOptions recording_options;
    recording_options.on_malformed = [](const std::string& what) { log_warning("replay", what); };
    ASSIGN_OR_RETURN(auto recording, Recording::open(options.replay_path, std::move(recording_options)));
    impl->recording = recording.get();
    impl->values = std::make_unique<ReplayedValues>(std::move(recording));
  }
  if (!options.ledger_path.empty()) {
    const LedgerMeta meta{.seed = options.seed, .topic_pattern = options.topic, .qos = options.qos,
                          .created_ms = system_clock().wall_now_ms()};
    ASSIGN_OR_RETURN(impl->ledger, LedgerWriter::create(options.ledger_path, meta, std::move(ledger_devices)));
  }
  impl->options = std::move(options);
  return std::unique_ptr<Fleet>(new Fleet(std::move(impl)));
}

void Fleet::on_progress(std::function<void(const FleetStats&)> callback) { impl_->progress = std::move(callback); }

Result<FleetStats> Fleet::run() {
  auto& impl = *impl_;
  CHECK(impl.phase == Impl::Phase::kConnecting && !impl.connections.front().publisher, "run() twice");
  impl.start();
  if (impl.stops.load() > 0) impl.drain();
  impl.io.run();
  auto result = impl.snapshot();
  if (impl.ledger) {
    if (auto closed = impl.ledger->close(); !closed && !impl.failure) impl.failure = closed.error();
  }
  if (impl.failure) return tl::unexpected<Error>(*impl.failure);
  return result;
}

void Fleet::stop() {
  const int before = impl_->stops.fetch_add(1);
  asio::post(impl_->io, [impl = impl_.get(), before] {
    if (before == 0) impl->drain();
    else impl->close_all();
  });
}

}  // namespace tributary
