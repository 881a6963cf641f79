#include "cluster/server/shard_groups.h"

#include "cluster/groups/partition_of.h"
#include "cluster/server/cluster_image.h"
#include "cluster/server/internal_topics.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/record/record_batch.h"
#include "common/record/record_reader.h"
#include "common/telemetry/log.h"

namespace tributary {
namespace {

/// Read in one go, so that the shard's other work waits no longer than that takes.
constexpr std::uint32_t kLoadBytes = 1 << 20;
constexpr std::size_t kDecompressedBytesMax = 64 << 20;
constexpr auto kAppendTimeout = std::chrono::seconds(10);
constexpr auto kLoadRetry = std::chrono::seconds(1);
/// Below the offsets topic's max.message.bytes, so that the log takes what is built.
constexpr std::size_t kAppendBytesMax = kOffsetsBatchBytesMax - (1 << 20);
constexpr std::size_t kKeptBytes = 1 << 20;

}  // namespace

/// One append's way back.
class ShardGroups::Appended final : public AppendObserver {
 public:
  Appended(ShardGroups& groups, AppendTicket ticket) : groups_(groups), ticket_(ticket) {}
  void on_appended(std::uint32_t, AppendOutcome outcome) override { groups_.appended(ticket_, outcome.error); }

 private:
  ShardGroups& groups_;
  const AppendTicket ticket_;
};

ShardGroups::ShardGroups(const GroupOptions& options, Shard& shard, const Clock& clock)
    : options_(options),
      shard_(shard),
      clock_(clock),
      random_(random_u64_from_os()),
      coordinator_(std::make_unique<GroupCoordinator>(options, random_, now())),
      read_trouble_(std::chrono::minutes(1), clock) {}

ShardGroups::~ShardGroups() = default;

void ShardGroups::start() {
  shard_.run_and_wait([this] {
    shard_.on_image([this] { follow(*shard_.image()); });
    follow(*shard_.image());
  });
}

void ShardGroups::stop() {
  shard_.run_and_wait([this] {
    shard_.on_image(nullptr);
    follow_offsets_topic(ClusterImage());
    pump();
    timer_.reset();
    load_timer_.reset();
    stopped_ = true;
  });
}

Moment ShardGroups::now() const { return {clock_.mono_now(), clock_.wall_now_ms()}; }

void ShardGroups::ask(const Ask& ask, Reply reply) {
  const auto token = next_token_;
  next_token_ = next_token_ + 1;
  replies_.emplace(token, std::move(reply));
  ask(*coordinator_, now(), token);
  pump();
}

void ShardGroups::connection_lost(const std::string& group_id, const std::string& member_id, ReplyToken last) {
  coordinator_->connection_lost(now(), group_id, member_id, last);
  pump();
}

// ---- The log -----------------------------------------------------------------------------------------

void ShardGroups::follow(const ClusterImage& image) {
  if (image_) {
    for (const auto& [name, topic] : image_->topics()) {
      const auto* still = image.find(name);
      if (!still || still->topic.id != topic->topic.id) coordinator_->topic_deleted(name);
    }
  }
  image_ = shard_.image();
  follow_offsets_topic(image);
  pump();
}

void ShardGroups::follow_offsets_topic(const ClusterImage& image) {
  const auto* topic = image.find(kOffsetsTopic);
  const auto count = topic ? topic->partitions.size() : 0;
  if (topic && static_cast<std::int32_t>(count) != options_.offsets_partitions) {
    // Its number of partitions is that of the broker's first start; ServerContext has taken it over since.
    log_error("groups", "the offsets topic has another number of partitions than the broker goes by",
              {{"partitions", count}, {"expected", options_.offsets_partitions}});
    return;
  }
  partitions_.resize(static_cast<std::size_t>(options_.offsets_partitions));
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    std::shared_ptr<Partition> found;
    if (topic && &topic->partitions[i]->shard() == &shard_) found = topic->partitions[i];
    if (found == partitions_[i]) continue;
    const auto index = static_cast<std::int32_t>(i);
    if (partitions_[i]) coordinator_->unload(index);
    partitions_[i] = found;
    std::erase_if(loading_, [&](const Loading& loading) { return loading.index == index; });
    if (!found || !found->is_open()) continue;
    coordinator_->start_loading(index);
    loading_.push_back({index, found, found->offset_for(ListOffsetsRequest::kEarliest, kNoLeaderEpoch).found.offset});
  }
  if (!loading_.empty() && !load_posted_) load_some();
}

// One chunk, then the shard's other work.
void ShardGroups::load_some() {
  load_posted_ = false;
  if (loading_.empty()) return;
  auto& loading = loading_.front();
  const auto more = load_chunk(loading);
  if (!more) {
    // Tried again, after the others; meanwhile its groups' clients are told that it loads.
    if (auto turn = read_trouble_.turn()) {
      log_error("groups", "a partition of the offsets topic cannot be read: its groups are not served",
                {{"partition", loading.index}, {"error", more.error().message}, {"unsaid", turn.suppressed}});
    }
    std::rotate(loading_.begin(), loading_.begin() + 1, loading_.end());
  } else if (!*more) {
    loaded(loading);
    loading_.pop_front();
  }
  pump();
  if (loading_.empty()) return Bytes().swap(chunk_);
  load_posted_ = true;
  if (more) return shard_.post([this] { load_some(); });
  load_timer_ = shard_.after(kLoadRetry, [this] { load_some(); });
}

