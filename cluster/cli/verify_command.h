#pragma once
// tributary verify

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct VerifyFlags {
  std::string ledger;
  std::string topic;
  std::uint32_t show = 5;
  bool json = false;
};

void declare_verify_command(Settings& program, VerifyFlags& flags);
/// True if the log has every reading of the ledger once and in order.
[[nodiscard]] Result<bool> verify_command(const ClusterFlags& cluster, const VerifyFlags& flags, const CommandIo& io);

}  // namespace tributary
