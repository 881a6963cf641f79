#pragma once
// The records of __consumer_offsets, in Kafka's formats. Integers big endian, string = length i16 and
// UTF-8, nullable string: length -1 for null, bytes = length i32 and content.
//
//   key of a commit   version i16 = 1 | group string | topic string | partition i32
//   its value         version i16 = 3 | offset i64 | leader_epoch i32 | metadata string | commit_timestamp i64
//      or, with a retention of its own:
//                     version i16 = 1 | offset i64 | metadata string | commit_timestamp i64 | expire_timestamp i64
//   key of a group    version i16 = 2 | group string
//   its value         version i16 = 3 | protocol_type string | generation i32 | protocol nullable string
//                     | leader nullable string | current_state_timestamp i64 | count i32, then per member:
//                       member_id string | group_instance_id nullable string | client_id string
//                       | client_host string | rebalance_timeout i32 (ms) | session_timeout i32 (ms)
//                       | subscription bytes | assignment bytes
//
// A record without a value removes what its key names. Read are also: commit keys of version 0 (as 1);
// commit values 0 (as 1, without expire_timestamp) and 2 (as 3, without leader_epoch); group values 0 (no
// rebalance timeout, no state timestamp, no instance id), 1 (with rebalance timeout), 2 (with state timestamp).
//
// Source: OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue of Kafka 3.x. Keys of
// version 3 and up are those of KIP-848's groups: here is where they would be read.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/groups/group_types.h"
#include "common/base/result.h"
#include "common/bytes/bytes.h"

namespace tributary {

struct OffsetsRecord {
  Bytes key;
  std::optional<Bytes> value;  // nothing: a tombstone
};

struct OffsetCommitKey {
  std::string group_id;
  TopicPartition partition;
  friend bool operator==(const OffsetCommitKey&, const OffsetCommitKey&) = default;
};

struct GroupMetadataKey {
  std::string group_id;
  friend bool operator==(const GroupMetadataKey&, const GroupMetadataKey&) = default;
};

using OffsetsKey = std::variant<OffsetCommitKey, GroupMetadataKey>;

struct GroupMetadataValue {
  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::string client_id;
    std::string client_host;
    std::int32_t rebalance_timeout_ms = 0;
    std::int32_t session_timeout_ms = 0;
    Bytes subscription;
    Bytes assignment;
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::string protocol_type;
  std::int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  WallMs current_state_timestamp_ms = -1;  // -1: not known
  std::vector<Member> members;
  friend bool operator==(const GroupMetadataValue&, const GroupMetadataValue&) = default;
};

// Strings given to these are at most 32,767 bytes long.
[[nodiscard]] Bytes encode(const OffsetCommitKey& key);
[[nodiscard]] Bytes encode(const GroupMetadataKey& key);
[[nodiscard]] Bytes encode(const CommittedOffset& value);
[[nodiscard]] Bytes encode(const GroupMetadataValue& value);

// kUnsupported (another version) or kCorrupt, naming what does not fit; then log it and go on with the next.
[[nodiscard]] Result<OffsetsKey> decode_offsets_key(ByteView bytes);
[[nodiscard]] Result<CommittedOffset> decode_offset_commit_value(ByteView bytes);
/// What it gives can be worked with: member ids and instance ids are there once, the leader is a member, and
/// where there are members there is a protocol.
[[nodiscard]] Result<GroupMetadataValue> decode_group_metadata_value(ByteView bytes);

}  // namespace tributary
