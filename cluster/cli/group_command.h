#pragma once
// tributary group list | describe | reset-offsets | delete

#include <cstdint>
#include <limits>

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct GroupFlags {
  static constexpr std::int64_t kNotGiven = std::numeric_limits<std::int64_t>::min();

  std::string name;
  std::vector<std::string> names;
  std::string state;  // empty: all
  bool members = false;
  bool if_exists = false;
  bool json = false;
  // What reset-offsets takes: topics, and one of the targets.
  std::vector<std::string> topics;  // "T", "T:P", "T:P,P"
  bool to_earliest = false;
  bool to_latest = false;
  std::int64_t to_offset = kNotGiven;
  std::int64_t shift_by = kNotGiven;
  std::string to_time;
  bool dry_run = false;
};

void declare_group_commands(Settings& program, GroupFlags& flags);

[[nodiscard]] Result<> list_groups_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> describe_group_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io);
[[nodiscard]] Result<> reset_offsets_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io);
/// All that can be deleted are; the error says how many were not, each was said before.
[[nodiscard]] Result<> delete_groups_command(const ClusterFlags& cluster, const GroupFlags& flags, const CommandIo& io);

}  // namespace tributary
