#pragma once
// Which packet ids the MQTT broker may deliver again: tells a redelivery from an equal new reading.

#include <unordered_map>

#include "gateway/intake/reading.h"

namespace tributary {

/// Of each packet id the newest reading that has it, until the broker is known to have taken its PUBACK (settle). A
/// broker may have any number of them in flight: Mosquitto 2.0 goes beyond the receive maximum after a reconnection.
/// MQTT reuses packet ids, so only the newest reading of an id counts (MQTT 5, 2.2.1). Not thread-safe.
class DeliveryWindow {
 public:
  [[nodiscard]] bool is_redelivery(Delivery delivery, std::uint64_t content_hash) const {
    if (!delivery.dup || delivery.packet_id == 0) return false;
    const auto found = newest_.find(delivery.packet_id);
    return found != newest_.end() && found->second.content_hash == content_hash;
  }

  /// In ascending order of `id`.
  void remember(ReadingId id, std::uint16_t packet_id, std::uint64_t content_hash) {
    if (packet_id != 0) newest_[packet_id] = {id, content_hash};
  }

  /// True if it was known, and its reading is not newer than `up_to`.
  bool settle(std::uint16_t packet_id, ReadingId up_to) {
    const auto found = newest_.find(packet_id);
    if (found == newest_.end() || found->second.id > up_to) return false;
    newest_.erase(found);
    return true;
  }

  void clear() { newest_.clear(); }
  [[nodiscard]] std::size_t size() const { return newest_.size(); }

 private:
  struct Newest {
    ReadingId id{0};
    std::uint64_t content_hash = 0;
  };
  std::unordered_map<std::uint16_t, Newest> newest_;
};

}  // namespace tributary
