#include "gateway/pipeline/forwarder.h"

#include "common/base/check.h"
#include "common/record/partitioner.h"
#include "gateway/pipeline/forwarder_state.h"

namespace tributary {
namespace {

constexpr auto kHousekeepingInterval = std::chrono::seconds(1);
constexpr auto kShrinkRetry = std::chrono::minutes(1);
constexpr auto kBufferRetry = std::chrono::seconds(1);
constexpr std::size_t kWakeBytes = 64 << 10;
constexpr std::size_t kReadMax = 4096;
constexpr int kSealsPerStep = 16;
/// Bytes of freshly sealed batches that stay in memory until they are offered or spilled.
constexpr std::size_t kCachedBytesMax = 2 << 20;

}  // namespace

Forwarder::Forwarder(ForwarderOptions options, const RouteTable& routes, Intake& intake,
                     FlashBuffer& buffer, UplinkPort& uplink, const Clock& clock,
                     GatewayMetrics& metrics, std::function<void(bool)> set_paused)
    : options_(options),
      routes_(routes),
      intake_(intake),
      buffer_(buffer),
      uplink_(uplink),
      clock_(clock),
      metrics_(metrics),
      pressure_({options.intake_bytes_max, options.buffer_bytes_max, options.intake_room_min}, intake, buffer,
                metrics.mqtt_paused, std::move(set_paused)),
      sealer_(options.sealer) {}

Forwarder::~Forwarder() = default;

// ---- Start ------------------------------------------------------------------------------------------

Result<> Forwarder::begin() {
  RETURN_IF_ERROR(tie());
  for (const auto& route : routes_.routes()) topic_of(route.topic);
  RETURN_IF_ERROR(reconcile());
  pressure_.update();
  return {};
}

// The nonce tells whether intake and buffer belong together. An intake that was lost (tmpfs, power cut)
// takes the newest sequences with it, so a new epoch is begun, on flash, before anything is sealed. One on
// disk that comes back after a power cut may have lost them as well. It is unbound first: else a crash
// after the new epoch would leave it behind as another's.
Result<> Forwarder::tie() {
  auto bound = intake_.binding();
  bool together = bound && bound->nonce == buffer_.identity().intake_nonce;
  if (!together && bound && !buffer_.fresh() && intake_.level().bytes() > 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the intake holds {} readings and {} batches of another data folder: start with "
                            "that one (--data), or with another --intake",
                            intake_.level().unsealed_readings, intake_.level().sealed_batches));
  }
  if (together && intake_.is_of_former_boot()) {
    RETURN_IF_ERROR(intake_.unbind());
    bound.reset();
    together = false;
  }
  if (!together && !buffer_.fresh()) {
    RETURN_IF_ERROR(buffer_.begin_epoch());
    log_info("pipeline", "the intake is new or of a former boot, a new producer epoch begins",
             {{"epoch", buffer_.identity().epoch}});
  }
  const auto& identity = buffer_.identity();
  const IntakeBinding binding{identity.intake_nonce, identity.producer_id, identity.epoch};
  if (bound == binding) return {};
  ASSIGN_OR_RETURN(const auto continuations, buffer_.continuations());
  return intake_.bind(binding, continuations, buffer_.last_id_taken());
}

Result<> Forwarder::reconcile() {
  for (const auto& destination : buffer_.destinations()) {
    partition_of(destination).flash_last = buffer_.last_id();
  }
  ASSIGN_OR_RETURN(const auto acked, intake_.acked_on_flash());
  acked_on_flash_.insert(acked.begin(), acked.end());
  const auto now = clock_.mono_now();
  RETURN_IF_ERROR(remove_acked_from_flash(now, true));

  // Committed on flash, and not yet removed from tmpfs when the process ended; or in the log: a batch goes to
  // flash with all of its partition, so that one whose successor is there was acknowledged, which only an
  // intake of a former boot does not know.
  std::vector<BatchId> moved;
  ASSIGN_OR_RETURN(const auto sealed, intake_.sealed());
  for (const auto& info : sealed) {
    bool done = false;
    ASSIGN_OR_RETURN([[maybe_unused]] const auto last,
                     buffer_.scan(info.id - 1, INT64_MAX, [&](const SealedBatchInfo& found) {
                       done = found.id == info.id || found.destination == info.destination;
                       return !done;
                     }));
    if (done) {
      moved.push_back(info.id);
      continue;
    }
    auto& partition = partition_of(info.destination);
    partition.waiting.push_back(info.id);
    const auto oldest = sealer_.age_known_since(info.oldest_received, now);
    tmpfs_.emplace(info.id, TmpfsBatch{&partition, info, oldest, {}});
  }
  // Which were sealed together is not known any more.
  auto oldest = MonoTime::max();
  for (auto batch = tmpfs_.rbegin(); batch != tmpfs_.rend(); ++batch) {
    oldest = std::min(oldest, batch->second.sealed_with_oldest);
    batch->second.sealed_with_oldest = oldest;
  }
  if (!moved.empty()) RETURN_IF_ERROR(intake_.remove_sealed(moved));
  return {};
}

