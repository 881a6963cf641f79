#pragma once
// DescribeLogDirs (key 35).

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/field.h"
#include "common/protocol/types.h"

namespace tributary {

struct DescribeLogDirsResponse {
  static constexpr ApiKey api = ApiKey::kDescribeLogDirs;
  static constexpr std::string_view name = "DescribeLogDirsResponse";
  static constexpr Versions valid{1, 4}, flexible = from_version(2);

  struct Partition {
    PartitionIndex index{0};
    std::int64_t size_bytes = 0;
    std::int64_t offset_lag = 0;  // records behind the high watermark, or a future log behind the current
    bool is_future = false;       // true of a log that will take the current one's place
    static void fields(auto& m, auto& f) {
      f(m.index);
      f(m.size_bytes);
      f(m.offset_lag);
      f(m.is_future);
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
  struct LogDir {
    ErrorCode error_code = ErrorCode::kNone;
    std::string path;
    std::vector<Topic> topics;
    std::int64_t total_bytes = -1;   // of the volume (KIP-827); -1 = unknown
    std::int64_t usable_bytes = -1;
    static void fields(auto& m, auto& f) {
      f(m.error_code);
      f(m.path);
      f(m.topics);
      f(m.total_bytes, since(4).ignorable());
      f(m.usable_bytes, since(4).ignorable());
    }
    friend bool operator==(const LogDir&, const LogDir&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<LogDir> log_dirs;
  static void fields(auto& m, auto& f) {
    f(m.throttle_time_ms);
    f(m.error_code, since(3).ignorable());
    f(m.log_dirs);
  }
  friend bool operator==(const DescribeLogDirsResponse&, const DescribeLogDirsResponse&) = default;
};

struct DescribeLogDirsRequest {
  using Response = DescribeLogDirsResponse;
  static constexpr ApiKey api = ApiKey::kDescribeLogDirs;
  static constexpr std::string_view name = "DescribeLogDirsRequest";
  static constexpr Versions valid{1, 4}, flexible = from_version(2);

  struct Topic {
    std::string name;
    std::vector<PartitionIndex> partitions;
    static void fields(auto& m, auto& f) {
      f(m.name);
      f(m.partitions);
    }
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::vector<Topic>> topics = std::vector<Topic>{};  // null = all
  static void fields(auto& m, auto& f) { f(m.topics); }
  friend bool operator==(const DescribeLogDirsRequest&, const DescribeLogDirsRequest&) = default;
};

}  // namespace tributary
