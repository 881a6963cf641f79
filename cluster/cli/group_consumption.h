#pragma once
// tributary consume --group

#include "cluster/cli/consume_command.h"

namespace tributary {

/// "range,roundrobin": as GroupConsumerOptions::assignors. kInvalidArgument names what is none.
[[nodiscard]] Result<std::vector<std::string>> parse_assignors(std::string_view text);

/// Prints as a member of the group, and commits what was printed: at the interval and at a clean end, each time after
/// the output took it. Without --follow it ends when all that its partitions had when it got them is printed.
[[nodiscard]] Result<> consume_in_group(ClusterClient& client, const ConsumeFlags& flags, const ClusterFlags& cluster,
                                        const CommandIo& io);

}  // namespace tributary
