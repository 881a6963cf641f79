#include "cluster/groups/offset_records.h"

#include <algorithm>
#include <set>

#include "common/base/check.h"
#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary {
namespace {

constexpr std::int16_t kCommitKey = 1;
constexpr std::int16_t kGroupKey = 2;
constexpr std::int16_t kCommitValueWithExpiry = 1;
constexpr std::int16_t kCommitValue = 3;
constexpr std::int16_t kGroupValue = 3;
/// Of a member in any version: three strings, a timeout, two byte strings.
constexpr std::size_t kMemberBytesMin = 3 * 2 + 4 + 2 * 4;

void write(ByteWriter& writer, const std::string& text) {
  CHECK(text.size() <= 0x7fff, "a string of {} bytes", text.size());
  writer.i16(static_cast<std::int16_t>(text.size()));
  writer.bytes(as_bytes(text));
}

void write(ByteWriter& writer, const std::optional<std::string>& text) {
  if (text) write(writer, *text);
  else writer.i16(-1);
}

void write(ByteWriter& writer, const Bytes& bytes) {
  CHECK(bytes.size() <= 0x7fffffff, "{} bytes", bytes.size());
  writer.i32(static_cast<std::int32_t>(bytes.size()));
  writer.bytes(bytes);
}

std::optional<std::string> read_nullable_string(ByteReader& reader) {
  const auto length = reader.i16();
  if (length == -1) return std::nullopt;
  if (length < -1) {
    reader.mark_failed();
    return std::nullopt;
  }
  return std::string(as_string_view(reader.bytes(static_cast<std::size_t>(length))));
}

std::string read_string(ByteReader& reader) {
  auto text = read_nullable_string(reader);
  if (!text) reader.mark_failed();
  return std::move(text).value_or(std::string());
}

Bytes read_bytes(ByteReader& reader) {
  const auto length = reader.i32();
  if (length < 0) {
    reader.mark_failed();
    return {};
  }
  return to_bytes(reader.bytes(static_cast<std::size_t>(length)));
}

Result<> check_end(const ByteReader& reader, std::string_view what) {
  if (!reader.ok()) return fail(Errc::kCorrupt, fmt::format("{} is malformed or cut short", what));
  if (reader.remaining() > 0)
    return fail(Errc::kCorrupt, fmt::format("{} bytes behind the end of {}", reader.remaining(), what));
  return {};
}

GroupMetadataValue::Member read_member(ByteReader& reader, std::int16_t version) {
  GroupMetadataValue::Member member;
  member.member_id = read_string(reader);
  if (version >= 3) member.group_instance_id = read_nullable_string(reader);
  member.client_id = read_string(reader);
  member.client_host = read_string(reader);
  if (version >= 1) member.rebalance_timeout_ms = reader.i32();
  member.session_timeout_ms = reader.i32();
  if (version < 1) member.rebalance_timeout_ms = member.session_timeout_ms;
  member.subscription = read_bytes(reader);
  member.assignment = read_bytes(reader);
  return member;
}

/// Nothing if the fields of a group agree.
std::string contradiction_in(const GroupMetadataValue& value) {
  if (value.generation < 0) return fmt::format("generation {}", value.generation);
  if (value.members.empty()) return {};
  if (!value.protocol) return "members, but no protocol";
  if (value.protocol_type.empty()) return "members, but no protocol type";
  std::set<std::string_view> ids;
  std::set<std::string_view> instances;
  for (const auto& member : value.members) {
    if (!ids.insert(member.member_id).second) return "member " + member.member_id + " is there twice";
    if (member.group_instance_id && !instances.insert(*member.group_instance_id).second)
      return "instance " + *member.group_instance_id + " is there twice";
  }
  if (value.leader && !ids.contains(*value.leader)) return "leader " + *value.leader + " is no member";
  return {};
}

}  // namespace

Bytes encode(const OffsetCommitKey& key) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(kCommitKey);
  write(writer, key.group_id);
  write(writer, key.partition.topic);
  writer.i32(key.partition.partition.value());
  return bytes;
}

Bytes encode(const GroupMetadataKey& key) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(kGroupKey);
  write(writer, key.group_id);
  return bytes;
}

