#include "cluster/cli/group_consumption.h"

#include <algorithm>
#include <map>

#include "cluster/cli/record_printer.h"
#include "cluster/cli/start_text.h"
#include "cluster/client/assignors.h"
#include "cluster/client/group_consumer.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {


class GroupConsumption {
 public:
  GroupConsumption(ClusterClient& client, const ConsumeFlags& flags, const ClusterFlags& cluster, const CommandIo& io)
      : client_(client), flags_(flags), cluster_(cluster), io_(io) {}

  Result<> run();

 private:
  [[nodiscard]] Result<GroupConsumerOptions> options();
  Result<> print(const ConsumedBatch& batch);
  Result<bool> all_printed();
  Result<> end();
  [[nodiscard]] bool enough() const { return flags_.messages_max >= 0 && printed_ >= flags_.messages_max; }

  ClusterClient& client_;
  const ConsumeFlags& flags_;
  const ClusterFlags& cluster_;
  const CommandIo& io_;
  OncePer trouble_{std::chrono::minutes(1)};
  std::unique_ptr<GroupConsumer> consumer_;
  Decompressor decompressor_;
  std::vector<TopicPartition> known_;        // the assignment that ends_ is of
  std::map<TopicPartition, Offset> ends_;    // exclusive
  std::map<TopicPartition, Offset> next_;    // behind the last printed record, of the last poll
  std::int64_t printed_ = 0;
  std::string text_;
};

Result<GroupConsumerOptions> GroupConsumption::options() {
  GroupConsumerOptions options;
  options.group = flags_.group;
  options.topics = flags_.topics;
  if (!flags_.instance_id.empty()) options.instance_id = flags_.instance_id;
  if (!flags_.assignors.empty()) {
    ASSIGN_OR_RETURN(options.assignors, parse_assignors(flags_.assignors));
  }
  options.commit_interval = flags_.commit_interval;
  ASSIGN_OR_RETURN(const auto start, parse_start(flags_.from));
  options.start = start.kind == StartAt::Kind::kLatest ? OnOutOfRange::kLatest : OnOutOfRange::kEarliest;
  options.fetch.unavailable_max = flags_.follow ? Duration::zero() : cluster_.timeout;
  options.fetch.on_trouble = [this](const Error& error) {
    if (error.code == Errc::kOutOfRange) io_.say(error.message);
    else if (trouble_.turn()) io_.say(error.message + "; trying again");
  };
  options.on_assigned = [this](const auto& partitions) {
    io_.say(fmt::format("group {} gave it {}", flags_.group, fmt::join(partitions, ", ")));
  };
  options.on_revoked = [this](const auto& partitions) {
    known_.clear();
    for (const auto& partition : partitions) ends_.erase(partition);
  };
  return options;
}

Result<> GroupConsumption::print(const ConsumedBatch& batch) {
  text_.clear();
  const auto format = record_format(flags_.format);
  RETURN_IF_ERROR(for_each_record(batch, decompressor_, kPrintedBatchBytesMax, [&](const RecordView& record) {
    if (enough()) return false;
    append_record(text_, format, batch.partition, record);
    next_[batch.partition] = record.offset + 1;
    ++printed_;
    return true;
  }));
  return io_.output.write(text_);
}

/// Whether its partitions have been printed up to where they ended when it got them.
Result<bool> GroupConsumption::all_printed() {
  if (flags_.follow || !consumer_->joined()) return false;
  if (const auto assignment = consumer_->assignment(); assignment != known_ || ends_.empty()) {
    std::vector<std::pair<TopicPartition, StartAt>> starts;
    for (const auto& partition : assignment)
      if (!ends_.contains(partition)) starts.emplace_back(partition, StartAt::latest());
    ASSIGN_OR_RETURN(const auto offsets, resolve_offsets(client_, starts, deadline_in(cluster_.timeout)));
    for (std::size_t i = 0; i < starts.size(); ++i) ends_[starts[i].first] = offsets[i];
    known_ = assignment;
  }
  return std::ranges::all_of(ends_, [&](const auto& entry) { return consumer_->position(entry.first) >= entry.second; });
}

/// Commits what was printed, and leaves.
Result<> GroupConsumption::end() {
  // With --max-messages a batch may have been printed in part.
  auto committed = enough() ? consumer_->commit(next_, cluster_.timeout) : consumer_->commit(cluster_.timeout);
  consumer_->close(cluster_.timeout);
  return committed;
}

Result<> GroupConsumption::run() {
  for (const auto& topic : flags_.topics) RETURN_IF_ERROR(client_.topic(topic, deadline_in(cluster_.timeout)));
  ASSIGN_OR_RETURN(auto chosen, options());
  ASSIGN_OR_RETURN(consumer_, GroupConsumer::create(client_, std::move(chosen)));
  while (!io_.stop.requested()) {
    ASSIGN_OR_RETURN(const auto batches, consumer_->poll(kStopPoll));
    next_.clear();
    for (const auto& batch : batches) RETURN_IF_ERROR(print(batch));
    RETURN_IF_ERROR(io_.output.flush());
    if (enough()) break;
    ASSIGN_OR_RETURN(const auto finished, all_printed());
    if (finished) break;
  }
  return end();
}

}  // namespace

Result<std::vector<std::string>> parse_assignors(std::string_view text) {
  std::vector<std::string> assignors;
  for (std::size_t from = 0; from <= text.size();) {
    const auto end = std::min(text.find(',', from), text.size());
    assignors.emplace_back(text.substr(from, end - from));
    if (!is_assignor(assignors.back()))
      return fail(Errc::kInvalidArgument, fmt::format("\"{}\" is no assignor; there are {}, {} and {}", assignors.back(), kRange,
                                                      kRoundRobin, kCooperativeSticky));
    from = end + 1;
  }
  return assignors;
}

Result<> consume_in_group(ClusterClient& client, const ConsumeFlags& flags, const ClusterFlags& cluster,
                          const CommandIo& io) {
  return GroupConsumption(client, flags, cluster, io).run();
}

}  // namespace tributary