Forwarder::Topic& Forwarder::topic_of(std::string_view name) {
  const auto found = topics_.find(name);
  if (found != topics_.end()) return *found->second;
  auto topic = std::make_unique<Topic>();
  topic->name = name;
  std::int32_t partitions = Route{}.partitions;
  for (const auto& route : routes_.routes()) {
    if (route.topic == name) partitions = route.partitions;
  }
  const auto persisted = buffer_.mapping(topic->name);
  topic->mapping = persisted.value_or(PartitionMapping{partitions, partitions});
  topic->mapping_persisted = persisted.has_value();
  uplink_.want_topic(topic->name, topic->mapping.existing);
  return *topics_.emplace(topic->name, std::move(topic)).first->second;
}

Forwarder::Partition& Forwarder::partition_of(const TopicPartition& destination) {
  const auto found = partitions_.find(destination);
  if (found != partitions_.end()) return *found->second;
  auto partition = std::make_unique<Partition>();
  partition->destination = destination;
  partition->topic = &topic_of(destination.topic);
  order_.push_back(partition.get());
  return *partitions_.emplace(destination, std::move(partition)).first->second;
}

// ---- Step -------------------------------------------------------------------------------------------

void Forwarder::acked(BatchId id) { acks_.push_back(id); }
void Forwarder::setback(BatchId id, Setback setback, std::string reason) {
  setbacks_.emplace_back(id, setback, std::move(reason));
}

void Forwarder::reachable(bool reachable) {
  reachable_ = reachable;
  metrics_.cluster_connected.set(reachable ? 1 : 0);
}

Result<MonoTime> Forwarder::step() {
  const auto now = clock_.mono_now();
  more_to_scan_ = false;
  RETURN_IF_ERROR(apply_acks(now));
  apply_setbacks();
  RETURN_IF_ERROR(settle_topics());
  RETURN_IF_ERROR(read_and_seal(now));
  RETURN_IF_ERROR(offer());
  RETURN_IF_ERROR(spill(now, false));
  RETURN_IF_ERROR(remove_acked_from_flash(now, false));
  pressure_.update();
  if (now >= next_housekeeping_) housekeep(now);
  return next_time(now);
}

MonoTime Forwarder::next_time(MonoTime now) {
  if (more_to_scan_) return now;
  auto next = std::min(next_housekeeping_, sealer_.due(load()));
  if (!tmpfs_.empty()) {
    const auto due = tmpfs_.begin()->second.sealed_with_oldest + sealer_.seal_age();
    next = std::min(next, std::max(due, spill_retry_));
  }
  return next;
}

std::size_t Forwarder::wake_bytes() const { return sealer_.empty() ? 1 : kWakeBytes; }

bool Forwarder::drained() const {
  return sealer_.empty() && tmpfs_.empty() && intake_.level().unsealed_readings == 0;
}

// ---- Readings to batches -----------------------------------------------------------------------------

UplinkLoad Forwarder::load() {
  if (!reachable_) return UplinkLoad::kDown;
  bool idle = false;
  sealer_.visit_destinations([&](const TopicPartition& destination) {
    const auto& partition = partition_of(destination);
    idle = idle || (partition.topic->count_known && !partition.topic->rehoming && partition.idle());
  });
  return idle ? UplinkLoad::kIdle : UplinkLoad::kBusy;
}

