// The intake's tables, and how they are read at start.

#include <fstream>

#include "common/env/file_system.h"
#include "gateway/intake/intake_state.h"

namespace tributary {
namespace {

constexpr std::int64_t kFormatVersion = 1;

constexpr const char* kPragmas =
    "PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=OFF; PRAGMA secure_delete=OFF; PRAGMA cache_size=-1024;"
    "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=8388608";

constexpr const char* kSchema = R"(
CREATE TABLE state(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  bound INTEGER NOT NULL, nonce INTEGER NOT NULL, producer_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
  sealed_up_to INTEGER NOT NULL, next_batch_id INTEGER NOT NULL, window_start INTEGER NOT NULL);
INSERT INTO state VALUES(1, 0, 0, -1, -1, 0, 1, 0);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE readings(
  id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, packet_id INTEGER NOT NULL,
  content_hash INTEGER NOT NULL, received_ms INTEGER NOT NULL, received_ns INTEGER NOT NULL,
  key BLOB NOT NULL, mqtt_topic BLOB NOT NULL, properties BLOB NOT NULL, payload BLOB NOT NULL);
CREATE TABLE destinations(
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  next_sequence INTEGER NOT NULL, UNIQUE(topic, partition));
CREATE TABLE sealed(
  id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, producer_id INTEGER NOT NULL,
  epoch INTEGER NOT NULL, base_sequence INTEGER NOT NULL, record_count INTEGER NOT NULL,
  payload_bytes INTEGER NOT NULL, received_ms INTEGER NOT NULL, received_ns INTEGER NOT NULL,
  bytes BLOB NOT NULL);
CREATE TABLE acked_on_flash(id INTEGER PRIMARY KEY);
PRAGMA user_version=1;
)";

/// A table of its own: files of before it was noted are taken, and programs of before take the file.
constexpr const char* kBootTable =
    "CREATE TABLE IF NOT EXISTS boot(id INTEGER PRIMARY KEY CHECK(id = 1), bound_in TEXT NOT NULL)";

/// Packet ids that may come again, with their newest reading. In files of before, readings had them.
constexpr const char* kDeliveriesTable = R"(
CREATE TABLE deliveries(
  packet_id INTEGER PRIMARY KEY, reading INTEGER NOT NULL, content_hash INTEGER NOT NULL);
INSERT OR REPLACE INTO deliveries SELECT packet_id, id, content_hash FROM readings
  WHERE packet_id <> 0 AND id > (SELECT window_start FROM state) ORDER BY id;
)";

/// proc(5); empty if there is none.
std::string running_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

Result<> Intake::State::prepare() {
  const auto make = [this](Statement& statement, const char* sql) -> Result<> {
    ASSIGN_OR_RETURN(statement, database.prepare(sql));
    return {};
  };
  RETURN_IF_ERROR(make(insert_reading, "INSERT INTO readings VALUES(?,?,?,?,?,?,?,?,?,?)"));
  RETURN_IF_ERROR(make(select_readings,
                       "SELECT id, topic, received_ms, received_ns, key, mqtt_topic, properties, payload "
                       "FROM readings WHERE id > ? ORDER BY id LIMIT ?"));
  RETURN_IF_ERROR(make(drop_readings, "DELETE FROM readings WHERE id <= ?"));
  RETURN_IF_ERROR(make(insert_delivery, "INSERT OR REPLACE INTO deliveries VALUES(?,?,?)"));
  RETURN_IF_ERROR(make(delete_delivery, "DELETE FROM deliveries WHERE packet_id = ?"));
  RETURN_IF_ERROR(make(insert_topic, "INSERT INTO topics(name) VALUES(?) RETURNING id"));
  RETURN_IF_ERROR(make(insert_destination,
                       "INSERT INTO destinations(topic, partition, next_sequence) VALUES(?, ?, 0) "
                       "RETURNING id"));
  RETURN_IF_ERROR(make(insert_sealed, "INSERT INTO sealed VALUES(?,?,?,?,?,?,?,?,?,?)"));
  RETURN_IF_ERROR(make(set_sequence, "UPDATE destinations SET next_sequence = ? WHERE id = ?"));
  RETURN_IF_ERROR(make(set_cursor, "UPDATE state SET sealed_up_to = ?, next_batch_id = ?"));
  RETURN_IF_ERROR(make(delete_sealed, "DELETE FROM sealed WHERE id = ?"));
  RETURN_IF_ERROR(make(set_boot, "INSERT OR REPLACE INTO boot VALUES(1, ?)"));
  RETURN_IF_ERROR(make(select_bytes, "SELECT bytes FROM sealed WHERE id = ?"));
  RETURN_IF_ERROR(make(insert_acked, "INSERT OR IGNORE INTO acked_on_flash VALUES(?)"));
  return make(delete_acked, "DELETE FROM acked_on_flash WHERE id = ?");
}

