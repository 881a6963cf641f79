#pragma once
// OffsetCommit (key 8). Versions from 9 belong to KIP-848.

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct OffsetCommitResponse {
  static constexpr ApiKey api = ApiKey::kOffsetCommit;
  static constexpr std::string_view name = "OffsetCommitResponse";
  static constexpr Versions valid{2, 8}, flexible = from_version(8);

  struct Partition {
    PartitionIndex index{0};
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.error_code);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(3).ignorable());
    f(m.topics);
  }
  friend bool operator==(const OffsetCommitResponse&, const OffsetCommitResponse&) = default;
};

struct OffsetCommitRequest {
  using Response = OffsetCommitResponse;
  static constexpr ApiKey api = ApiKey::kOffsetCommit;
  static constexpr std::string_view name = "OffsetCommitRequest";
  static constexpr Versions valid{2, 8}, flexible = from_version(8);

  struct Partition {
    PartitionIndex index{0};
    Offset committed_offset{0};
    LeaderEpoch committed_leader_epoch{kNoLeaderEpoch};
    std::optional<std::string> metadata = std::string();
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.committed_offset);
      f(m.committed_leader_epoch, since(6).ignorable());
      f(m.metadata);
    }
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::string group_id;
  GenerationId generation_id{kNoGenerationId};  // -1 with an empty member id: a consumer outside of groups
  std::string member_id;
  std::optional<std::string> group_instance_id;  // KIP-345
  std::int64_t retention_time_ms = -1;           // -1 = the broker's; KIP-211 took it away
  std::vector<Topic> topics;
  static void fields(auto& m, auto& f) {
    f(m.group_id);
    f(m.generation_id);
    f(m.member_id);
    f(m.group_instance_id, since(7));
    f(m.retention_time_ms, until(4).ignorable());
    f(m.topics);
  }
  friend bool operator==(const OffsetCommitRequest&, const OffsetCommitRequest&) = default;
};

}  // namespace tributary
