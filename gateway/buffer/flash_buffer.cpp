#include "gateway/buffer/flash_buffer.h"

#include <limits>

#include "common/base/check.h"
#include "common/env/random.h"
#include "common/record/record_batch.h"
#include "gateway/buffer/flash_buffer_state.h"

namespace tributary {
namespace {

constexpr std::int64_t kPageBytes = 1024;

void renew_producer(GatewayIdentity& identity) {
  identity.producer_id = random_producer_id();
  identity.epoch = ProducerEpoch(0);
}

void raise_epoch(GatewayIdentity& identity) {
  if (identity.epoch.value() < std::numeric_limits<std::int16_t>::max() - 1) {
    ++identity.epoch;
  } else {
    renew_producer(identity);
  }
}

}  // namespace

FlashBuffer::FlashBuffer(std::unique_ptr<State> state) : state_(std::move(state)) {}
FlashBuffer::~FlashBuffer() = default;

const GatewayIdentity& FlashBuffer::identity() const { return state_->identity; }
bool FlashBuffer::fresh() const { return state_->fresh; }
BatchId FlashBuffer::first_id() const { return state_->first_id; }
BatchId FlashBuffer::last_id() const { return state_->last_id; }
BatchId FlashBuffer::last_id_taken() const { return state_->last_id_taken; }

std::vector<TopicPartition> FlashBuffer::destinations() const {
  std::vector<TopicPartition> found;
  for (const auto& [row, destination] : state_->destinations) found.push_back(destination);
  return found;
}

std::size_t FlashBuffer::used_bytes() const { return state_->used_bytes; }
std::size_t FlashBuffer::file_bytes() const { return state_->file_bytes; }

Result<> FlashBuffer::State::write_identity(const GatewayIdentity& changed) {
  return set_identity.bind(1, changed.producer_id.value())
      .bind(2, std::int64_t{changed.epoch.value()})
      .bind(3, static_cast<std::int64_t>(changed.intake_nonce))
      .run();
}

Result<> FlashBuffer::begin_epoch() {
  auto changed = state_->identity;
  raise_epoch(changed);
  changed.intake_nonce = random_u64_from_os();
  RETURN_IF_ERROR(state_->write_identity(changed));
  state_->identity = changed;
  return {};
}

// A row inserted here counts only once the transaction is committed: see note_destinations().
Result<std::int64_t> FlashBuffer::State::destination_row(const TopicPartition& destination,
                                                         std::map<TopicPartition, std::int64_t>& added) {
  for (const auto* known : {&destination_rows, &added}) {
    if (const auto found = known->find(destination); found != known->end()) return found->second;
  }
  insert_destination.bind(1, destination.topic).bind(2, std::int64_t{destination.partition.value()});
  ASSIGN_OR_RETURN(const bool row, insert_destination.step());
  CHECK(row, "INSERT RETURNING gives a row");
  const auto id = insert_destination.integer(0);
  ASSIGN_OR_RETURN(const bool more, insert_destination.step());
  CHECK(!more, "one row");
  added.emplace(destination, id);
  return id;
}

void FlashBuffer::State::note_destinations(const std::map<TopicPartition, std::int64_t>& added) {
  for (const auto& [destination, row] : added) {
    destination_rows.emplace(destination, row);
    destinations.emplace(row, destination);
  }
}

Result<> FlashBuffer::add(const std::vector<SealedBatch>& batches) {
  auto& s = *state_;
  std::map<TopicPartition, std::int64_t> added;
  auto last = s.last_id;
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  for (const auto& [info, bytes] : batches) {
    last = std::max(last, info.id);
    ASSIGN_OR_RETURN(const auto destination, s.destination_row(info.destination, added));
    RETURN_IF_ERROR(s.insert_batch.bind(1, info.id.value())
                        .bind(2, destination)
                        .bind(3, info.producer_id.value())
                        .bind(4, std::int64_t{info.epoch.value()})
                        .bind(5, std::int64_t{info.base_sequence.value()})
                        .bind(6, std::int64_t{info.record_count})
                        .bind(7, std::int64_t{info.payload_bytes})
                        .bind(8, static_cast<std::int64_t>(bytes.size()))
                        .bind(9, info.oldest_received_ms)
                        .bind(10, bytes.view())
                        .run());
  }
  RETURN_IF_ERROR(transaction.commit());
  s.note_destinations(added);
  s.last_id = last;
  s.last_id_taken = std::max(s.last_id_taken, last);
  s.measure_again();
  return {};
}

Result<> FlashBuffer::remove(const std::vector<BatchId>& ids) {
  std::set<BatchId> undeletable;
  RETURN_IF_ERROR(state_->remove(ids, undeletable));
  state_->measure_again();
  return {};
}

Result<> FlashBuffer::State::remove(std::span<const BatchId> ids, std::set<BatchId>& undeletable) {
  for (;;) {
    const auto known = undeletable.size();
    auto removed = try_remove(ids, undeletable);
    if (undeletable.size() > known) continue;
    if (removed || removed.error().code != Errc::kNoSpace || ids.size() < 2) return removed;
    // No room for the journal of so many: what the first half frees is there for the second.
    RETURN_IF_ERROR(remove(ids.first(ids.size() / 2), undeletable));
    ids = ids.subspan(ids.size() / 2);
  }
}

// A transaction in which a statement has met damage must not go on: it may have freed some of the pages.
Result<> FlashBuffer::State::try_remove(std::span<const BatchId> ids, std::set<BatchId>& undeletable) {
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(database));
  for (const auto id : ids) {
    if (undeletable.contains(id)) {
      RETURN_IF_ERROR(insert_nowhere.bind(1, id.value()).run());
      continue;
    }
    auto deleted = delete_batch.bind(1, id.value()).run();
    if (!deleted && deleted.error().code == Errc::kCorrupt) undeletable.insert(id);
    RETURN_IF_ERROR(std::move(deleted));
    RETURN_IF_ERROR(delete_restamp.bind(1, id.value()).run());
  }
  return transaction.commit();
}

