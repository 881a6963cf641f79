#include "gateway/intake/intake.h"

#include <sys/statvfs.h>

#include "common/base/check.h"
#include "gateway/intake/intake_state.h"
#include "gateway/intake/user_properties.h"

namespace tributary {
namespace {

/// So many rows are read under one hold of the mutex: MQTT's thread waits no longer than this.
constexpr std::size_t kReadChunk = 256;
/// What a reading with many user properties may leave allocated.
constexpr std::size_t kKeptProperties = 1024;

std::uint64_t content_hash_of(const ReadingView& reading, ByteView properties) {
  const std::hash<std::string_view> hash;
  std::uint64_t h = hash(reading.mqtt_topic);
  for (const ByteView part : {reading.payload, properties}) {
    h = h * 0x9e3779b97f4a7c15ull + hash(as_string_view(part));
  }
  return h;
}

std::int64_t nanoseconds(MonoTime time) { return time.time_since_epoch().count(); }

}  // namespace

Intake::Intake(std::unique_ptr<State> state) : state_(std::move(state)) {}
Intake::~Intake() = default;

Result<std::int64_t> Intake::State::topic_id(std::string_view name) {
  if (const auto found = topic_ids.find(name); found != topic_ids.end()) return found->second;
  insert_topic.bind(1, name);
  ASSIGN_OR_RETURN(const bool row, insert_topic.step());
  CHECK(row, "INSERT RETURNING gives a row");
  const auto id = insert_topic.integer(0);
  // RETURNING rows come before the statement ends; it commits at its end.
  ASSIGN_OR_RETURN(const bool more, insert_topic.step());
  CHECK(!more, "one row");
  topic_names.emplace(id, name);
  topic_ids.emplace(name, id);
  return id;
}

Result<StoreOutcome> Intake::store(const ReadingView& reading, Delivery delivery) {
  const Arrival arrival{reading, delivery};
  std::vector<StoreOutcome> outcomes;
  RETURN_IF_ERROR(store({&arrival, 1}, outcomes));
  return outcomes.front();
}

Result<> Intake::store(std::span<const Arrival> arrivals, std::vector<StoreOutcome>& outcomes) {
  auto& s = *state_;
  bool wake = false;
  outcomes.clear();
  {
    const std::lock_guard guard(s.mutex);
    s.storing.clear();
    // New topics have their own commits: what is known of them must not be undone.
    for (const auto& arrival : arrivals) RETURN_IF_ERROR(s.topic_id(arrival.reading.topic));
    ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
    RETURN_IF_ERROR(s.drop_settled());
    for (const auto& arrival : arrivals) {
      ASSIGN_OR_RETURN(const auto outcome, s.store(arrival));
      outcomes.push_back(outcome);
    }
    RETURN_IF_ERROR(transaction.commit());
    s.settled.clear();
    s.note_stored();
    if (s.wake_at_bytes > 0 && s.unread_bytes >= s.wake_at_bytes) {
      s.wake_at_bytes = 0;
      wake = true;
    }
  }
  if (wake) s.wake();
  return {};
}

// Inside the transaction of store(), which may yet fail: nothing is noted but in `storing`.
Result<StoreOutcome> Intake::State::store(const Arrival& arrival) {
  const auto& [reading, delivery] = arrival;
  encode_user_properties(reading.properties, properties_scratch);
  const auto hash = delivery.packet_id == 0 ? 0 : content_hash_of(reading, properties_scratch);
  if (is_redelivery(delivery, hash)) return StoreOutcome::kRedelivery;
  ASSIGN_OR_RETURN(const auto topic, topic_id(reading.topic));
  const auto id = newest.value() + static_cast<std::int64_t>(storing.size()) + 1;
  RETURN_IF_ERROR(insert_reading.bind(1, id)
                      .bind(2, topic)
                      .bind(3, std::int64_t{delivery.packet_id})
                      .bind(4, static_cast<std::int64_t>(hash))
                      .bind(5, reading.received_ms)
                      .bind(6, nanoseconds(reading.received))
                      .bind(7, as_bytes(reading.key))
                      .bind(8, as_bytes(reading.mqtt_topic))
                      .bind(9, ByteView(properties_scratch))
                      .bind(10, reading.payload)
                      .run());
  if (delivery.packet_id != 0) {
    RETURN_IF_ERROR(insert_delivery.bind(1, std::int64_t{delivery.packet_id})
                        .bind(2, id)
                        .bind(3, static_cast<std::int64_t>(hash))
                        .run());
  }
  const auto size = reading.key.size() + reading.mqtt_topic.size() + properties_scratch.size() +
                    reading.payload.size() + kRowOverhead;
  storing.push_back({delivery.packet_id, hash, static_cast<std::uint32_t>(size)});
  return StoreOutcome::kStored;
}

bool Intake::State::is_redelivery(Delivery delivery, std::uint64_t hash) const {
  if (!delivery.dup) return false;
  const auto newest_of_id = std::find_if(storing.rbegin(), storing.rend(), [&](const Stored& stored) {
    return stored.packet_id == delivery.packet_id;
  });
  if (newest_of_id != storing.rend()) return newest_of_id->hash == hash && delivery.packet_id != 0;
  return deliveries.is_redelivery(delivery, hash);
}

void Intake::State::note_stored() {
  for (const auto& [packet_id, hash, size] : storing) {
    newest = newest + 1;
    deliveries.remember(newest, packet_id, hash);
    unsealed_sizes.push_back(size);
    unsealed_bytes += size;
    unread_bytes += size;
  }
}

Result<> Intake::forget_deliveries() {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  RETURN_IF_ERROR(s.database.execute("DELETE FROM deliveries"));
  s.deliveries.clear();
  s.settled.clear();
  return {};
}

void Intake::settle(std::span<const std::uint16_t> packet_ids, ReadingId up_to) {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  for (const auto packet_id : packet_ids) {
    if (s.deliveries.settle(packet_id, up_to)) s.settled.push_back(packet_id);
  }
}

// Inside the transaction of store(), before its own: a packet id may be there again.
Result<> Intake::State::drop_settled() {
  for (const auto packet_id : settled) {
    RETURN_IF_ERROR(delete_delivery.bind(1, std::int64_t{packet_id}).run());
  }
  return {};
}

ReadingId Intake::newest() const {
  const std::lock_guard guard(state_->mutex);
  return state_->newest;
}

std::optional<IntakeBinding> Intake::binding() const {
  const std::lock_guard guard(state_->mutex);
  if (!state_->is_bound) return std::nullopt;
  return state_->bound;
}

bool Intake::is_of_former_boot() const {
  const auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  if (!s.is_bound || (s.on_tmpfs && s.bound_in_boot.empty())) return false;
  return s.bound_in_boot.empty() || s.bound_in_boot != s.boot_id;
}

Result<> Intake::unbind() {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  RETURN_IF_ERROR(s.database.execute("DELETE FROM acked_on_flash; UPDATE state SET bound = 0"));
  RETURN_IF_ERROR(transaction.commit());
  s.is_bound = false;
  return {};
}

Result<> Intake::bind(const IntakeBinding& binding, const std::vector<NextSequence>& sequences,
                      BatchId last_id) {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  const auto next_id = std::max(s.next_batch_id, last_id + 1);
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  RETURN_IF_ERROR(s.set_boot.bind(1, s.boot_id).run());
  RETURN_IF_ERROR(s.database.execute("UPDATE destinations SET next_sequence = 0"));
  if (s.is_bound && s.bound.nonce != binding.nonce) {
    RETURN_IF_ERROR(s.database.execute("DELETE FROM acked_on_flash"));  // of another flash buffer
  }
  std::map<TopicPartition, State::Destination> continued;
  for (const auto& next : sequences) {
    ASSIGN_OR_RETURN(const auto row, s.destination_row(next.destination));
    RETURN_IF_ERROR(
        s.set_sequence.bind(1, std::int64_t{next.sequence.value()}).bind(2, row).run());
    continued[next.destination] = {row, next.sequence};
  }
  RETURN_IF_ERROR(s.database.execute(
      fmt::format("UPDATE state SET bound = 1, nonce = {}, producer_id = {}, epoch = {}, next_batch_id = {}",
                  static_cast<std::int64_t>(binding.nonce), binding.producer_id, binding.epoch, next_id)
          .c_str()));
  RETURN_IF_ERROR(transaction.commit());
  for (auto& [destination, entry] : s.destinations) entry.next_sequence = Sequence(0);
  for (const auto& [destination, entry] : continued) s.destinations[destination] = entry;
  s.bound = binding;
  s.is_bound = true;
  s.bound_in_boot = s.boot_id;
  s.next_batch_id = next_id;
  return {};
}

Result<std::size_t> Intake::read(std::size_t count_max,
                                 const std::function<bool(ReadingId, const ReadingView&)>& take) {
  auto& s = *state_;
  std::size_t count = 0;
  bool more = true;
  while (more && count < count_max) {
    const std::lock_guard guard(s.mutex);
    if (s.read_up_to == s.newest) break;
    s.select_readings.bind(1, s.read_up_to.value())
        .bind(2, static_cast<std::int64_t>(std::min(count_max - count, kReadChunk)));
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, s.select_readings.step());
      if (!row) break;
      auto& columns = s.select_readings;
      const ReadingId id(columns.integer(0));
      ReadingView reading;
      reading.topic = s.topic_names[columns.integer(1)];
      reading.received_ms = columns.integer(2);
      reading.received = MonoTime(Duration(columns.integer(3)));
      reading.key = as_string_view(columns.blob(4));
      reading.mqtt_topic = as_string_view(columns.blob(5));
      if (auto decoded = decode_user_properties(columns.blob(6), s.decoded_scratch); !decoded) {
        s.select_readings.reset();
        return tl::unexpected<Error>(std::move(decoded).error());
      }
      reading.properties = s.decoded_scratch;
      reading.payload = columns.blob(7);
      more = take(id, reading);
      if (!more) {
        s.select_readings.reset();
        break;
      }
      s.read_up_to = id;
      s.unread_bytes -= s.unsealed_sizes[static_cast<std::size_t>(id - s.sealed_up_to) - 1];
      ++count;
    }
  }
  if (s.decoded_scratch.capacity() > kKeptProperties) std::vector<UserProperty>().swap(s.decoded_scratch);
  return count;
}

