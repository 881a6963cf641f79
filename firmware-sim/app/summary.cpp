#include "firmware-sim/app/summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace tributary {
namespace {

std::string grouped(std::int64_t number) {
  auto digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

}  // namespace

std::string progress_line(const FleetStats& before, const FleetStats& now) {
  return fmt::format("{:5.0f} s  {}/s published  {}/s acknowledged  {} in flight  {}/{} connected", now.seconds,
                     grouped(now.published - before.published), grouped(now.acked - before.acked),
                     grouped(now.in_flight), now.connected, now.connections);
}

std::string summary_text(const FleetOptions& o, const FleetStats& s) {
  auto text = fmt::format(
      "{} devices over {} connections published {} readings in {:.1f} s ({}/s), seed {}\n",
      s.devices, s.connections, grouped(s.published), s.seconds,
      grouped(s.seconds > 0 ? static_cast<std::int64_t>(static_cast<double>(s.published) / s.seconds) : 0), o.seed);
  if (o.qos > 0)
    text += fmt::format("acknowledged {}, p50 {:.1f} ms, p99 {:.1f} ms; not acknowledged when it ended: {}\n",
                        grouped(s.acked), static_cast<double>(s.ack_p50_us) / 1000,
                        static_cast<double>(s.ack_p99_us) / 1000, grouped(s.in_flight));
  const auto mention = [&](std::int64_t count, std::string_view what) {
    if (count > 0) text += fmt::format("{}: {}\n", what, grouped(count));
  };
  mention(s.unheard, "dropped by the MQTT broker, nobody was subscribed");
  mention(s.refused, "refused by the MQTT broker");
  mention(s.unknown, "outcome unknown, the MQTT broker lost the session");
  mention(s.resent, "acknowledged after they were sent again");
  mention(s.skipped, "measurements never taken, the device could not publish in time");
  mention(s.connections_lost, "connections lost");
  mention(s.malformed, "malformed records skipped");
  if (!o.ledger_path.empty()) text += fmt::format("ledger: {}\n", o.ledger_path);
  return text;
}

std::string summary_json(const FleetOptions& o, const FleetStats& s) {
  nlohmann::ordered_json json = {
      {"seed", o.seed}, {"qos", o.qos}, {"devices", s.devices}, {"connections", s.connections},
      {"connected", s.connected}, {"seconds", s.seconds}, {"published", s.published}, {"acked", s.acked},
      {"in_flight", s.in_flight}, {"unheard", s.unheard}, {"refused", s.refused}, {"unknown", s.unknown}, {"resent", s.resent},
      {"skipped", s.skipped}, {"payload_bytes", s.payload_bytes}, {"connections_lost", s.connections_lost},
      {"malformed", s.malformed}, {"ack_p50_us", s.ack_p50_us}, {"ack_p99_us", s.ack_p99_us}};
  if (!o.ledger_path.empty()) json["ledger"] = o.ledger_path;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tributary
