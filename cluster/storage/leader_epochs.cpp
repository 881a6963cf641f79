#include "cluster/storage/leader_epochs.h"

namespace tributary {
namespace {
constexpr std::size_t kFileBytesMax = 16u << 20;
}

LeaderEpochs::LeaderEpochs(FileSystem& fs, std::string folder)
    : fs_(fs), path_(std::move(folder) + "/leader-epoch-checkpoint") {}

bool LeaderEpochs::load() {
  epochs_.clear();
  changed_ = true;
  const auto content = read_file(fs_, path_, kFileBytesMax);
  if (!content) return false;
  auto epochs = parse_epoch_checkpoint(as_string_view(*content));
  if (!epochs) return false;
  epochs_ = *std::move(epochs);
  changed_ = false;
  return true;
}

void LeaderEpochs::note(LeaderEpoch epoch, Offset base_offset) {
  if (epoch <= latest()) return;
  epochs_.push_back({epoch, base_offset});
  changed_ = true;
}

void LeaderEpochs::truncate_from(Offset end_offset) {
  while (!epochs_.empty() && epochs_.back().start_offset >= end_offset) {
    epochs_.pop_back();
    changed_ = true;
  }
}

Result<> LeaderEpochs::assign(LeaderEpoch epoch, Offset start_offset) {
  if (epoch == latest()) return {};
  if (epoch < latest())
    return fail(Errc::kFenced, fmt::format("leader epoch {} is older than {}", epoch, latest()));
  auto epochs = epochs_;
  // An epoch that wrote nothing is replaced, as in Kafka's cache.
  while (!epochs.empty() && epochs.back().start_offset >= start_offset) epochs.pop_back();
  epochs.push_back({epoch, start_offset});
  RETURN_IF_ERROR(write(epochs));
  epochs_ = std::move(epochs);
  return {};
}

Result<> LeaderEpochs::save() { return changed_ ? write(epochs_) : Result<>{}; }

Result<> LeaderEpochs::write(const std::vector<EpochStart>& epochs) {
  RETURN_IF_ERROR(write_file_atomically(fs_, path_, as_bytes(render_epoch_checkpoint(epochs))));
  changed_ = false;
  return {};
}

}  // namespace tributary
