#include "cluster/client/consumer_protocol.h"

#include <algorithm>

#include "cluster/client/assignors.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {

constexpr std::int16_t kSubscriptionVersion = 3, kAssignmentVersion = 0;

void write_string(ByteWriter& out, std::string_view text) {
  out.i16(static_cast<std::int16_t>(text.size()));
  out.bytes(as_bytes(text));
}

void write_partitions(ByteWriter& out, const std::vector<TopicPartition>& partitions) {
  std::map<std::string, std::vector<PartitionIndex>> topics;
  for (const auto& partition : partitions) topics[partition.topic].push_back(partition.partition);
  out.i32(static_cast<std::int32_t>(topics.size()));
  for (auto& [topic, indexes] : topics) {
    std::ranges::sort(indexes);
    write_string(out, topic);
    out.i32(static_cast<std::int32_t>(indexes.size()));
    for (const auto index : indexes) out.i32(index.value());
  }
}

void write_no_user_data(ByteWriter& out) { out.i32(-1); }

std::string read_string(ByteReader& in) {
  const auto length = in.i16();
  if (length < 0) in.mark_failed();
  return std::string(as_string_view(in.bytes(static_cast<std::size_t>(std::max<std::int16_t>(length, 0)))));
}

ByteView read_user_data(ByteReader& in) {
  const auto length = in.i32();
  return length > 0 ? in.bytes(static_cast<std::size_t>(length)) : ByteView{};
}

/// Elements of a list, each of which takes `element_bytes_min` bytes at least; null counts as none.
std::int32_t read_count(ByteReader& in, std::size_t element_bytes_min) {
  const auto count = std::max(in.i32(), 0);
  if (in.remaining() / element_bytes_min >= static_cast<std::size_t>(count)) return count;
  in.mark_failed();
  return 0;
}

std::vector<TopicPartition> read_partitions(ByteReader& in) {
  std::vector<TopicPartition> partitions;
  const auto topics = read_count(in, 6);
  for (std::int32_t t = 0; t < topics && in.ok(); ++t) {
    const auto topic = read_string(in);
    const auto indexes = read_count(in, 4);
    for (std::int32_t i = 0; i < indexes; ++i) partitions.push_back({topic, PartitionIndex(in.i32())});
  }
  std::ranges::sort(partitions);
  return partitions;
}

/// What is something else has none: user data is each assignor's own.
GenerationId generation_in(ByteView user_data) {
  ByteReader in(user_data);
  if (user_data.size() > sizeof(std::int32_t)) (void)read_partitions(in);
  const auto generation = in.i32();
  return in.ok() && in.remaining() == 0 && generation >= 0 ? GenerationId(generation) : kNoGenerationId;
}

}  // namespace

Bytes encode(const Subscription& subscription, std::string_view assignor) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.i16(kSubscriptionVersion);
  out.i32(static_cast<std::int32_t>(subscription.topics.size()));
  for (const auto& topic : subscription.topics) write_string(out, topic);
  if (assignor == kCooperativeSticky) {
    out.i32(sizeof(std::int32_t));
    out.i32(subscription.generation.value());
  } else {
    write_no_user_data(out);
  }
  write_partitions(out, subscription.owned);
  out.i32(subscription.generation.value());
  out.i16(-1);  // no rack
  return bytes;
}

Result<Subscription> decode_subscription(ByteView bytes) {
  ByteReader in(bytes);
  Subscription subscription;
  const auto version = in.i16();
  const auto topics = read_count(in, 2);
  for (std::int32_t i = 0; i < topics && in.ok(); ++i) subscription.topics.push_back(read_string(in));
  const auto user_data = read_user_data(in);
  if (version >= 1) subscription.owned = read_partitions(in);
  if (version >= 2) subscription.generation = GenerationId(std::max(in.i32(), kNoGenerationId.value()));
  if (subscription.generation == kNoGenerationId) subscription.generation = generation_in(user_data);
  if (!in.ok() || version < 0) return fail(Errc::kCorrupt, "a member's metadata is no subscription");
  return subscription;
}

Bytes encode_assignment(const std::vector<TopicPartition>& partitions) {
  Bytes bytes;
  ByteWriter out(bytes);
  out.i16(kAssignmentVersion);
  write_partitions(out, partitions);
  write_no_user_data(out);
  return bytes;
}

Result<std::vector<TopicPartition>> decode_assignment(ByteView bytes) {
  if (bytes.empty()) return std::vector<TopicPartition>{};
  ByteReader in(bytes);
  const auto version = in.i16();
  auto partitions = read_partitions(in);
  (void)read_user_data(in);
  if (!in.ok() || version < 0) return fail(Errc::kCorrupt, "the group's leader gave what is no assignment");
  return partitions;
}

}  // namespace tributary
