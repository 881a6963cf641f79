#pragma once
// Where an MQTT broker is.

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace tributary::mqtt {

struct Address {
  std::string host;
  std::string port;
};

/// "tcp://host:1883", "mqtt://host:1883" or "host:1883"; without a port 1883. kInvalidArgument for all else.
[[nodiscard]] Result<Address> parse_url(std::string_view url);

}  // namespace tributary::mqtt
