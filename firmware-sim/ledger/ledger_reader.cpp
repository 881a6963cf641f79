#include <sys/stat.h>

#include <charconv>
#include <unordered_map>

#include "firmware-sim/ledger/ledger.h"
#include "firmware-sim/ledger/sqlite_session.h"

namespace tributary {
namespace {

using ledger_detail::Session;
using ledger_detail::Statement;

constexpr std::int64_t kDevicesMax = 1'000'000;

Result<> load_meta(const std::string& path, Session& session, LedgerMeta& meta) {
  auto prepared = session.prepare("SELECT key, value FROM meta");
  if (!prepared)
    return fail(Errc::kCorrupt, fmt::format("{}: not a ledger of tributary-fleet ({})", path,
                                            prepared.error().message));
  std::unordered_map<std::string, std::string> rows;
  int code = SQLITE_ROW;
  while ((code = prepared->step()) == SQLITE_ROW && rows.size() < 1000)
    rows[prepared->text(0)] = prepared->text(1);
  if (code != SQLITE_DONE) return tl::unexpected<Error>(session.last_error("read meta"));
  if (rows["format"] != std::to_string(kLedgerFormat))
    return fail(Errc::kUnsupported, fmt::format("ledger {}: format '{}', this program reads format {}",
                                                path, rows["format"], kLedgerFormat));
  const auto number = [&](const char* key, auto& value) {
    const auto& text = rows[key];
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  };
  meta.topic_pattern = rows["topic_pattern"];
  if (!number("seed", meta.seed) || !number("qos", meta.qos) || !number("created_ms", meta.created_ms))
    return fail(Errc::kCorrupt, fmt::format("ledger {}: table meta lacks seed, qos or created_ms", path));
  return {};
}

LedgerEntry entry_of(const Statement& row) {
  return {.seq = row.integer(0),
          .published_ms = row.integer(1),
          .acked_ms = row.integer(2),
          .payload_crc32c = static_cast<std::uint32_t>(row.integer(3)),
          .payload_bytes = static_cast<std::uint32_t>(row.integer(4)),
          .resent = row.integer(5) != 0};
}

}  // namespace

struct LedgerReader::Impl {
  Session session;
  LedgerMeta meta;
  std::vector<LedgerDevice> devices;
  std::unordered_map<std::string, std::size_t> index_of_name;

  Result<> load_devices();
  Result<std::int64_t> count(const char* sql, std::int64_t device_id);
};

Result<> LedgerReader::Impl::load_devices() {
  ASSIGN_OR_RETURN(auto select, session.prepare("SELECT id, name, topic FROM devices ORDER BY id"));
  int code = SQLITE_ROW;
  while ((code = select.step()) == SQLITE_ROW) {
    if (static_cast<std::int64_t>(devices.size()) == kDevicesMax)
      return fail(Errc::kTooLarge, fmt::format("ledger: more than {} devices", kDevicesMax));
    devices.push_back({select.integer(0), select.text(1), select.text(2)});
    index_of_name.emplace(devices.back().name, devices.size() - 1);
  }
  if (code != SQLITE_DONE) return tl::unexpected<Error>(session.last_error("read devices"));
  return {};
}

Result<std::int64_t> LedgerReader::Impl::count(const char* sql, std::int64_t device_id) {
  ASSIGN_OR_RETURN(auto select, session.prepare(sql));
  if (device_id != 0) select.bind(1, device_id);
  if (select.step() != SQLITE_ROW) return tl::unexpected<Error>(session.last_error(sql));
  return select.integer(0);
}

LedgerReader::LedgerReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LedgerReader::~LedgerReader() = default;

Result<std::unique_ptr<LedgerReader>> LedgerReader::open(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(fmt::format("ledger {}", path));
  if (!S_ISREG(status.st_mode)) return fail(Errc::kInvalidArgument, fmt::format("ledger {}: not a file", path));
  auto impl = std::make_unique<Impl>();
  // Writable, because a fleet that was killed leaves a write-ahead log that only a writer can fold in.
  auto session = Session::open(path, SQLITE_OPEN_READWRITE);
  if (!session) session = Session::open(path, SQLITE_OPEN_READONLY);
  ASSIGN_OR_RETURN(impl->session, std::move(session));
  RETURN_IF_ERROR(impl->session.execute("PRAGMA query_only = ON"));
  RETURN_IF_ERROR(load_meta(path, impl->session, impl->meta));
  RETURN_IF_ERROR(impl->load_devices());
  return std::unique_ptr<LedgerReader>(new LedgerReader(std::move(impl)));
}

const LedgerMeta& LedgerReader::meta() const { return impl_->meta; }
const std::vector<LedgerDevice>& LedgerReader::devices() const { return impl_->devices; }

const LedgerDevice* LedgerReader::find_device(std::string_view name) const {
  const auto found = impl_->index_of_name.find(std::string(name));
  return found == impl_->index_of_name.end() ? nullptr : &impl_->devices[found->second];
}

Result<std::int64_t> LedgerReader::count() const {
  return impl_->count("SELECT count(*) FROM readings", 0);
}

Result<std::int64_t> LedgerReader::count(std::int64_t device_id) const {
  return impl_->count("SELECT count(*) FROM readings WHERE device_id = ?", device_id);
}

Result<> LedgerReader::for_each(std::int64_t device_id, const std::function<bool(const LedgerEntry&)>& visit,
                                std::int64_t first_seq) const {
  ASSIGN_OR_RETURN(auto select, impl_->session.prepare(
      "SELECT seq, published_ms, acked_ms, payload_crc32c, payload_bytes, resent FROM readings "
      "WHERE device_id = ? AND seq >= ? ORDER BY seq"));
  select.bind(1, device_id);
  select.bind(2, first_seq);
  int code = SQLITE_ROW;
  while ((code = select.step()) == SQLITE_ROW)
    if (!visit(entry_of(select))) return {};
  if (code != SQLITE_DONE) return tl::unexpected<Error>(impl_->session.last_error("read readings"));
  return {};
}

Result<std::optional<LedgerEntry>> LedgerReader::find(std::int64_t device_id, std::int64_t seq) const {
  std::optional<LedgerEntry> found;
  RETURN_IF_ERROR(for_each(device_id, [&](const LedgerEntry& entry) {
    if (entry.seq == seq) found = entry;
    return false;
  }, seq));
  return found;
}

}  // namespace tributary
