#pragma once
// What the intake keeps beside its database; private to its sources.

#include <deque>
#include <map>
#include <mutex>

#include "common/env/file_system.h"
#include "common/sqlite/database.h"
#include "gateway/intake/delivery_window.h"
#include "gateway/intake/intake.h"

namespace tributary {

/// What a row costs beside its fields, roughly: ids, times, SQLite's cell and page overhead.
inline constexpr std::size_t kRowOverhead = 64;
inline constexpr std::int64_t kPageBytes = 4096;

struct Intake::State {
  State(FolderLock held, std::string its_folder) : lock(std::move(held)), folder(std::move(its_folder)) {}

  FolderLock lock;
  const std::string folder;
  std::string boot_id;  // empty if nobody knows
  bool on_tmpfs = false;
  std::function<void()> wake;

  mutable std::mutex mutex;  // protects all below
  Database database;
  Statement insert_reading, select_readings, drop_readings, insert_delivery, delete_delivery;
  Statement insert_topic, insert_destination, insert_sealed, set_sequence, set_cursor, delete_sealed;
  Statement select_bytes, insert_acked, delete_acked, set_boot;

  IntakeBinding bound;
  bool is_bound = false;
  std::string bound_in_boot;  // empty: before boots were noted
  ReadingId sealed_up_to{0};
  ReadingId read_up_to{0};
  ReadingId newest{0};
  BatchId next_batch_id{1};
  std::map<std::string, std::int64_t, std::less<>> topic_ids;
  std::map<std::int64_t, std::string> topic_names;
  struct Destination {
    std::int64_t row = 0;
    Sequence next_sequence{0};
  };
  std::map<TopicPartition, Destination> destinations;
  DeliveryWindow deliveries;
  std::vector<std::uint16_t> settled;  // in memory; their rows go with the next store()
  std::deque<std::uint32_t> unsealed_sizes;  // of the readings (sealed_up_to, newest]
  std::size_t unsealed_bytes = 0;
  std::size_t unread_bytes = 0;
  std::map<BatchId, std::size_t> sealed_sizes;
  std::size_t sealed_bytes = 0;
  std::size_t wake_at_bytes = 0;
  struct Stored {
    std::uint16_t packet_id = 0;
    std::uint64_t hash = 0;
    std::uint32_t size = 0;
  };
  std::vector<Stored> storing;  // of one call of store()
  Bytes properties_scratch;
  std::vector<UserProperty> decoded_scratch;

  Result<StoreOutcome> store(const Arrival& arrival);
  [[nodiscard]] bool is_redelivery(Delivery delivery, std::uint64_t hash) const;
  void note_stored();
  Result<> prepare();
  Result<> load();
  Result<> load_readings();
  Result<> load_deliveries();
  Result<> drop_settled();
  Result<std::int64_t> topic_id(std::string_view name);
  Result<std::int64_t> destination_row(const TopicPartition& destination);
  void note_sealed(ReadingId last, const std::vector<SealedBatch>& batches);
};

}  // namespace tributary
