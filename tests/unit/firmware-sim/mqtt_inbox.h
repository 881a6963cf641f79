#pragma once
// What a Mosquitto delivers to a subscriber that takes everything, once.

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/mosquitto.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {

/// A persistent session at QoS 2 from construction on; collect() drains it.
class MqttInbox {
 public:
  struct Message {
    std::string topic, payload;
  };

  MqttInbox(const Mosquitto& mosquitto, std::string filter)
      : port_(std::to_string(mosquitto.port())), filter_(std::move(filter)) {
    const auto subscribed = run(command({"-E"}));
    EXPECT_EQ(0, subscribed.exit_code) << subscribed.errors;
  }

  /// The first `count` messages; fewer if `seconds` pass without.
  std::vector<Message> collect(std::int64_t count, int seconds = 20) {
    const auto drained = run(command({"-C", std::to_string(count), "-W", std::to_string(seconds), "-F", "%t %p"}),
                             std::chrono::seconds(seconds + 10));
    std::vector<Message> messages;
    std::istringstream in(drained.output);
    for (std::string topic, payload; in >> topic && std::getline(in.ignore(1), payload);)
      messages.push_back({topic, payload});
    return messages;
  }

 private:
  [[nodiscard]] std::vector<std::string> command(std::initializer_list<std::string> more) const {
    std::vector<std::string> all{"mosquitto_sub", "-p", port_, "-i", "inbox", "-c", "-q", "2", "-t", filter_};
    all.insert(all.end(), more);
    return all;
  }

  const std::string port_, filter_;
};

}  // namespace tributary::test
