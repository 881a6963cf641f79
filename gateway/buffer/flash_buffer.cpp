#include "gateway/buffer/flash_buffer.h"

#include <limits>
#include <map>

#include "common/base/check.h"
#include "common/env/file_system.h"
#include "common/env/random.h"
#include "common/record/record_batch.h"
#include "common/sqlite/database.h"

namespace tributary {
namespace {

constexpr std::int64_t kFormatVersion = 1;
constexpr std::int64_t kPageBytes = 1024;
constexpr std::int64_t kProducerIdBase = std::int64_t{1} << 61;

// The rollback journal writes a batch's bytes once (new pages are not journaled), the WAL twice; small
// pages keep what a commit touches besides the bytes small. secure_delete, on in Debian's build, would
// write zeros over what is deleted.
constexpr const char* kPragmas =
    "PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA journal_mode=PERSIST; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF;"
    "PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=1048576";

constexpr const char* kSchema = R"(
CREATE TABLE identity(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  gateway_id INTEGER NOT NULL, producer_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
  intake_nonce INTEGER NOT NULL);
CREATE TABLE topics(name TEXT PRIMARY KEY, hashed INTEGER NOT NULL, existing INTEGER NOT NULL);
CREATE TABLE destinations(
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, UNIQUE(topic, partition));
CREATE TABLE batches(
  id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, producer_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL, base_sequence INTEGER NOT NULL, record_count INTEGER NOT NULL,
  payload_bytes INTEGER NOT NULL, size INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  bytes BLOB NOT NULL);
CREATE TABLE restamped(
  id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, producer_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL, base_sequence INTEGER NOT NULL);
PRAGMA user_version=1;
)";

// A row of `batches` as its newest stamp says; the columns that info_of() reads.
#define TRIBUTARY_SELECT_STAMPED(columns)                                                          \
  "SELECT b.id, coalesce(r.destination, b.destination), coalesce(r.producer_id, b.producer_id),"   \
  " coalesce(r.epoch, b.epoch), coalesce(r.base_sequence, b.base_sequence), b.record_count,"       \
  " b.payload_bytes, b.size, b.received_ms" columns                                                \
  " FROM batches b LEFT JOIN restamped r ON r.id = b.id "

ProducerId random_producer_id() {
  const auto random = static_cast<std::int64_t>(random_u64_from_os() >> 3);
  return ProducerId(kProducerIdBase | random);
}

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

struct FlashBuffer::State {
  explicit State(FolderLock held) : lock(std::move(held)) {}

  FolderLock lock;
  bool fresh = false;
  GatewayIdentity identity;
  std::map<std::string, PartitionMapping> mappings;
  std::map<TopicPartition, std::int64_t> destination_rows;
  std::map<std::int64_t, TopicPartition> destinations;
  BatchId first_id{0};
  BatchId last_id{0};

  Database database;
  Statement insert_batch, delete_batch, delete_restamp, insert_destination, insert_restamp;
  Statement select_infos, select_batch, set_mapping, set_identity, select_oldest;

  std::atomic<std::size_t> used_bytes{0};
  std::atomic<std::size_t> file_bytes{0};

