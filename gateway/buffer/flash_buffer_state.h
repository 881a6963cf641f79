#pragma once
// What the buffer keeps beside its database; private to its sources.

#include <atomic>
#include <map>
#include <set>
#include <span>

#include "common/env/file_system.h"
#include "common/sqlite/database.h"
#include "gateway/buffer/flash_buffer.h"

namespace tributary {

// A damaged batch whose pages cannot be given back safely stays in `batches`, and has a row in `restamped`
// that leads nowhere (rowids begin at 1).
#define TRIBUTARY_NOWHERE "0"

// A row of `batches` as its newest stamp says; the columns that info_of() reads.
#define TRIBUTARY_SELECT_STAMPED(columns)                                                          \
  "SELECT b.id, coalesce(r.destination, b.destination), coalesce(r.producer_id, b.producer_id),"   \
  " coalesce(r.epoch, b.epoch), coalesce(r.base_sequence, b.base_sequence), b.record_count,"       \
  " b.payload_bytes, b.size, b.received_ms" columns                                                \
  " FROM batches b LEFT JOIN restamped r ON r.id = b.id "                                          \
  "WHERE r.destination IS NOT " TRIBUTARY_NOWHERE " "

// For `batches` alone, from one of its ends: looks no further than the first that is not given up.
#define TRIBUTARY_NOT_GIVEN_UP                                                                     \
  "NOT EXISTS(SELECT 1 FROM restamped r WHERE r.id = batches.id AND r.destination = " TRIBUTARY_NOWHERE ") "

/// In [2^61, 2^62).
[[nodiscard]] ProducerId random_producer_id();

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
  BatchId last_id_taken{0};

  Database database;
  Statement insert_batch, delete_batch, delete_restamp, insert_destination, insert_restamp, insert_nowhere;
  Statement select_infos, select_batch, set_mapping, set_identity, select_oldest;
  Statement select_first_id, select_last_id;

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
  /// Those in `undeletable` are left where they are, and lead nowhere; it grows by those whose pages turn
  /// out to be damaged.
  Result<> remove(std::span<const BatchId> ids, std::set<BatchId>& undeletable);
  Result<> try_remove(std::span<const BatchId> ids, std::set<BatchId>& undeletable);
  [[nodiscard]] SealedBatchInfo info_of(const Statement& row) const;
};

}  // namespace tributary