ReadingId Intake::sealed_up_to() const {
  const std::lock_guard guard(state_->mutex);
  return state_->sealed_up_to;
}

Sequence Intake::next_sequence(const TopicPartition& destination) const {
  const std::lock_guard guard(state_->mutex);
  const auto found = state_->destinations.find(destination);
  return found == state_->destinations.end() ? Sequence(0) : found->second.next_sequence;
}

BatchId Intake::next_batch_id() const {
  const std::lock_guard guard(state_->mutex);
  return state_->next_batch_id;
}

Result<std::int64_t> Intake::State::destination_row(const TopicPartition& destination) {
  if (const auto found = destinations.find(destination);
      found != destinations.end() && found->second.row != 0) {
    return found->second.row;
  }
  insert_destination.bind(1, destination.topic).bind(2, std::int64_t{destination.partition.value()});
  ASSIGN_OR_RETURN(const bool row, insert_destination.step());
  CHECK(row, "INSERT RETURNING gives a row");
  const auto id = insert_destination.integer(0);
  ASSIGN_OR_RETURN(const bool more, insert_destination.step());
  CHECK(!more, "one row");
  return id;
}

Result<> Intake::seal(ReadingId last, const std::vector<SealedBatch>& batches) {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  CHECK(s.is_bound, "sealing needs a producer");
  CHECK(s.sealed_up_to <= last && last <= s.read_up_to, "{} <= {} <= {}", s.sealed_up_to, last,
        s.read_up_to);
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  std::map<TopicPartition, State::Destination> advanced_to;
  auto next_id = s.next_batch_id;
  for (const auto& batch : batches) {
    const auto& info = batch.info;
    CHECK(info.id == next_id && info.epoch == s.bound.epoch && info.producer_id == s.bound.producer_id,
          "batch {} of epoch {}, expected {} of {}", info.id, info.epoch, next_id, s.bound.epoch);
    auto [entry, first] = advanced_to.try_emplace(info.destination);
    if (first) {
      entry->second = s.destinations[info.destination];
      ASSIGN_OR_RETURN(entry->second.row, s.destination_row(info.destination));
    }
    auto& [row, next_sequence] = entry->second;
    CHECK(next_sequence == info.base_sequence, "{}: sequence {}, expected {}", info.destination,
          info.base_sequence, next_sequence);
    RETURN_IF_ERROR(s.insert_sealed.bind(1, info.id.value())
                        .bind(2, row)
                        .bind(3, info.producer_id.value())
                        .bind(4, std::int64_t{info.epoch.value()})
                        .bind(5, std::int64_t{info.base_sequence.value()})
                        .bind(6, std::int64_t{info.record_count})
                        .bind(7, std::int64_t{info.payload_bytes})
                        .bind(8, info.oldest_received_ms)
                        .bind(9, nanoseconds(info.oldest_received))
                        .bind(10, batch.bytes.view())
                        .run());
    next_sequence = advanced(info.base_sequence, info.record_count);
    RETURN_IF_ERROR(s.set_sequence.bind(1, std::int64_t{next_sequence.value()}).bind(2, row).run());
    ++next_id;
  }
  RETURN_IF_ERROR(s.set_cursor.bind(1, last.value()).bind(2, next_id.value()).run());
  RETURN_IF_ERROR(s.drop_readings.bind(1, last.value()).run());
  RETURN_IF_ERROR(transaction.commit());
  for (const auto& [destination, entry] : advanced_to) s.destinations[destination] = entry;
  s.next_batch_id = next_id;
  s.note_sealed(last, batches);
  return {};
}

