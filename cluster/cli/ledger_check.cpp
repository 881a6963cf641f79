#include "cluster/cli/ledger_check.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <unordered_map>

#include "cluster/cli/text.h"
#include "common/bytes/crc32c.h"
#include "firmware-sim/ledger/ledger.h"

namespace tributary {
namespace {

constexpr std::size_t kWindowBytesAll = 64u << 20;
constexpr std::size_t kWindowMin = 16, kWindowMax = 2048;
constexpr std::int64_t kPageBits = 4096;
/// Pages beyond those that the ledger's readings need: garbage numbers must not take memory without end.
constexpr std::int64_t kPagesSpare = 65'536;

/// Which numbers of one device were seen.
class SeqSet {
 public:
  /// Whether it was in already; adds it. `pages` counts the pages of all sets.
  bool insert(std::int64_t seq, std::int64_t& pages) {
    auto& page = pages_[seq / kPageBits];
    if (!page) {
      page = std::make_unique<std::bitset<kPageBits>>();
      ++pages;
    }
    const auto bit = static_cast<std::size_t>(seq % kPageBits);
    const bool was_in = page->test(bit);
    page->set(bit);
    return was_in;
  }
  [[nodiscard]] bool contains(std::int64_t seq) const {
    const auto page = pages_.find(seq / kPageBits);
    return page != pages_.end() && page->second->test(static_cast<std::size_t>(seq % kPageBits));
  }
  [[nodiscard]] bool has_page_of(std::int64_t seq) const { return pages_.contains(seq / kPageBits); }

 private:
  std::unordered_map<std::int64_t, std::unique_ptr<std::bitset<kPageBits>>> pages_;
};

struct Reading {
  std::string_view device;
  std::int64_t seq = 0;
};

struct DeviceState {
  const LedgerDevice* device = nullptr;
  SeqSet seen;
  std::int64_t highest = 0;
  // The ledger's rows of [window_from, window_to]; readings come in rising order, mostly.
  std::vector<LedgerEntry> window;
  std::int64_t window_from = 1, window_to = 0;
};

}  // namespace

std::string_view name_of(Fault fault) {
  switch (fault) {
    case Fault::kMissing: return "missing";
    case Fault::kDoubled: return "doubled";
    case Fault::kOutOfOrder: return "out of order";
    case Fault::kContentDiffers: return "content differs";
  }
  return "unknown";
}

struct LedgerCheck::Impl {
  const LedgerReader& ledger;
  const std::size_t offenders_max;
  std::size_t window_rows = kWindowMin;
  std::int64_t pages = 0, pages_max = kPagesSpare;
  std::vector<DeviceState> states;
  std::unordered_map<std::string_view, std::size_t> by_name;  // views into the ledger's devices
  std::array<std::size_t, 4> offender_counts{};
  LedgerReport report;
  simdjson::dom::parser parser;

  Impl(const LedgerReader& ledger_in, std::size_t offenders_max_in)
      : ledger(ledger_in), offenders_max(offenders_max_in) {}

