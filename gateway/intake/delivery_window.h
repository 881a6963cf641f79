#pragma once
// Which packet ids the newest readings came with: tells a redelivery from an equal new reading.

#include <deque>
#include <unordered_map>

#include "gateway/intake/reading.h"

namespace tributary {

/// Remembers the last `size` readings that have a packet id. MQTT reuses packet ids, so only the newest
/// reading of an id counts (MQTT 5, 2.2.1). Not thread-safe.
class DeliveryWindow {
 public:
  explicit DeliveryWindow(std::size_t size) : size_(size) {}

  [[nodiscard]] bool is_redelivery(Delivery delivery, std::uint64_t content_hash) const {
    if (!delivery.dup || delivery.packet_id == 0) return false;
    const auto found = newest_.find(delivery.packet_id);
    return found != newest_.end() && found->second.content_hash == content_hash;
  }

  /// In ascending order of `id`.
  void remember(ReadingId id, std::uint16_t packet_id, std::uint64_t content_hash) {
    if (packet_id == 0) return;
    newest_[packet_id] = {id, content_hash};
    order_.emplace_back(id, packet_id);
    if (order_.size() <= size_) return;
    const auto [oldest_id, oldest_packet_id] = order_.front();
    order_.pop_front();
    const auto found = newest_.find(oldest_packet_id);
    if (found != newest_.end() && found->second.id == oldest_id) newest_.erase(found);
  }

  void clear() {
    newest_.clear();
    order_.clear();
  }

  /// Readings with a smaller id are not needed any more; `otherwise` if nothing is remembered.
  [[nodiscard]] ReadingId oldest(ReadingId otherwise) const {
    return order_.empty() ? otherwise : order_.front().first;
  }

 private:
  struct Newest {
    ReadingId id{0};
    std::uint64_t content_hash = 0;
  };
  std::size_t size_;
  std::unordered_map<std::uint16_t, Newest> newest_;
  std::deque<std::pair<ReadingId, std::uint16_t>> order_;
};

}  // namespace tributary