void Intake::State::note_sealed(ReadingId last, const std::vector<SealedBatch>& batches) {
  for (; sealed_up_to < last; ++sealed_up_to) {
    unsealed_bytes -= unsealed_sizes.front();
    unsealed_sizes.pop_front();
  }
  for (const auto& batch : batches) {
    sealed_sizes.emplace(batch.info.id, batch.bytes.size());
    sealed_bytes += batch.bytes.size();
  }
}

Result<std::vector<SealedBatchInfo>> Intake::sealed() const {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  ASSIGN_OR_RETURN(auto rows, s.database.prepare(
                       "SELECT s.id, d.topic, d.partition, s.producer_id, s.epoch, s.base_sequence,"
                       " s.record_count, s.payload_bytes, length(s.bytes), s.received_ms, s.received_ns"
                       " FROM sealed s JOIN destinations d ON d.id = s.destination ORDER BY s.id"));
  std::vector<SealedBatchInfo> infos;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return infos;
    auto& info = infos.emplace_back();
    info.id = BatchId(rows.integer(0));
    info.destination = {std::string(rows.text(1)),
                        PartitionIndex(static_cast<std::int32_t>(rows.integer(2)))};
    info.producer_id = ProducerId(rows.integer(3));
    info.epoch = ProducerEpoch(static_cast<std::int16_t>(rows.integer(4)));
    info.base_sequence = Sequence(static_cast<std::int32_t>(rows.integer(5)));
    info.record_count = static_cast<std::int32_t>(rows.integer(6));
    info.payload_bytes = static_cast<std::int32_t>(rows.integer(7));
    info.size = static_cast<std::int32_t>(rows.integer(8));
    info.oldest_received_ms = rows.integer(9);
    info.oldest_received = MonoTime(Duration(rows.integer(10)));
  }
}

