#include "tests/sim/storage/crash_check.h"

#include <algorithm>

#include "cluster/storage/producer_states.h"

namespace tributary::sim {
namespace {

tl::unexpected<Error> wrong(const TopicPartition& partition, std::string what) {
  return fail(Errc::kCorrupt, fmt::format("{}: {}", partition, what));
}

bool is(const Result<AppendInfo>& result, Errc code) { return !result && result.error().code == code; }

struct FoundBatch {
  const SentBatch* batch = nullptr;
  bool refused = false;
};

FoundBatch find_batch(const PartitionTruth& truth, Offset base_offset, ByteView bytes) {
  const auto is_it = [&](const SentBatch& sent) {
    return sent.base_offset == base_offset && std::ranges::equal(sent.stored, bytes);
  };
  for (const auto& sent : truth.sent)
    if (is_it(sent)) return {&sent, false};
  if (base_offset >= truth.acked_end)
    for (const auto& refused : truth.refused)
      if (is_it(refused.batch)) return {&refused.batch, true};
  return {};
}

}  // namespace

Result<Recovered> check_content(Log& log, PartitionTruth& truth) {
  const auto& tp = truth.partition;
  const auto start = log.log_start_offset();
  if (start < truth.acked_start || start > truth.asked_start)
    return wrong(tp, fmt::format("it starts with {}, but was said to start with {}, and asked to with {}", start,
                                 truth.acked_start, truth.asked_start));
  if (log.stable_offset() != log.log_end_offset()) return wrong(tp, "not all is stable after opening");
  if (log.log_end_offset() < truth.acked_end)
    return wrong(tp, fmt::format("it ends with {}, but was acknowledged up to {} ({})", log.log_end_offset(),
                                 truth.acked_end, log.recovery().cut_reason));
  Recovered recovered;
  const auto is_removed = [&](const SentBatch& sent) { return sent.next_offset() <= start; };
  std::vector<SentBatch> held(truth.sent.begin(), std::ranges::find_if_not(truth.sent, is_removed));
  auto next = start;
  while (next < log.log_end_offset()) {
    ASSIGN_OR_RETURN(const auto slice, log.read(next, 2000, log.stable_offset(), true));
    if (slice.length == 0) return wrong(tp, fmt::format("nothing to read at {}", next));
    Bytes bytes(slice.length);
    ASSIGN_OR_RETURN(const auto count, slice.file->read_at(slice.position, bytes));
    if (count != bytes.size()) return wrong(tp, "a slice is longer than its file");
    BatchIterator batches(bytes);
    while (true) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      const auto found = find_batch(truth, batch->header.base_offset, batch->bytes);
      if (found.batch == nullptr)
        return wrong(tp, fmt::format("the batch at {} was never sent so", batch->header.base_offset));
      recovered.refused_came_back |= found.refused;
      held.push_back(*found.batch);
      next = batch->header.next_offset();
    }
    if (next != slice.next_offset) return wrong(tp, "a slice's next_offset is wrong");
  }
  recovered.batches = held.size();
  if (recovered.refused_came_back) truth.sent = std::move(held);
  return recovered;
}

LogDirectoryOptions directory_options() {
  LogDirectoryOptions options;
  options.folder = kDataFolder;
  options.lock = false;
  return options;
}

LogConfig log_config() {
  LogConfig config;
  config.segment_bytes = 1500;
  config.index_interval_bytes = 200;
  return config;
}

Result<> CrashCheck::run(SimulatedFileSystem& image) { return check(image, truth_, 0); }

Result<> CrashCheck::check(SimulatedFileSystem& image, const Truth& truth, int depth) {
  constexpr int kDepthMax = 1;
  ++opened_;
  std::vector<std::unique_ptr<SimulatedFileSystem>> crashed_while_opening;
  if (depth < kDepthMax)
    image.set_hook([&](SimulatedFileSystem::Operation, const std::string&) -> Result<> {
      if (random_.below(40) == 0)
        crashed_while_opening.push_back(random_.below(2) == 0 ? image.copy() : image.after_power_cut(random_));
      return {};
    });
  std::unique_ptr<LogDirectory> directory;
  auto opened = open_all(image, truth, directory);
  image.set_hook(nullptr);
  if (!opened) return tl::unexpected<Error>(opened.error());
  for (const auto& crashed : crashed_while_opening)
    if (auto result = check(*crashed, truth, depth + 1); !result)
      return in_context("after a crash while opening", result.error());
  if (depth == kDepthMax && random_.below(4) > 0) return {};
  if (depth > kDepthMax) return {};

  // What a log shows after opening is stable from then on.
  Truth stable;
  const bool go_on = random_.below(3) > 0;
  for (auto& open : *opened) {
    if (go_on) {
      RETURN_IF_ERROR(send_again(open));
      RETURN_IF_ERROR(open.log->flush());
      RETURN_IF_ERROR(go_on_removing(*open.log, image));
    }
    open.truth.may_be_missing = false;
    open.truth.acked_end = open.log->stable_offset();
    open.truth.acked_start = open.truth.asked_start = open.log->log_start_offset();
    open.truth.refused.clear();
    stable.push_back(open.truth);
  }
  if (go_on && random_.below(3) == 0) {
    for (auto& open : *opened) {
      RETURN_IF_ERROR(open.log->close_cleanly());
      directory->set_recovery_point(open.truth.partition, open.log->stable_offset());
    }
    RETURN_IF_ERROR(directory->mark_clean_shutdown());
  }
  opened->clear();
  directory.reset();
  auto later = image.after_power_cut(random_);
  if (auto result = check(*later, stable, depth + 1); !result)
    return in_context(go_on ? "after going on, and a power cut" : "after opening, and a power cut", result.error());
  return {};
}

