#include "tests/sim/storage/crash_workload.h"

#include <algorithm>

#include "common/record/batch_builder.h"

namespace tributary::sim {
namespace {
constexpr std::size_t kPartitionsMax = 3;
constexpr std::size_t kBatchesMax = 25;  // then the partition is deleted, so that images stay small
}  // namespace

CrashWorkload::CrashWorkload(std::uint64_t seed, Boundary boundary, Front front)
    : random_(seed), boundary_(std::move(boundary)), front_(front), fs_(std::make_unique<SimulatedFileSystem>()) {
  watch(*fs_);
}

void CrashWorkload::watch(SimulatedFileSystem& fs) {
  fs.set_hook([this](SimulatedFileSystem::Operation operation, const std::string&) -> Result<> {
    boundary_(*fs_, truth_);
    if (operation == SimulatedFileSystem::Operation::kSyncData && std::exchange(fail_next_sync_, false))
      return fail(Errc::kIo, "simulated: the sync failed");
    return {};
  });
}

Result<> CrashWorkload::run(int steps) {
  RETURN_IF_ERROR(open());
  RETURN_IF_ERROR(create_partition());
  for (int i = 0; i < steps; ++i) RETURN_IF_ERROR(step());
  boundary_(*fs_, truth_);
  return {};
}

Result<> CrashWorkload::step() {
  const auto partition = random_.below(partitions_.size());
  if (front_ == Front::kGoes && random_.below(5) == 0) return move_front(partition);
  const auto dice = random_.below(1000);
  if (dice < 500) return append_new(partition);
  if (dice < 560) return append_duplicate(partition);
  if (dice < 700) return begin_flush(partition), Result<>{};
  if (dice < 840) return complete_flush();
  if (dice < 890) {
    for (std::size_t i = 0; i < partitions_.size(); ++i)
      directory_->set_recovery_point(truth_[i].partition, partitions_[i].log->stable_offset());
    const auto written = directory_->write_checkpoint();
    return disk_full_ ? Result<>{} : written;
  }
  if (dice < 910) {
    disk_full_ = !disk_full_;
    fs_->set_capacity(1u << 30);
    if (disk_full_) fs_->set_capacity(fs_->used_bytes() + random_.below(1500));
    return {};
  }
  if (disk_full_) return {};  // stops and topics with a full disk are another test's
  if (dice < 935) return partitions_.size() < kPartitionsMax ? create_partition() : Result<>{};
  if (dice < 945) return kill();
  if (dice < 955) return power_cut();
  if (dice < 965) return stop_cleanly();
  if (dice < 975) {
    begin_flush(partition);
    fail_next_sync_ = !outstanding_.empty();
    const auto completed = complete_flush();
    fail_next_sync_ = false;
    RETURN_IF_ERROR(completed);
    return random_.below(2) == 0 ? kill() : power_cut();
  }
  return truth_[partition].sent.size() > kBatchesMax && partitions_.size() > 1 ? delete_partition() : Result<>{};
}

// ---- Topics --------------------------------------------------------------------------------------

Result<> CrashWorkload::create_partition() {
  const auto id = next_topic_id_++;
  PartitionTruth truth;
  // A name is used again after its deletion.
  for (int number = 0;; ++number) {
    truth.partition = {"topic", PartitionIndex(number)};
    if (std::none_of(truth_.begin(), truth_.end(), [&](const auto& t) { return t.partition == truth.partition; }))
      break;
  }
  truth.topic_id = uuid_from_random(id, id);
  truth.may_be_missing = true;
  truth_.push_back(truth);
  auto log = directory_->create_log(truth.partition, truth.topic_id, log_config());
  if (!log) return tl::unexpected<Error>(log.error());
  truth_.back().may_be_missing = false;
  Partition partition;
  partition.log = *std::move(log);
  for (int i = 0; i < 3; ++i) partition.producers.push_back({ProducerId(static_cast<std::int64_t>(100 * id) + i)});
  partitions_.push_back(std::move(partition));
  return {};
}

Result<> CrashWorkload::delete_partition() {
  const auto number = random_.below(partitions_.size());
  std::erase_if(outstanding_, [&](const auto& o) { return o.partition == number; });
  for (auto& outstanding : outstanding_) outstanding.partition -= outstanding.partition > number;
  std::erase_if(to_be_removed_, [&](const auto& path) {
    return path.find("/" + fmt::to_string(truth_[number].partition) + "/") != std::string::npos;
  });
  partitions_.erase(partitions_.begin() + static_cast<std::ptrdiff_t>(number));
  std::rotate(truth_.begin() + static_cast<std::ptrdiff_t>(number),
              truth_.begin() + static_cast<std::ptrdiff_t>(number) + 1, truth_.end());
  truth_.back().may_be_missing = true;
  RETURN_IF_ERROR(directory_->remove_log(truth_.back().partition, truth_.back().topic_id));
  truth_.pop_back();
  return {};
}

// ---- Appending -----------------------------------------------------------------------------------

SentBatch CrashWorkload::next_batch(std::size_t partition, Producer* producer, Offset base_offset) {
  (void)partition;
  SentBatch sent;
  sent.count = static_cast<std::int32_t>(1 + random_.below(4));
  sent.base_offset = base_offset;
  BatchBuilder builder;
  for (std::int32_t i = 0; i < sent.count; ++i) {
    Bytes value(random_.below(i == 0 && random_.below(8) == 0 ? 600 : 60));
    for (auto& byte : value) byte = static_cast<std::uint8_t>(random_.next_u64());
    builder.append(timestamp_ms_ += static_cast<std::int64_t>(random_.below(5)), std::nullopt, ByteView(value));
  }
  BatchOptions options;
  if (producer != nullptr) {
    if (random_.below(30) == 0) {
      ++producer->epoch;
      producer->next_sequence = Sequence(0);
    }
    options.producer_id = sent.producer = producer->id;
    options.producer_epoch = sent.epoch = producer->epoch;
    options.base_sequence = producer->next_sequence;
    producer->next_sequence = advanced(producer->next_sequence, sent.count);
  }
  sent.stored = builder.finish(options).value();
  patch_offset_and_epoch(sent.stored, base_offset, LeaderEpoch(0));
  return sent;
}

Result<> CrashWorkload::append_new(std::size_t partition) {
  auto& producers = partitions_[partition].producers;
  const auto number = random_.below(producers.size() + 1);
  auto* producer = number < producers.size() ? &producers[number] : nullptr;
  const auto before = producer != nullptr ? *producer : Producer{};
  const auto count = disk_full_ || random_.below(8) > 0 ? 1u : 2u;
  std::vector<SentBatch> batches;
  auto next_offset = partitions_[partition].log->log_end_offset();
  for (std::size_t i = 0; i < count; ++i) {
    batches.push_back(next_batch(partition, producer, next_offset));
    next_offset = batches.back().next_offset();
  }
  auto& sent = truth_[partition].sent;
  const auto known = sent.size();
  const auto result = append(partition, std::move(batches));
  if (result) return {};
  // Refused: the producer keeps its numbers.
  for (auto batch = sent.begin() + static_cast<std::ptrdiff_t>(known); batch != sent.end(); ++batch)
    truth_[partition].refused.push_back({std::move(*batch), refusals_++});
  sent.resize(known);
  if (producer != nullptr) *producer = before;
  const bool expected = result.error().code == Errc::kNoSpace && disk_full_;
  return expected ? Result<>{} : result;
}

Result<> CrashWorkload::append(std::size_t partition, std::vector<SentBatch> batches) {
  Bytes records;
  const auto expected = batches.front().base_offset;
  for (auto& batch : batches) {
    records.insert(records.end(), batch.stored.begin(), batch.stored.end());
    truth_[partition].sent.push_back(std::move(batch));
  }
  ASSIGN_OR_RETURN(const auto info, partitions_[partition].log->append(records, LeaderEpoch(0)));
  if (info.duplicate || info.base_offset != expected)
    return fail(Errc::kCorrupt, fmt::format("a new batch got offset {} instead of {}", info.base_offset, expected));
  return {};
}

Result<> CrashWorkload::append_duplicate(std::size_t partition) {
  const auto& sent = truth_[partition].sent;
  if (sent.empty() || sent.back().producer == kNoProducerId) return {};
  const auto info = partitions_[partition].log->append(sent.back().stored, LeaderEpoch(0));
  if (info && info->duplicate && info->base_offset == sent.back().base_offset) return {};
  return fail(Errc::kCorrupt, fmt::format("the newest batch, sent twice, was not recognised: {}",
                                          info ? "appended" : info.error().message));
}

// ---- Flushing ------------------------------------------------------------------------------------

void CrashWorkload::begin_flush(std::size_t partition) {
  if (auto ticket = partitions_[partition].log->begin_flush())
    outstanding_.push_back({partition, *std::move(ticket), refusals_});
}

Result<> CrashWorkload::complete_flush() {
  if (outstanding_.empty()) return {};
  const auto outstanding = std::move(outstanding_.front());
  outstanding_.pop_front();
  auto& log = *partitions_[outstanding.partition].log;
  const auto synced = sync_ticket(*fs_, outstanding.ticket);
  // Acknowledged from here on: what complete_flush itself writes must not matter.
  auto& acked_end = truth_[outstanding.partition].acked_end;
  if (synced && !log.offline()) {
    acked_end = std::max(acked_end, outstanding.ticket.stable_offset);
    std::erase_if(truth_[outstanding.partition].refused,
                  [&](const auto& refused) { return refused.number < outstanding.refusals; });
  }
  log.complete_flush(outstanding.ticket, synced);
  if (log.stable_offset() == acked_end) return {};
  return fail(Errc::kCorrupt, fmt::format("stable is {} after a flush to {}", log.stable_offset(), acked_end));
}

// ---- The front -----------------------------------------------------------------------------------

Result<> CrashWorkload::move_front(std::size_t partition) {
  auto& log = *partitions_[partition].log;
  const auto stable = static_cast<std::uint64_t>(log.stable_offset() - log.log_start_offset());
  switch (random_.below(8)) {
    case 0: {
      const auto by = static_cast<std::int64_t>(random_.below(stable + 1));
      return raise_log_start(partition, log.log_start_offset() + by);
    }
    case 1: return random_.below(4) == 0 ? raise_log_start(partition, log.stable_offset()) : Result<>{};
    case 2: return apply_retention(partition);
    case 3:
    case 4: {
      log.prepare_removal();
      const auto paths = log.take_removable_files().paths;
      to_be_removed_.insert(to_be_removed_.end(), paths.begin(), paths.end());
      return {};
    }
    default: return remove_one_file();
  }
}

Result<> CrashWorkload::apply_retention(std::size_t partition) {
  RetentionLimits limits;
  if (random_.below(2) == 0) limits.bytes = static_cast<std::int64_t>(random_.below(6'000));
  if (random_.below(2) == 0) limits.ms = static_cast<std::int64_t>(random_.below(200));
  ASSIGN_OR_RETURN(const auto point, partitions_[partition].log->retention_point(limits, timestamp_ms_));
  return raise_log_start(partition, point);
}

Result<> CrashWorkload::raise_log_start(std::size_t partition, Offset offset) {
  auto& log = *partitions_[partition].log;
  auto& truth = truth_[partition];
  if (offset <= log.log_start_offset()) return {};
  if (offset == log.log_end_offset() && random_.below(2) == 0) {
    const auto begun = log.start_new_segment();
    if (!begun && !disk_full_) return begun;
  }
  truth.asked_start = std::max(truth.asked_start, offset);
  const auto noted = directory_->raise_log_starts({{truth.partition, offset}});
  if (!noted) return disk_full_ ? Result<>{} : noted;
  truth.acked_start = offset;
  log.raise_log_start(offset);
  return {};
}

Result<> CrashWorkload::remove_one_file() {
  if (to_be_removed_.empty()) return {};
  const auto chosen = to_be_removed_.begin() + static_cast<std::ptrdiff_t>(random_.below(to_be_removed_.size()));
  const auto path = *chosen;
  to_be_removed_.erase(chosen);
  return fs_->exists(path) ? fs_->remove(path) : Result<>{};
}

// ---- Stops ---------------------------------------------------------------------------------------

void CrashWorkload::drop_process() {
  outstanding_.clear();
  to_be_removed_.clear();
  for (auto& partition : partitions_) partition.log.reset();
  directory_.reset();
}

Result<> CrashWorkload::open() {
  ASSIGN_OR_RETURN(directory_, LogDirectory::open(*fs_, clock_, directory_options()));
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    ASSIGN_OR_RETURN(partitions_[i].log, directory_->open_log(truth_[i].partition, log_config()));
  }
  for (std::size_t i = 0; i < partitions_.size(); ++i) RETURN_IF_ERROR(send_lost(i));
  return {};
}

/// What was lost comes again from the producers that number their batches.
Result<> CrashWorkload::send_lost(std::size_t partition) {
  auto& truth = truth_[partition];
  auto& log = *partitions_[partition].log;
  ASSIGN_OR_RETURN(const auto recovered, check_content(log, truth));
  truth.acked_end = log.stable_offset();
  truth.acked_start = truth.asked_start = log.log_start_offset();
  truth.refused.clear();
  const auto kept = truth.sent.begin() + static_cast<std::ptrdiff_t>(recovered.batches);
  std::vector<SentBatch> lost(kept, truth.sent.end());
  truth.sent.erase(kept, truth.sent.end());
  for (auto& batch : lost) {
    if (batch.producer == kNoProducerId) continue;
    batch.base_offset = log.log_end_offset();
    patch_offset_and_epoch(batch.stored, batch.base_offset, LeaderEpoch(0));
    RETURN_IF_ERROR(append(partition, {std::move(batch)}));
  }
  if (!recovered.refused_came_back) return {};
  // Producers go on behind what the log has of them, in an epoch that no lost batch had.
  for (auto& producer : partitions_[partition].producers) {
    ++producer.epoch;
    producer.next_sequence = Sequence(0);
  }
  return {};
}

Result<> CrashWorkload::kill() {
  drop_process();
  return open();
}

Result<> CrashWorkload::power_cut() {
  drop_process();
  fs_ = fs_->after_power_cut(random_);
  watch(*fs_);
  return open();
}

Result<> CrashWorkload::stop_cleanly() {
  while (!outstanding_.empty()) RETURN_IF_ERROR(complete_flush());
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    RETURN_IF_ERROR(partitions_[i].log->close_cleanly());
    truth_[i].acked_end = partitions_[i].log->stable_offset();
    directory_->set_recovery_point(truth_[i].partition, truth_[i].acked_end);
  }
  RETURN_IF_ERROR(directory_->mark_clean_shutdown());
  drop_process();
  return open();
}

}  // namespace tributary::sim