SealedBatchInfo FlashBuffer::State::info_of(const Statement& row) const {
  SealedBatchInfo info;
  info.id = BatchId(row.integer(0));
  if (const auto found = destinations.find(row.integer(1)); found != destinations.end()) {
    info.destination = found->second;
  }
  info.producer_id = ProducerId(row.integer(2));
  info.epoch = ProducerEpoch(static_cast<std::int16_t>(row.integer(3)));
  info.base_sequence = Sequence(static_cast<std::int32_t>(row.integer(4)));
  info.record_count = static_cast<std::int32_t>(row.integer(5));
  info.payload_bytes = static_cast<std::int32_t>(row.integer(6));
  info.size = static_cast<std::int32_t>(row.integer(7));
  info.oldest_received_ms = row.integer(8);
  return info;
}

Result<BatchId> FlashBuffer::scan(BatchId after, std::size_t rows_max,
                                  const std::function<bool(const SealedBatchInfo&)>& visit) const {
  auto& s = *state_;
  s.select_infos.bind(1, after.value()).bind(2, static_cast<std::int64_t>(rows_max));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, s.select_infos.step());
    if (!row) return after;
    const auto info = s.info_of(s.select_infos);
    after = info.id;
    if (!visit(info)) {
      s.select_infos.reset();
      return after;
    }
  }
}

Result<SealedBatch> FlashBuffer::load(BatchId id) const {
  auto& s = *state_;
  s.select_batch.bind(1, id.value());
  ASSIGN_OR_RETURN(const bool row, s.select_batch.step());
  if (!row) return fail(Errc::kNotFound, fmt::format("no batch {} in {}", id, s.database.path()));
  const auto info = s.info_of(s.select_batch);
  auto bytes = to_bytes(s.select_batch.blob(9));
  s.select_batch.reset();
  const auto header = validate_stored_batch(bytes);
  if (!header) return in_context(fmt::format("{}: batch {}", s.database.path(), id), header.error());
  if (info.destination.topic.empty() || header->record_count != info.record_count) {
    return fail(Errc::kCorrupt, fmt::format("{}: batch {}: the row does not fit its bytes",
                                            s.database.path(), id));
  }
  if (header->producer_id != info.producer_id || header->producer_epoch != info.epoch ||
      header->base_sequence != info.base_sequence) {
    patch_producer(bytes, info.producer_id, info.epoch, info.base_sequence);
  }
  return SealedBatch{info, SharedBytes(std::move(bytes))};
}

