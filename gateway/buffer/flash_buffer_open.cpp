// The buffer's tables, and how they are read at start.

#include "common/base/check.h"
#include "common/env/random.h"
#include "gateway/buffer/flash_buffer_state.h"

namespace tributary {
namespace {

constexpr std::int64_t kFormatVersion = 1;

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

constexpr std::int64_t kProducerIdBase = std::int64_t{1} << 61;

}  // namespace

ProducerId random_producer_id() {
  const auto random = static_cast<std::int64_t>(random_u64_from_os() >> 3);
  return ProducerId(kProducerIdBase | random);
}

Result<> FlashBuffer::State::prepare() {
  const auto make = [this](Statement& statement, const char* sql) -> Result<> {
    ASSIGN_OR_RETURN(statement, database.prepare(sql));
    return {};
  };
  RETURN_IF_ERROR(make(insert_batch, "INSERT INTO batches VALUES(?,?,?,?,?,?,?,?,?,?)"));
  RETURN_IF_ERROR(make(delete_batch, "DELETE FROM batches WHERE id = ? AND " TRIBUTARY_NOT_GIVEN_UP));
  RETURN_IF_ERROR(make(delete_restamp,
                       "DELETE FROM restamped WHERE id = ? AND destination <> " TRIBUTARY_NOWHERE));
  RETURN_IF_ERROR(make(insert_destination,
                       "INSERT INTO destinations(topic, partition) VALUES(?, ?) RETURNING id"));
  RETURN_IF_ERROR(make(insert_restamp, "INSERT OR REPLACE INTO restamped VALUES(?,?,?,?,?)"));
  RETURN_IF_ERROR(make(insert_nowhere, "INSERT OR REPLACE INTO restamped VALUES(?, " TRIBUTARY_NOWHERE
                                       ", -1, -1, -1)"));
  RETURN_IF_ERROR(make(select_infos, TRIBUTARY_SELECT_STAMPED("") "AND b.id > ? ORDER BY b.id LIMIT ?"));
  RETURN_IF_ERROR(make(select_batch, TRIBUTARY_SELECT_STAMPED(", b.bytes") "AND b.id = ?"));
  RETURN_IF_ERROR(make(set_mapping, "INSERT OR REPLACE INTO topics VALUES(?, ?, ?)"));
  RETURN_IF_ERROR(make(select_oldest, "SELECT received_ms FROM batches WHERE " TRIBUTARY_NOT_GIVEN_UP
                                      "ORDER BY id LIMIT 1"));
  RETURN_IF_ERROR(make(select_first_id, "SELECT id FROM batches WHERE " TRIBUTARY_NOT_GIVEN_UP
                                        "ORDER BY id LIMIT 1"));
  RETURN_IF_ERROR(make(select_last_id, "SELECT id FROM batches WHERE " TRIBUTARY_NOT_GIVEN_UP
                                       "ORDER BY id DESC LIMIT 1"));
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

}  // namespace tributary