  Result<> prepare();
  Result<> load();
  Result<> create();
  Result<std::int64_t> destination_row(const TopicPartition& destination,
                                       std::map<TopicPartition, std::int64_t>& added);
  void note_destinations(const std::map<TopicPartition, std::int64_t>& added);
  Result<> write_identity(const GatewayIdentity& changed);
  Result<> restamp(const std::string& topic, std::int32_t existing, const GatewayIdentity& stamp,
                   std::map<TopicPartition, std::int64_t>& added);
  Result<> measure();
  /// After a commit, which stands whether or not the sizes can be read.
  void measure_again() { (void)measure().has_value(); }
  [[nodiscard]] SealedBatchInfo info_of(const Statement& row) const;
};

FlashBuffer::FlashBuffer(std::unique_ptr<State> state) : state_(std::move(state)) {}
FlashBuffer::~FlashBuffer() = default;

Result<> FlashBuffer::State::prepare() {
  const auto make = [this](Statement& statement, const char* sql) -> Result<> {
    ASSIGN_OR_RETURN(statement, database.prepare(sql));
    return {};
  };
  RETURN_IF_ERROR(make(insert_batch, "INSERT INTO batches VALUES(?,?,?,?,?,?,?,?,?,?)"));
  RETURN_IF_ERROR(make(delete_batch, "DELETE FROM batches WHERE id = ?"));
  RETURN_IF_ERROR(make(delete_restamp, "DELETE FROM restamped WHERE id = ?"));
  RETURN_IF_ERROR(make(insert_destination,
                       "INSERT INTO destinations(topic, partition) VALUES(?, ?) RETURNING id"));
  RETURN_IF_ERROR(make(insert_restamp, "INSERT OR REPLACE INTO restamped VALUES(?,?,?,?,?)"));
  RETURN_IF_ERROR(make(select_infos, TRIBUTARY_SELECT_STAMPED("") "WHERE b.id > ? ORDER BY b.id LIMIT ?"));
  RETURN_IF_ERROR(make(select_batch, TRIBUTARY_SELECT_STAMPED(", b.bytes") "WHERE b.id = ?"));
  RETURN_IF_ERROR(make(set_mapping, "INSERT OR REPLACE INTO topics VALUES(?, ?, ?)"));
  RETURN_IF_ERROR(make(select_oldest, "SELECT received_ms FROM batches ORDER BY id LIMIT 1"));
  return make(set_identity, "UPDATE identity SET producer_id = ?, epoch = ?, intake_nonce = ?");
}

Result<> FlashBuffer::State::create() {
  fresh = true;
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(database));
  RETURN_IF_ERROR(database.execute(kSchema));
  RETURN_IF_ERROR(database.execute(
      fmt::format("INSERT INTO identity VALUES(1, {}, {}, 0, {})",
                  static_cast<std::int64_t>(random_u64_from_os()), random_producer_id(),
                  static_cast<std::int64_t>(random_u64_from_os()))
          .c_str()));
  return transaction.commit();
}

Result<> FlashBuffer::State::load() {
  {
    ASSIGN_OR_RETURN(auto row, database.prepare(
                                   "SELECT gateway_id, producer_id, epoch, intake_nonce FROM identity"));
    ASSIGN_OR_RETURN(const bool found, row.step());
    if (!found) return fail(Errc::kCorrupt, "the table identity is empty");
    identity = {static_cast<std::uint64_t>(row.integer(0)), ProducerId(row.integer(1)),
                ProducerEpoch(static_cast<std::int16_t>(row.integer(2))),
                static_cast<std::uint64_t>(row.integer(3))};
  }
  ASSIGN_OR_RETURN(auto topics, database.prepare("SELECT name, hashed, existing FROM topics"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, topics.step());
    if (!row) break;
    const PartitionMapping mapping{static_cast<std::int32_t>(topics.integer(1)),
                                   static_cast<std::int32_t>(topics.integer(2))};
    if (mapping.hashed <= 0 || mapping.existing <= 0) {
      return fail(Errc::kCorrupt, fmt::format("the partition count of {} is not positive", topics.text(0)));
    }
    mappings.emplace(topics.text(0), mapping);
  }
  ASSIGN_OR_RETURN(auto rows, database.prepare("SELECT id, topic, partition FROM destinations"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) break;
    const TopicPartition destination{std::string(rows.text(1)),
                                     PartitionIndex(static_cast<std::int32_t>(rows.integer(2)))};
    destination_rows.emplace(destination, rows.integer(0));
    destinations.emplace(rows.integer(0), destination);
  }
  return measure();
}