  std::optional<Reading> parse(ByteView value);
  Result<const LedgerEntry*> entry_of(DeviceState& state, std::int64_t seq);
  void blame(Fault fault, std::int64_t& count, const DeviceState& state, std::int64_t seq, std::string detail);
  Result<> observe_reading(DeviceState& state, std::int64_t seq, ByteView value, const std::string& where);
};

LedgerCheck::LedgerCheck(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LedgerCheck::~LedgerCheck() = default;

Result<std::unique_ptr<LedgerCheck>> LedgerCheck::create(const LedgerReader& ledger,
                                                         std::size_t offenders_max_per_fault) {
  auto impl = std::make_unique<Impl>(ledger, offenders_max_per_fault);
  const auto& devices = ledger.devices();
  ASSIGN_OR_RETURN(impl->report.acknowledged, ledger.count());
  impl->report.devices = static_cast<std::int64_t>(devices.size());
  impl->window_rows = std::clamp(kWindowBytesAll / sizeof(LedgerEntry) / std::max<std::size_t>(devices.size(), 1),
                                 kWindowMin, kWindowMax);
  impl->pages_max += impl->report.acknowledged / kPageBits + 4 * impl->report.devices;
  impl->states.resize(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    impl->states[i].device = &devices[i];
    impl->by_name.emplace(devices[i].name, i);
  }
  return std::unique_ptr<LedgerCheck>(new LedgerCheck(std::move(impl)));
}

std::optional<Reading> LedgerCheck::Impl::parse(ByteView value) {
  simdjson::dom::element document;
  Reading reading;
  if (parser.parse(value.data(), value.size()).get(document) != simdjson::SUCCESS) return std::nullopt;
  if (document["device"].get(reading.device) != simdjson::SUCCESS) return std::nullopt;
  if (document["seq"].get(reading.seq) != simdjson::SUCCESS || reading.seq < 0) return std::nullopt;
  return reading;
}

/// The ledger's row, or nothing if the ledger has none of that number.
Result<const LedgerEntry*> LedgerCheck::Impl::entry_of(DeviceState& state, std::int64_t seq) {
  if (seq < state.window_from || seq > state.window_to) {
    state.window.clear();
    state.window_from = seq;
    RETURN_IF_ERROR(ledger.for_each(state.device->id, [&](const LedgerEntry& entry) {
      state.window.push_back(entry);
      return state.window.size() < window_rows;
    }, seq));
    // A window that is not full reaches to the ledger's end.
    state.window_to = state.window.size() < window_rows ? INT64_MAX : state.window.back().seq;
  }
  const auto found = std::ranges::lower_bound(state.window, seq, {}, &LedgerEntry::seq);
  return found != state.window.end() && found->seq == seq ? &*found : nullptr;
}

void LedgerCheck::Impl::blame(Fault fault, std::int64_t& count, const DeviceState& state, std::int64_t seq,
                              std::string detail) {
  ++count;
  if (offender_counts[static_cast<std::size_t>(fault)]++ < offenders_max)
    report.offenders.push_back({fault, state.device->name, seq, std::move(detail)});
}

Result<> LedgerCheck::observe(const TopicPartition& partition, Offset offset, ByteView value) {
  ++impl_->report.records;
  const auto reading = impl_->parse(value);
  const auto found = reading ? impl_->by_name.find(reading->device) : impl_->by_name.end();
  if (found == impl_->by_name.end()) {
    ++impl_->report.foreign;
    return {};
  }
  auto& state = impl_->states[found->second];
  if (impl_->pages >= impl_->pages_max && !state.seen.has_page_of(reading->seq)) {
    ++impl_->report.foreign;
    return {};
  }
  return impl_->observe_reading(state, reading->seq, value, fmt::format("{}@{}", partition, offset));
}

Result<> LedgerCheck::Impl::observe_reading(DeviceState& state, std::int64_t seq, ByteView value,
                                            const std::string& where) {
  ASSIGN_OR_RETURN(const auto* const entry, entry_of(state, seq));
  if (state.seen.insert(seq, pages)) {
    if (entry != nullptr && entry->resent) ++report.doubled_by_mqtt;
    else blame(Fault::kDoubled, report.doubled, state, seq, "again at " + where);
    return {};
  }
  if (seq < state.highest)
    blame(Fault::kOutOfOrder, report.out_of_order, state, seq,
          fmt::format("at {}, after seq {}", where, state.highest));
  state.highest = std::max(state.highest, seq);
  if (entry == nullptr) {
    ++report.unacknowledged;
  } else if (entry->payload_bytes != value.size() || entry->payload_crc32c != crc32c(value)) {
    blame(Fault::kContentDiffers, report.content_differs, state, seq,
          fmt::format("at {}: {} bytes, CRC-32C {:08x}; published were {} bytes, {:08x}", where, value.size(),
                      crc32c(value), entry->payload_bytes, entry->payload_crc32c));
  }
  return {};
}

Result<LedgerReport> LedgerCheck::finish() {
  for (const auto& state : impl_->states) {
    RETURN_IF_ERROR(impl_->ledger.for_each(state.device->id, [&](const LedgerEntry& entry) {
      if (!state.seen.contains(entry.seq))
        impl_->blame(Fault::kMissing, impl_->report.missing, state, entry.seq,
                     "acknowledged at " + format_time(entry.acked_ms));
      return true;
    }));
  }
  return impl_->report;
}

}  // namespace tributary