Bytes encode(const CommittedOffset& value) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(value.expire_timestamp_ms ? kCommitValueWithExpiry : kCommitValue);
  writer.i64(value.offset.value());
  if (!value.expire_timestamp_ms) writer.i32(value.leader_epoch.value());
  write(writer, value.metadata);
  writer.i64(value.commit_timestamp_ms);
  if (value.expire_timestamp_ms) writer.i64(*value.expire_timestamp_ms);
  return bytes;
}

Bytes encode(const GroupMetadataValue& value) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.i16(kGroupValue);
  write(writer, value.protocol_type);
  writer.i32(value.generation);
  write(writer, value.protocol);
  write(writer, value.leader);
  writer.i64(value.current_state_timestamp_ms);
  writer.i32(static_cast<std::int32_t>(value.members.size()));
  for (const auto& member : value.members) {
    write(writer, member.member_id);
    write(writer, member.group_instance_id);
    write(writer, member.client_id);
    write(writer, member.client_host);
    writer.i32(member.rebalance_timeout_ms);
    writer.i32(member.session_timeout_ms);
    write(writer, member.subscription);
    write(writer, member.assignment);
  }
  return bytes;
}

Result<OffsetsKey> decode_offsets_key(ByteView bytes) {
  ByteReader reader(bytes);
  const auto version = reader.i16();
  if (!reader.ok()) return fail(Errc::kCorrupt, "a key without a version");
  if (version < 0 || version > kGroupKey)
    return fail(Errc::kUnsupported, fmt::format("a key of version {}", version));
  auto group_id = read_string(reader);
  if (version == kGroupKey) {
    RETURN_IF_ERROR(check_end(reader, "a group's key"));
    return GroupMetadataKey{std::move(group_id)};
  }
  OffsetCommitKey key{std::move(group_id), {}};
  key.partition.topic = read_string(reader);
  key.partition.partition = PartitionIndex(reader.i32());
  RETURN_IF_ERROR(check_end(reader, "an offset's key"));
  return key;
}

Result<CommittedOffset> decode_offset_commit_value(ByteView bytes) {
  ByteReader reader(bytes);
  const auto version = reader.i16();
  if (!reader.ok()) return fail(Errc::kCorrupt, "an offset without a version");
  if (version < 0 || version > kCommitValue)
    return fail(Errc::kUnsupported, fmt::format("an offset of version {}", version));
  CommittedOffset value;
  value.offset = Offset(reader.i64());
  if (version >= 3) value.leader_epoch = LeaderEpoch(reader.i32());
  value.metadata = read_string(reader);
  value.commit_timestamp_ms = reader.i64();
  if (version == 1) {
    const auto expires = reader.i64();
    if (expires != -1) value.expire_timestamp_ms = expires;
  }
  RETURN_IF_ERROR(check_end(reader, "an offset"));
  return value;
}

Result<GroupMetadataValue> decode_group_metadata_value(ByteView bytes) {
  ByteReader reader(bytes);
  const auto version = reader.i16();
  if (!reader.ok()) return fail(Errc::kCorrupt, "a group without a version");
  if (version < 0 || version > kGroupValue)
    return fail(Errc::kUnsupported, fmt::format("a group of version {}", version));
  GroupMetadataValue value;
  value.protocol_type = read_string(reader);
  value.generation = reader.i32();
  value.protocol = read_nullable_string(reader);
  value.leader = read_nullable_string(reader);
  if (version >= 2) value.current_state_timestamp_ms = reader.i64();
  const auto count = reader.i32();
  if (!reader.ok() || count < 0 || reader.remaining() / kMemberBytesMin < static_cast<std::size_t>(count))
    return fail(Errc::kCorrupt, "a group is cut short");
  value.members.reserve(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count && reader.ok(); ++i) value.members.push_back(read_member(reader, version));
  RETURN_IF_ERROR(check_end(reader, "a group"));
  if (const auto contradiction = contradiction_in(value); !contradiction.empty())
    return fail(Errc::kCorrupt, "a group has " + contradiction);
  return value;
}

}  // namespace tributary