Result<> Intake::State::load() {
  {
    ASSIGN_OR_RETURN(auto row, database.prepare("SELECT bound, nonce, producer_id, epoch, sealed_up_to,"
                                                " next_batch_id FROM state"));
    ASSIGN_OR_RETURN(const bool found, row.step());
    if (!found) return fail(Errc::kCorrupt, "the table state is empty");
    is_bound = row.integer(0) != 0;
    bound = {static_cast<std::uint64_t>(row.integer(1)), ProducerId(row.integer(2)),
             ProducerEpoch(static_cast<std::int16_t>(row.integer(3)))};
    sealed_up_to = read_up_to = newest = ReadingId(row.integer(4));
    next_batch_id = BatchId(row.integer(5));
  }
  {
    ASSIGN_OR_RETURN(auto row, database.prepare("SELECT bound_in FROM boot"));
    ASSIGN_OR_RETURN(const bool found, row.step());
    if (found) bound_in_boot = row.text(0);
  }
  ASSIGN_OR_RETURN(auto topics, database.prepare("SELECT id, name FROM topics"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, topics.step());
    if (!row) break;
    topic_ids.emplace(topics.text(1), topics.integer(0));
    topic_names.emplace(topics.integer(0), topics.text(1));
  }
  ASSIGN_OR_RETURN(auto rows,
                   database.prepare("SELECT id, topic, partition, next_sequence FROM destinations"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) break;
    const PartitionIndex partition(static_cast<std::int32_t>(rows.integer(2)));
    destinations[{std::string(rows.text(1)), partition}] = {
        rows.integer(0), Sequence(static_cast<std::int32_t>(rows.integer(3)))};
  }
  ASSIGN_OR_RETURN(auto sizes, database.prepare("SELECT id, length(bytes) FROM sealed"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, sizes.step());
    if (!row) break;
    const auto size = static_cast<std::size_t>(sizes.integer(1));
    sealed_sizes.emplace(BatchId(sizes.integer(0)), size);
    sealed_bytes += size;
  }
  return load_readings();
}

Result<> Intake::State::load_readings() {
  ASSIGN_OR_RETURN(auto unsealed,
                   database.prepare("SELECT id, length(key) + length(mqtt_topic) + length(properties) +"
                                    " length(payload) FROM readings WHERE id > ? ORDER BY id"));
  unsealed.bind(1, sealed_up_to.value());
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, unsealed.step());
    if (!row) break;
    if (unsealed.integer(0) != newest.value() + 1) {
      return fail(Errc::kCorrupt, fmt::format("the reading {} is missing", newest.value() + 1));
    }
    ++newest;
    const auto size = static_cast<std::size_t>(unsealed.integer(1)) + kRowOverhead;
    unsealed_sizes.push_back(static_cast<std::uint32_t>(size));
    unsealed_bytes += size;
  }
  unread_bytes = unsealed_bytes;
  return load_deliveries();
}

Result<> Intake::State::load_deliveries() {
  ASSIGN_OR_RETURN(auto rows, database.prepare("SELECT packet_id, reading, content_hash FROM deliveries"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, rows.step());
    if (!row) return {};
    deliveries.remember(ReadingId(rows.integer(1)), static_cast<std::uint16_t>(rows.integer(0)),
                        static_cast<std::uint64_t>(rows.integer(2)));
  }
}

Result<std::unique_ptr<Intake>> Intake::open(IntakeOptions options) {
  RETURN_IF_ERROR(posix_file_system().create_directories(options.folder));
  ASSIGN_OR_RETURN(const bool on_tmpfs, is_on_tmpfs(options.folder));
  if (!on_tmpfs && !options.allow_disk) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the intake folder {} is not on tmpfs: every reading would be a write to it, "
                            "unless that is allowed in the configuration",
                            options.folder));
  }
  ASSIGN_OR_RETURN(auto lock, FolderLock::acquire(options.folder));
  auto state = std::make_unique<State>(std::move(lock), options.folder);
  state->boot_id = options.boot_id ? *options.boot_id : running_boot_id();
  state->on_tmpfs = on_tmpfs;
  const auto path = options.folder + "/intake.db";
  const auto opened = [&]() -> Result<> {
    ASSIGN_OR_RETURN(state->database, Database::open(path));
    RETURN_IF_ERROR(state->database.execute(kPragmas));
    ASSIGN_OR_RETURN(const auto version, state->database.integer("PRAGMA user_version"));
    ASSIGN_OR_RETURN(const auto tables, state->database.integer("SELECT count(*) FROM sqlite_schema"));
    if (version == 0 && tables == 0) {
      ASSIGN_OR_RETURN(auto transaction, Transaction::begin(state->database));
      RETURN_IF_ERROR(state->database.execute(kSchema));
      RETURN_IF_ERROR(transaction.commit());
    } else if (version != kFormatVersion) {
      return fail(Errc::kUnsupported, fmt::format("{}: format version {}, this program knows {}", path,
                                                  version, kFormatVersion));
    }
    RETURN_IF_ERROR(state->database.execute(kBootTable));
    ASSIGN_OR_RETURN(const auto has_deliveries, state->database.integer(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'deliveries'"));
    if (has_deliveries == 0) {
      ASSIGN_OR_RETURN(auto transaction, Transaction::begin(state->database));
      RETURN_IF_ERROR(state->database.execute(kDeliveriesTable));
      RETURN_IF_ERROR(transaction.commit());
    }
    RETURN_IF_ERROR(state->prepare());
    return state->load();
  }();
  if (!opened) {
    auto error = opened.error();
    if (error.code == Errc::kCorrupt) {
      error.message = fmt::format("{}: no readable intake ({}); move it away to start with an empty one: "
                                  "the readings in it are lost", path, error.message);
    }
    return tl::unexpected<Error>(std::move(error));
  }
  return std::unique_ptr<Intake>(new Intake(std::move(state)));
}

}  // namespace tributary
