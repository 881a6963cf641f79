#pragma once
// OffsetFetch (key 9). Version 8 asks for several groups at once (KIP-709); up to 7 the group and its topics
// stand in the message itself. Versions from 9 belong to KIP-848.

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct OffsetFetchResponse {
  static constexpr ApiKey api = ApiKey::kOffsetFetch;
  static constexpr std::string_view name = "OffsetFetchResponse";
  static constexpr Versions valid{1, 8}, flexible = from_version(6);

  struct Partition {
    PartitionIndex index{0};
    Offset committed_offset{-1};  // -1 = nothing is committed
    LeaderEpoch committed_leader_epoch{kNoLeaderEpoch};
    std::optional<std::string> metadata = std::string();
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.committed_offset);
      f(m.committed_leader_epoch, since(5).ignorable());
      f(m.metadata);
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
  struct Group {
    std::string group_id;
    std::vector<Topic> topics;
    ErrorCode error_code = ErrorCode::kNone;
    static void fields(auto& m, auto& f) {
      f(m.group_id);
      f(m.topics);
      f(m.error_code);
    }
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;                // up to version 7
  ErrorCode error_code = ErrorCode::kNone;  // versions 2 to 7
  std::vector<Group> groups;                // from version 8
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms, since(3).ignorable());
    f(m.topics, until(7));
    f(m.error_code, between(2, 7).ignorable());
    f(m.groups, since(8));
  }
  friend bool operator==(const OffsetFetchResponse&, const OffsetFetchResponse&) = default;
};

struct OffsetFetchRequest {
  using Response = OffsetFetchResponse;
  static constexpr ApiKey api = ApiKey::kOffsetFetch;
  static constexpr std::string_view name = "OffsetFetchRequest";
  static constexpr Versions valid{1, 8}, flexible = from_version(6);

  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct Group {
    std::string group_id;
    std::optional<std::vector<Topic>> topics = std::vector<Topic>{};  // null = all
    static void fields(auto& m, auto& f) {
      f(m.group_id);
      f(m.topics);
    }
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::string group_id;                                             // up to version 7
  std::optional<std::vector<Topic>> topics = std::vector<Topic>{};  // up to version 7; null = all
  std::vector<Group> groups;                                        // from version 8
  /// UNSTABLE_OFFSET_COMMIT for partitions with a transaction's offsets still open (KIP-447).
  bool require_stable = false;
  static void fields(auto& m, auto& f) {
    f(m.group_id, until(7));
    f(m.topics, until(7).nullable_since(2));
    f(m.groups, since(8));
    f(m.require_stable, since(7));
  }
  friend bool operator==(const OffsetFetchRequest&, const OffsetFetchRequest&) = default;
};

}  // namespace tributary