Result<CrashCheck::Opened> CrashCheck::open_all(SimulatedFileSystem& image, const Truth& truth,
                                                std::unique_ptr<LogDirectory>& directory) {
  ASSIGN_OR_RETURN(directory, LogDirectory::open(image, clock_, directory_options()));
  Opened opened;
  for (const auto& expected : truth) {
    const auto found = std::find_if(directory->found().begin(), directory->found().end(),
                                    [&](const auto& f) { return f.partition == expected.partition; });
    if (found == directory->found().end()) {
      if (expected.may_be_missing) continue;
      return wrong(expected.partition, "the partition is gone");
    }
    if (found->topic_id != expected.topic_id)
      return wrong(expected.partition, "the topic id is gone or another one");
    ASSIGN_OR_RETURN(auto log, directory->open_log(expected.partition, log_config()));
    opened.push_back({expected, std::move(log), {}});
    ASSIGN_OR_RETURN(opened.back().recovered, check_content(*opened.back().log, opened.back().truth));
  }
  for (const auto& found : directory->found())
    if (std::none_of(truth.begin(), truth.end(), [&](const auto& t) { return t.partition == found.partition; }))
      return wrong(found.partition, "a deleted partition is back");
  return opened;
}

/// As producers do that have no answer: all of their last batches, in order.
Result<> CrashCheck::send_again(OpenPartition& open) {
  auto& sent = open.truth.sent;
  // Nothing if a refused batch came back: its producer would have sent that one again.
  std::vector<SentBatch> lost(sent.begin() + static_cast<std::ptrdiff_t>(open.recovered.batches), sent.end());
  sent.resize(open.recovered.batches);
  for (std::size_t index = 0; index < sent.size(); ++index)
    if (sent[index].producer != kNoProducerId) RETURN_IF_ERROR(expect_known(open, index));
  for (auto& batch : lost) {
    sent.push_back(std::move(batch));
    RETURN_IF_ERROR(expect_new(open, sent.size() - 1));
  }
  for (std::size_t index = 0; index < sent.size(); ++index)
    if (sent[index].producer != kNoProducerId && random_.below(4) == 0)
      RETURN_IF_ERROR(expect_known(open, index));
  return {};
}

/// What was to be removed when the crash came is removed now, or half of it.
Result<> CrashCheck::go_on_removing(Log& log, SimulatedFileSystem& image) {
  if (!log.has_removable_segments()) return {};
  log.prepare_removal();
  while (log.wants_flush()) RETURN_IF_ERROR(log.flush());
  for (const auto& path : log.take_removable_files().paths)
    if (image.exists(path) && random_.below(2) == 0) RETURN_IF_ERROR(image.remove(path));
  if (log.has_removable_segments()) return fail(Errc::kCorrupt, "segments are left that should go");
  return {};
}

Result<> CrashCheck::expect_known(OpenPartition& open, std::size_t index) {
  const auto& sent = open.truth.sent;
  const auto& batch = sent[index];
  std::size_t newer = 0;
  bool fenced = false;
  for (auto later = index + 1; later < sent.size(); ++later) {
    if (sent[later].producer != batch.producer) continue;
    ++newer;
    fenced = fenced || sent[later].epoch > batch.epoch;
  }
  const auto end = open.log->log_end_offset();
  const auto info = open.log->append(batch.stored, LeaderEpoch(0));
  bool right = false;
  if (fenced) {
    right = is(info, Errc::kFenced);
  } else if (newer < ProducerEntry::kBatchesMax) {
    right = info && info->duplicate && info->base_offset == batch.base_offset &&
            info->last_offset == batch.next_offset() - 1;
  } else {
    right = is(info, Errc::kDuplicateSequence) || is(info, Errc::kUnavailable);
  }
  if (right && open.log->log_end_offset() == end) return {};
  return wrong(open.truth.partition,
               fmt::format("the batch at {} (producer {}, {} newer ones) was not recognised: {}", batch.base_offset,
                           batch.producer, newer, info ? "appended" : info.error().message));
}

Result<> CrashCheck::expect_new(OpenPartition& open, std::size_t index) {
  const auto& batch = open.truth.sent[index];
  const auto end = open.log->log_end_offset();
  ASSIGN_OR_RETURN(const auto info, open.log->append(batch.stored, LeaderEpoch(0)));
  if (!info.duplicate && info.base_offset == end && info.base_offset == batch.base_offset) return {};
  return wrong(open.truth.partition, fmt::format("the lost batch for {} was taken for a duplicate of {}",
                                                 batch.base_offset, info.base_offset));
}

}  // namespace tributary::sim
