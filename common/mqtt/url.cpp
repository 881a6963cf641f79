#include "common/mqtt/url.h"

#include "common/config/values.h"

namespace tributary::mqtt {

Result<Address> parse_url(std::string_view url) {
  auto rest = url;
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    const auto name = rest.substr(0, scheme);
    if (name != "tcp" && name != "mqtt")
      return fail(Errc::kInvalidArgument,
                  fmt::format("MQTT URL '{}': the scheme '{}' is not served, use tcp:// or mqtt://", url, name));
    rest.remove_prefix(scheme + 3);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  const auto parsed = parse_host_port(has_port ? std::string(rest) : fmt::format("{}:1883", rest));
  if (!parsed || rest.starts_with(':') || rest.empty() || parsed->port == 0)
    return fail(Errc::kInvalidArgument, fmt::format("MQTT URL '{}': expected tcp://HOST:PORT", url));
  return Address{parsed->host, std::to_string(parsed->port)};
}

}  // namespace tributary::mqtt