// ---- Partitions -------------------------------------------------------------------------------------

std::optional<PartitionMapping> FlashBuffer::mapping(const std::string& topic) const {
  const auto found = state_->mappings.find(topic);
  if (found == state_->mappings.end()) return std::nullopt;
  return found->second;
}

Result<> FlashBuffer::set_mapping(const std::string& topic, PartitionMapping mapping) {
  CHECK(mapping.hashed > 0 && mapping.existing > 0, "{}: {} {}", topic, mapping.hashed, mapping.existing);
  RETURN_IF_ERROR(state_->set_mapping.bind(1, topic)
                      .bind(2, std::int64_t{mapping.hashed})
                      .bind(3, std::int64_t{mapping.existing})
                      .run());
  state_->mappings[topic] = mapping;
  return {};
}

// The pages of a damaged batch may be others' by what they say: deleting it could free a sound one's.
Result<std::size_t> FlashBuffer::give_up(const std::vector<BatchId>& ids) {
  auto& s = *state_;
  std::vector<BatchId> there;
  std::set<BatchId> damaged;
  std::size_t kept = 0;
  for (const auto id : ids) {
    const auto batch = load(id);
    if (!batch && batch.error().code == Errc::kNotFound) continue;
    there.push_back(id);
    if (!batch) damaged.insert(id);
    s.select_batch.bind(1, id.value());
    const auto row = s.select_batch.step();
    if (!row || !*row) continue;
    kept += set_aside(id, s.select_batch.blob(9)) ? 1 : 0;
    s.select_batch.reset();
  }
  RETURN_IF_ERROR(s.remove(there, damaged));
  s.measure_again();
  return kept;
}

bool FlashBuffer::set_aside(BatchId id, ByteView bytes) {
  constexpr std::ptrdiff_t kFilesMax = 100;
  auto& fs = posix_file_system();
  const auto folder = std::filesystem::path(state_->database.path()).parent_path().string();
  const auto names = fs.list(folder);
  if (!names || std::count_if(names->begin(), names->end(), [](const auto& name) {
        return name.starts_with("given-up-");
      }) >= kFilesMax) {
    return false;
  }
  const auto path = fmt::format("{}/given-up-{}.batch", folder, id);
  const bool written = write_file_atomically(fs, path, bytes).has_value();
  if (!written) (void)fs.remove(path + ".tmp").has_value();  // what there was room for
  return written;
}

Result<> FlashBuffer::rehome(const std::string& topic, PartitionMapping mapping, Renewal renewal) {
  auto& s = *state_;
  auto changed = s.identity;
  if (renewal == Renewal::kEpoch) {
    raise_epoch(changed);
  } else {
    renew_producer(changed);
  }
  std::map<TopicPartition, std::int64_t> added;
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  RETURN_IF_ERROR(s.write_identity(changed));
  RETURN_IF_ERROR(s.restamp(topic, mapping.existing, changed, added));
  RETURN_IF_ERROR(s.set_mapping.bind(1, topic)
                      .bind(2, std::int64_t{mapping.hashed})
                      .bind(3, std::int64_t{mapping.existing})
                      .run());
  RETURN_IF_ERROR(transaction.commit());
  s.note_destinations(added);
  s.identity = changed;
  s.mappings[topic] = mapping;
  s.measure_again();
  return {};
}

