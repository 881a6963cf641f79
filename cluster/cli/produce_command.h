#pragma once
// tributary produce

#include "cluster/cli/program.h"

namespace tributary {

class Settings;

struct ProduceFlags {
  std::string topic;
  std::string key_separator;  // empty: lines have no key
  std::string compression = "none";
  std::int32_t partition = -1;
  std::vector<std::string> headers;
  std::size_t line_bytes_max = 1'000'000;
  std::size_t batch_bytes = 256u << 10;
  Duration linger = std::chrono::milliseconds(50);
};

void declare_produce_command(Settings& program, ProduceFlags& flags);
[[nodiscard]] Result<> produce_command(const ClusterFlags& cluster, const ProduceFlags& flags, const CommandIo& io);

}  // namespace tributary