Result<bool> ShardGroups::load_chunk(Loading& loading) {
  auto outcome = loading.partition->read(loading.next, kLoadBytes, kNoLeaderEpoch);
  if (outcome.error != ErrorCode::kNone) return fail(Errc::kIo, fmt::format("{}", outcome.error));
  if (outcome.slice.length == 0) return false;
  RETURN_IF_ERROR(read_slice(outcome.slice));
  BatchIterator batches(chunk_, PartialTail::kIgnore);
  for (;;) {
    ASSIGN_OR_RETURN(const auto batch, batches.next());
    if (!batch) break;
    if (const auto loaded = load_batch(loading, batch->bytes); !loaded) {
      loading.pass_over(batch->header.base_offset, loaded.error());
    }
    loading.next = batch->header.next_offset();
  }
  return true;
}

Result<> ShardGroups::read_slice(const LogSlice& slice) {
  chunk_.resize(slice.length);
  ASSIGN_OR_RETURN(const auto count, slice.file->read_at(slice.position, chunk_));
  if (count != chunk_.size()) return fail(Errc::kCorrupt, fmt::format("{} bytes of {}", count, chunk_.size()));
  return {};
}

Result<> ShardGroups::load_batch(Loading& loading, ByteView batch) {
  RETURN_IF_ERROR(validate_stored_batch(batch));
  ASSIGN_OR_RETURN(auto reader, RecordReader::open(batch, kDecompressedBytesMax, decompressor_));
  if (reader.header().control()) return {};
  RecordView record;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) return {};
    const auto loaded = coordinator_->load_record(loading.index, record.key.value_or(ByteView{}), record.value);
    if (!loaded) loading.pass_over(record.offset, loaded.error());
  }
}

void ShardGroups::Loading::pass_over(Offset offset, const Error& why) {
  if (malformed++ == 0) first_malformed = fmt::format("offset {}: {}", offset, why.message);
}

void ShardGroups::loaded(const Loading& loading) {
  if (loading.malformed > 0) {
    log_error("groups", "what is malformed in a partition of the offsets topic was passed over",
              {{"partition", loading.index}, {"count", loading.malformed}, {"first", loading.first_malformed}});
  }
  coordinator_->finish_loading(now(), loading.index);
  for (const auto& topic : coordinator_->committed_topics(loading.index)) {
    if (!image_->find(topic)) coordinator_->topic_deleted(topic);
  }
}

// ---- What the coordinator wants done -----------------------------------------------------------------

// Carrying out may bring the next event at once: that is taken up after the actions at hand.
void ShardGroups::pump() {
  if (pumping_) return;
  pumping_ = true;
  for (auto actions = coordinator_->take_actions(); !actions.empty(); actions = coordinator_->take_actions()) {
    for (auto& action : actions) {
      if (auto* wanted = std::get_if<GroupAppend>(&action)) {
        append(*wanted);
        continue;
      }
      auto& answer = std::get<GroupReply>(action);
      auto waiting = replies_.extract(answer.token);
      if (waiting) waiting.mapped()(std::move(answer.result));
    }
  }
  pumping_ = false;
  arm();
}

void ShardGroups::append(const GroupAppend& append) {
  const auto& partition = partitions_[static_cast<std::size_t>(append.partition)];
  if (!partition) return appended(append.ticket, ErrorCode::kNotLeaderOrFollower);
  std::size_t bytes = 0;
  for (const auto& [key, value] : append.records) bytes += key.size() + (value ? value->size() : 0);
  // Before memory is taken for it.
  if (bytes > kAppendBytesMax) return appended(append.ticket, ErrorCode::kMessageTooLarge);
  const auto wall = clock_.wall_now_ms();
  for (const auto& [key, value] : append.records) {
    builder_.append(wall, ByteView(key), value ? std::optional(ByteView(*value)) : std::nullopt);
  }
  const auto batch = builder_.finish({});
  if (!batch) {
    builder_.clear();
    return appended(append.ticket, ErrorCode::kUnknownServerError);
  }
  if (bytes > kKeptBytes) builder_ = BatchBuilder();
  partition->append(*batch, true, kAppendTimeout, std::make_shared<Appended>(*this, append.ticket), 0);
}

void ShardGroups::appended(AppendTicket ticket, ErrorCode error) {
  coordinator_->appended(now(), ticket, error);
  pump();
}

void ShardGroups::arm() {
  const auto deadline = stopped_ ? MonoTime::max() : coordinator_->next_deadline();
  if (deadline == armed_for_ && timer_) return;
  armed_for_ = deadline;
  timer_.reset();
  if (deadline == MonoTime::max()) return;
  timer_ = shard_.after(std::max(deadline - clock_.mono_now(), Duration::zero()), [this] {
    armed_for_ = MonoTime::max();
    coordinator_->tick(now());
    pump();
  });
}

}  // namespace tributary
