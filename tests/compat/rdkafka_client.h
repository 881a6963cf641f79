#pragma once
// librdkafka's C API, a little shorter.

#include <librdkafka/rdkafka.h>

#include <map>
#include <string>

#include "common/base/check.h"

namespace tributary::test {

using RdkafkaSettings = std::map<std::string, std::string>;

/// A wrong setting ends the test.
inline rd_kafka_t* make_rdkafka_client(rd_kafka_type_t type, const RdkafkaSettings& settings,
                                       void (*on_delivery)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr,
                                       void* opaque = nullptr) {
  auto* conf = rd_kafka_conf_new();
  char error[512];
  for (const auto& [name, value] : settings) {
    CHECK(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) == RD_KAFKA_CONF_OK, "{}", error);
  }
  rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
  if (on_delivery) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_opaque(conf, opaque);
  auto* client = rd_kafka_new(type, conf, error, sizeof error);
  CHECK(client != nullptr, "{}", error);
  return client;
}

}  // namespace tributary::test