Result<> FlashBuffer::State::restamp(const std::string& topic, std::int32_t existing,
                                     const GatewayIdentity& stamp,
                                     std::map<TopicPartition, std::int64_t>& added) {
  std::map<PartitionIndex, Sequence> next;
  ASSIGN_OR_RETURN(auto rows, database.prepare(TRIBUTARY_SELECT_STAMPED("") "ORDER BY b.id"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return {};
    const auto info = info_of(rows);
    if (info.destination.topic != topic) continue;
    const PartitionIndex partition(info.destination.partition.value() % existing);
    ASSIGN_OR_RETURN(const auto destination, destination_row({topic, partition}, added));
    auto& sequence = next.try_emplace(partition, Sequence(0)).first->second;
    RETURN_IF_ERROR(insert_restamp.bind(1, info.id.value())
                        .bind(2, destination)
                        .bind(3, stamp.producer_id.value())
                        .bind(4, std::int64_t{stamp.epoch.value()})
                        .bind(5, std::int64_t{sequence.value()})
                        .run());
    sequence = advanced(sequence, info.record_count);
  }
}

Result<std::vector<NextSequence>> FlashBuffer::continuations() const {
  auto& s = *state_;
  ASSIGN_OR_RETURN(auto rows, s.database.prepare(
                       "SELECT r.destination, r.base_sequence, b.record_count FROM restamped r"
                       " JOIN batches b ON b.id = r.id WHERE r.producer_id = ? AND r.epoch = ?"
                       " ORDER BY r.id"));
  rows.bind(1, s.identity.producer_id.value()).bind(2, std::int64_t{s.identity.epoch.value()});
  std::map<std::int64_t, Sequence> next;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) break;
    next[rows.integer(0)] = advanced(Sequence(static_cast<std::int32_t>(rows.integer(1))),
                                     static_cast<std::int32_t>(rows.integer(2)));
  }
  std::vector<NextSequence> result;
  for (const auto& [row, sequence] : next) {
    const auto found = s.destinations.find(row);
    if (found != s.destinations.end()) result.push_back({found->second, sequence});
  }
  return result;
}

// ---- Size -------------------------------------------------------------------------------------------

Result<> FlashBuffer::State::measure() {
  ASSIGN_OR_RETURN(const auto pages, database.integer("PRAGMA page_count"));
  ASSIGN_OR_RETURN(const auto free_pages, database.integer("PRAGMA freelist_count"));
  file_bytes = static_cast<std::size_t>(pages * kPageBytes);
  used_bytes = static_cast<std::size_t>((pages - free_pages) * kPageBytes);
  ASSIGN_OR_RETURN(const auto taken, database.integer("SELECT coalesce(max(id), 0) FROM batches"));
  last_id_taken = BatchId(taken);
  const auto id_of = [](Statement& select) -> Result<BatchId> {
    ASSIGN_OR_RETURN(const bool row, select.step());
    const BatchId id(row ? select.integer(0) : 0);
    if (row) select.reset();
    return id;
  };
  ASSIGN_OR_RETURN(first_id, id_of(select_first_id));
  ASSIGN_OR_RETURN(last_id, id_of(select_last_id));
  return {};
}

std::optional<WallMs> FlashBuffer::oldest_received_ms() const {
  auto& oldest = state_->select_oldest;
  const auto row = oldest.step();
  if (!row || !*row) return std::nullopt;
  const WallMs received_ms = oldest.integer(0);
  oldest.reset();
  return received_ms;
}

Result<bool> FlashBuffer::give_space_back() {
  constexpr std::size_t kWorthwhileBytes = 256 << 10;
  // What lies at the file's end is moved to its front: at most a quarter of what is given back.
  constexpr std::size_t kFreePerUsed = 4;
  auto& s = *state_;
  const auto worthwhile = [&s] {
    const std::size_t used = s.used_bytes;
    const std::size_t free = s.file_bytes - used;
    return free >= kWorthwhileBytes && free >= kFreePerUsed * used;
  };
  if (!worthwhile()) return false;
  RETURN_IF_ERROR(s.database.execute("PRAGMA incremental_vacuum(1024)"));
  s.measure_again();
  return worthwhile();
}

}  // namespace tributary