Result<> Forwarder::read_and_seal(MonoTime now) {
  for (int seals = 0; seals < kSealsPerStep; ++seals) {
    bool full = false;
    ASSIGN_OR_RETURN(const auto count, intake_.read(kReadMax, [&](ReadingId id, const ReadingView& reading) {
      const auto& mapping = topic_of(reading.topic).mapping;
      const auto hashed = partition_of_key(as_bytes(reading.key), mapping.hashed);
      full = !sealer_.add(id, reading, PartitionIndex(hashed.value() % mapping.existing), now);
      return !full;
    }));
    if (sealer_.empty()) return {};
    if (!full && !hurrying_ && sealer_.due(load()) > now) return {};
    RETURN_IF_ERROR(seal());
    if (!full && count < kReadMax) return {};
  }
  more_to_scan_ = true;
  return {};
}

Result<> Forwarder::seal() {
  const auto last = sealer_.last();
  const auto readings = sealer_.size();
  const auto oldest = sealer_.oldest_received().value();
  const auto binding = intake_.binding().value();
  ASSIGN_OR_RETURN(auto batches,
                   sealer_.seal({binding.producer_id, binding.epoch, intake_.next_batch_id(),
                                 [this](const TopicPartition& destination) {
                                   return intake_.next_sequence(destination);
                                 }}));
  RETURN_IF_ERROR(intake_.seal(last, batches));
  metrics_.sealed.inc(readings);
  metrics_.sealed_batches.inc(batches.size());
  for (auto& [info, bytes] : batches) {
    metrics_.sealed_bytes.inc(bytes.size());
    auto& partition = partition_of(info.destination);
    if (!partition.topic->mapping_persisted) persist_mapping(*partition.topic);
    partition.waiting.push_back(info.id);
    TmpfsBatch batch{&partition, info, oldest, {}};
    if (cached_bytes_ + bytes.size() <= kCachedBytesMax) {
      cached_bytes_ += bytes.size();
      batch.bytes = std::move(bytes);
    }
    tmpfs_.emplace(info.id, std::move(batch));
  }
  return {};
}

// Once for a topic: what its keys are mapped to must outlive a power cut that its batches outlive.
void Forwarder::persist_mapping(Topic& topic) {
  if (clock_.mono_now() < topic.retry) return;
  if (auto set = buffer_.set_mapping(topic.name, topic.mapping); !set) {
    topic.retry = buffer_failed("the partition count is not on flash", set.error());
    return;
  }
  topic.mapping_persisted = true;
}

// ---- Quiet work ---------------------------------------------------------------------------------------

void Forwarder::housekeep(MonoTime now) {
  next_housekeeping_ = now + kHousekeepingInterval;
  const auto level = intake_.level();
  metrics_.intake_bytes.set(static_cast<double>(level.bytes()));
  metrics_.intake_readings.set(static_cast<double>(level.unsealed_readings));
  metrics_.buffer_bytes.set(static_cast<double>(buffer_.used_bytes()));
  const auto oldest_ms = buffer_.oldest_received_ms();
  const auto age_ms = oldest_ms ? std::max<WallMs>(0, clock_.wall_now_ms() - *oldest_ms) : 0;
  metrics_.buffer_oldest_age_seconds.set(static_cast<double>(age_ms) / 1000);
  std::size_t in_flight_on_flash = 0;
  for (const auto& [id, partition] : in_flight_) in_flight_on_flash += tmpfs_.contains(id) ? 0 : 1;
  metrics_.unacked_batches.set(static_cast<double>(tmpfs_.size() + in_flight_on_flash));
  if (now < shrink_retry_) return;
  if (const auto shrunk = buffer_.give_space_back(); !shrunk) {
    shrink_retry_ = buffer_failed("no space is given back", shrunk.error()) + kShrinkRetry;
  }
  if (const auto shrunk = intake_.give_space_back(); !shrunk) {
    if (auto turn = intake_trouble_.turn()) {
      log_warning("pipeline", "the intake gives no space back",
                  {{"reason", shrunk.error().message}, {"unsaid", turn.suppressed}});
    }
  }
}

// Says so, and when to try again.
MonoTime Forwarder::buffer_failed(const char* what, const Error& error) {
  metrics_.buffer_errors.inc();
  if (auto turn = buffer_trouble_.turn()) {
    log_error("pipeline", "the flash buffer fails, trying again",
              {{"consequence", what}, {"reason", error.message}, {"unsaid", turn.suppressed}});
  }
  return clock_.mono_now() + kBufferRetry;
}

}  // namespace tributary