Result<SharedBytes> Intake::sealed_bytes(BatchId id) const {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  s.select_bytes.bind(1, id.value());
  ASSIGN_OR_RETURN(const bool row, s.select_bytes.step());
  if (!row) return fail(Errc::kNotFound, fmt::format("no sealed batch {} in the intake", id));
  SharedBytes bytes(to_bytes(s.select_bytes.blob(0)));
  s.select_bytes.reset();
  return bytes;
}

Result<> Intake::remove_sealed(const std::vector<BatchId>& ids,
                               const std::vector<BatchId>& acked_on_flash) {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  for (const auto id : ids) RETURN_IF_ERROR(s.delete_sealed.bind(1, id.value()).run());
  for (const auto id : acked_on_flash) RETURN_IF_ERROR(s.insert_acked.bind(1, id.value()).run());
  RETURN_IF_ERROR(transaction.commit());
  for (const auto id : ids) {
    const auto found = s.sealed_sizes.find(id);
    if (found == s.sealed_sizes.end()) continue;
    s.sealed_bytes -= found->second;
    s.sealed_sizes.erase(found);
  }
  return {};
}

Result<std::vector<BatchId>> Intake::acked_on_flash() const {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  ASSIGN_OR_RETURN(auto rows, s.database.prepare("SELECT id FROM acked_on_flash ORDER BY id"));
  std::vector<BatchId> ids;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return ids;
    ids.emplace_back(rows.integer(0));
  }
}

Result<> Intake::forget_acked_on_flash(const std::vector<BatchId>& ids) {
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  for (const auto id : ids) RETURN_IF_ERROR(s.delete_acked.bind(1, id.value()).run());
  return transaction.commit();
}

Result<> Intake::give_space_back() {
  constexpr std::int64_t kWorthwhileBytes = 8 << 20;
  constexpr std::size_t kQuietBytes = 1 << 20;
  auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  if (s.unsealed_bytes + s.sealed_bytes > kQuietBytes) return {};
  ASSIGN_OR_RETURN(const auto free_pages, s.database.integer("PRAGMA freelist_count"));
  if (free_pages * kPageBytes < kWorthwhileBytes) return {};
  RETURN_IF_ERROR(s.database.execute("VACUUM"));
  return s.database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

bool Intake::wake_after(std::size_t bytes) {
  const std::lock_guard guard(state_->mutex);
  if (state_->unread_bytes >= bytes) return false;
  state_->wake_at_bytes = bytes;
  return true;
}

void Intake::set_wake(std::function<void()> wake) { state_->wake = std::move(wake); }

IntakeLevel Intake::level() const {
  const auto& s = *state_;
  const std::lock_guard guard(s.mutex);
  return {s.unsealed_bytes, s.unsealed_sizes.size(), s.sealed_bytes, s.sealed_sizes.size()};
}

std::size_t Intake::room_bytes() const {
  const auto& s = *state_;
  struct statvfs status {};
  // An unknown room is none to wait for: the level alone decides then.
  if (statvfs(s.folder.c_str(), &status) != 0) return SIZE_MAX;
  const auto in_file_system = static_cast<std::size_t>(status.f_bavail) * status.f_frsize;
  const std::lock_guard guard(s.mutex);
  const auto free_pages = state_->database.integer("PRAGMA freelist_count");
  return in_file_system + static_cast<std::size_t>(free_pages.value_or(0) * kPageBytes);
}

}  // namespace tributary