Result<std::unique_ptr<FlashBuffer>> FlashBuffer::open(FlashBufferOptions options) {
  auto& fs = posix_file_system();
  RETURN_IF_ERROR(fs.create_directories(options.folder));
  ASSIGN_OR_RETURN(auto lock, FolderLock::acquire(options.folder));
  auto state = std::make_unique<State>(std::move(lock));
  const auto path = options.folder + "/buffer.db";
  const auto opened = [&]() -> Result<> {
    ASSIGN_OR_RETURN(state->database, Database::open(path));
    RETURN_IF_ERROR(state->database.execute(kPragmas));
    ASSIGN_OR_RETURN(const auto version, state->database.integer("PRAGMA user_version"));
    ASSIGN_OR_RETURN(const auto tables, state->database.integer("SELECT count(*) FROM sqlite_schema"));
    if (version == 0 && tables == 0) {
      RETURN_IF_ERROR(state->create());
      RETURN_IF_ERROR(fs.sync_directory(options.folder));
    } else if (version != kFormatVersion) {
      return fail(Errc::kUnsupported, fmt::format("{}: format version {}, this program knows {}", path,
                                                  version, kFormatVersion));
    }
    RETURN_IF_ERROR(state->prepare());
    return state->load();
  }();
  if (!opened) {
    auto error = opened.error();
    if (error.code == Errc::kCorrupt) {
      error.message = fmt::format(
          "{}: no readable buffer ({}); move it away to start with an empty one: the batches in it are "
          "not sent then. `sqlite3 {} .recover` may show what can be saved", path, error.message, path);
    }
    return tl::unexpected<Error>(std::move(error));
  }
  return std::unique_ptr<FlashBuffer>(new FlashBuffer(std::move(state)));
}

const GatewayIdentity& FlashBuffer::identity() const { return state_->identity; }
bool FlashBuffer::fresh() const { return state_->fresh; }
BatchId FlashBuffer::first_id() const { return state_->first_id; }
BatchId FlashBuffer::last_id() const { return state_->last_id; }

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
  s.measure_again();
  return {};
}

Result<> FlashBuffer::remove(const std::vector<BatchId>& ids) {
  auto& s = *state_;
  ASSIGN_OR_RETURN(auto transaction, Transaction::begin(s.database));
  for (const auto id : ids) {
    RETURN_IF_ERROR(s.delete_batch.bind(1, id.value()).run());
    RETURN_IF_ERROR(s.delete_restamp.bind(1, id.value()).run());
  }
  RETURN_IF_ERROR(transaction.commit());
  s.measure_again();
  return {};
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

Result<> FlashBuffer::give_up(const std::vector<BatchId>& ids) {
  constexpr std::size_t kFilesMax = 100;
  auto& s = *state_;
  auto& fs = posix_file_system();
  const auto folder = std::filesystem::path(s.database.path()).parent_path().string();
  ASSIGN_OR_RETURN(const auto names, fs.list(folder));
  auto files = static_cast<std::size_t>(std::count_if(
      names.begin(), names.end(), [](const auto& name) { return name.starts_with("given-up-"); }));
  for (const auto id : ids) {
    if (files++ >= kFilesMax) break;
    s.select_batch.bind(1, id.value());
    ASSIGN_OR_RETURN(const bool row, s.select_batch.step());
    if (!row) continue;
    auto written = write_file_atomically(fs, fmt::format("{}/given-up-{}.batch", folder, id),
                                         s.select_batch.blob(9));
    s.select_batch.reset();
    RETURN_IF_ERROR(std::move(written));
  }
  return remove(ids);
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
  ASSIGN_OR_RETURN(const auto first, database.integer("SELECT coalesce(min(id), 0) FROM batches"));
  ASSIGN_OR_RETURN(const auto last, database.integer("SELECT coalesce(max(id), 0) FROM batches"));
  first_id = BatchId(first);
  last_id = BatchId(last);
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
