#include "gateway/sealer/sealer.h"

#include <cstring>

#include "common/base/check.h"

namespace tributary {
namespace {

/// Lengths, varints and attributes of a record and of each header, at most.
constexpr std::size_t kRecordOverhead = 40;
constexpr std::size_t kHeaderOverhead = 10;
constexpr std::size_t kPartitionsPerSeal = 4;
/// What the buffers may keep between seals.
constexpr std::size_t kKeptBytes = 2 << 20;
constexpr std::size_t kKeptHeaders = 1024;

std::size_t record_bytes_of(const ReadingView& reading) {
  std::size_t bytes = kRecordOverhead + reading.key.size() + reading.payload.size() + kHeaderOverhead +
                      kMqttTopicHeader.size() + reading.mqtt_topic.size();
  for (const auto& property : reading.properties) {
    bytes += kHeaderOverhead + property.name.size() + property.value.size();
  }
  return bytes;
}

void append_text(Bytes& arena, std::string_view text) {
  arena.insert(arena.end(), text.begin(), text.end());
}

void append_sized(Bytes& arena, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&size);
  arena.insert(arena.end(), raw, raw + sizeof size);
  append_text(arena, text);
}

ByteView take(ByteView& rest, std::size_t size) {
  const auto part = rest.first(size);
  rest = rest.subspan(size);
  return part;
}

ByteView take_sized(ByteView& rest) {
  std::uint32_t size = 0;
  std::memcpy(&size, take(rest, sizeof size).data(), sizeof size);
  return take(rest, size);
}

}  // namespace

Sealer::Pending& Sealer::pending_of(std::string_view topic, PartitionIndex partition) {
  auto found = topics_.find(topic);
  if (found == topics_.end()) found = topics_.try_emplace(std::string(topic)).first;
  auto& pending = found->second[partition];
  if (pending.destination.topic.empty()) pending.destination = {std::string(topic), partition};
  return pending;
}

bool Sealer::add(ReadingId id, const ReadingView& reading, PartitionIndex partition, MonoTime now) {
  CHECK(empty() || id > last_, "reading {} after {}", id, last_);
  auto& pending = pending_of(reading.topic, partition);
  const auto bytes = record_bytes_of(reading);
  if (!empty() && (kBatchHeaderSize + pending.bytes + bytes > options_.batch_bytes ||
                   arena_.size() + bytes > kPartitionsPerSeal * options_.batch_bytes)) {
    full_ = true;
    return false;
  }
  const auto received = age_known_since(reading.received, now);
  if (empty() || received < oldest_received_) oldest_received_ = received;
  if (pending.entries.empty()) {
    pending.oldest_received = received;
    pending.oldest_received_ms = reading.received_ms;
  }
  pending.oldest_received = std::min(pending.oldest_received, received);
  pending.oldest_received_ms = std::min(pending.oldest_received_ms, reading.received_ms);
  pending.entries.push_back(static_cast<std::uint32_t>(entries_.size()));
  pending.bytes += bytes;
  pending.payload_bytes += reading.payload.size();
  entries_.push_back({arena_.size(), static_cast<std::uint32_t>(reading.key.size()),
                      static_cast<std::uint32_t>(reading.mqtt_topic.size()),
                      static_cast<std::uint32_t>(reading.payload.size()),
                      static_cast<std::uint32_t>(reading.properties.size()), reading.received_ms});
  append_text(arena_, reading.key);
  append_text(arena_, reading.mqtt_topic);
  append_text(arena_, as_string_view(reading.payload));
  for (const auto& property : reading.properties) {
    append_sized(arena_, property.name);
    append_sized(arena_, property.value);
  }
  last_ = id;
  return true;
}

// MQTT's thread may have taken a reading after `now` was read; far ahead of it is a former boot's time.
MonoTime Sealer::age_known_since(MonoTime received, MonoTime now) const {
  constexpr auto kFormerBoot = std::chrono::minutes(1);
  if (received > now + kFormerBoot) return now - options_.durable_within;
  return std::min(received, now);
}

MonoTime Sealer::due(UplinkLoad load) const {
  if (empty()) return MonoTime::max();
  if (full_) return MonoTime::min();
  return oldest_received_ + (load == UplinkLoad::kIdle ? std::min(options_.linger, seal_age() / 2) : seal_age());
}

std::optional<MonoTime> Sealer::oldest_received() const {
  if (empty()) return std::nullopt;
  return oldest_received_;
}

void Sealer::visit_destinations(const std::function<void(const TopicPartition&)>& visit) const {
  for (const auto& [topic, partitions] : topics_) {
    for (const auto& [index, pending] : partitions) {
      if (!pending.entries.empty()) visit(pending.destination);
    }
  }
}

Result<std::vector<SealedBatch>> Sealer::seal(const Stamp& stamp) {
  std::vector<SealedBatch> batches;
  auto id = stamp.first_id;
  for (const auto& [topic, partitions] : topics_) {
    for (const auto& [index, pending] : partitions) {
      if (pending.entries.empty()) continue;
      auto batch = build(pending, id, stamp);
      if (!batch) {
        builder_.clear();
        return tl::unexpected<Error>(std::move(batch).error());
      }
      batches.push_back(*std::move(batch));
      ++id;
    }
  }
  clear();
  return batches;
}

void Sealer::append(const Entry& entry) {
  ByteView rest = ByteView(arena_).subspan(entry.at);
  const auto key = take(rest, entry.key_size);
  const auto topic = take(rest, entry.topic_size);
  const auto payload = take(rest, entry.payload_size);
  headers_.clear();
  headers_.push_back({kMqttTopicHeader, topic});
  for (std::uint32_t i = 0; i < entry.property_count; ++i) {
    const auto name = take_sized(rest);
    headers_.push_back({as_string_view(name), take_sized(rest)});
  }
  builder_.append(entry.received_ms, key, payload, headers_);
}

Result<SealedBatch> Sealer::build(const Pending& pending, BatchId id, const Stamp& stamp) {
  for (const auto index : pending.entries) append(entries_[index]);
  BatchOptions options;
  options.compression = options_.compression;
  options.level = options_.compression_level;
  options.producer_id = stamp.producer_id;
  options.producer_epoch = stamp.epoch;
  options.base_sequence = stamp.next_sequence(pending.destination);
  ASSIGN_OR_RETURN(auto bytes, builder_.finish(options));
  bytes.shrink_to_fit();
  SealedBatch batch;
  batch.info.id = id;
  batch.info.destination = pending.destination;
  batch.info.producer_id = stamp.producer_id;
  batch.info.epoch = stamp.epoch;
  batch.info.base_sequence = options.base_sequence;
  batch.info.record_count = static_cast<std::int32_t>(pending.entries.size());
  batch.info.payload_bytes = static_cast<std::int32_t>(pending.payload_bytes);
  batch.info.size = static_cast<std::int32_t>(bytes.size());
  batch.info.oldest_received_ms = pending.oldest_received_ms;
  batch.info.oldest_received = pending.oldest_received;
  batch.bytes = SharedBytes(std::move(bytes));
  return batch;
}

void Sealer::clear() {
  for (auto& [topic, partitions] : topics_) {
    for (auto& [index, pending] : partitions) {
      pending.entries.clear();
      pending.bytes = pending.payload_bytes = 0;
    }
  }
  entries_.clear();
  arena_.clear();
  if (arena_.capacity() > kKeptBytes) {
    arena_.shrink_to_fit();
    builder_ = BatchBuilder();
  }
  if (headers_.capacity() > kKeptHeaders) std::vector<HeaderView>().swap(headers_);
  full_ = false;
}

}  // namespace tributary
