// librdkafka's idempotent producer and its consumer exchange many messages: each once, in order.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <thread>

#include "common/base/check.h"
#include "tests/compat/rdkafka_client.h"
#include "tests/support/eventually.h"
#include "tests/support/programs.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kMessages = 100'000;
constexpr int kPartitions = 4;  // message i goes to partition i % 4
constexpr char kTopic[] = "exchange";

/// Sends 0 … kMessages - 1 from its own thread, as far as allowed; counts what was acknowledged and what failed.
class IdempotentProducer {
 public:
  IdempotentProducer(const std::string& address, const std::string& codec, int allowed)
      : client_(make_rdkafka_client(RD_KAFKA_PRODUCER,
                            {{"bootstrap.servers", address},
                             {"enable.idempotence", "true"},
                             {"compression.codec", codec},
                             {"linger.ms", "2"},
                             {"batch.num.messages", "200"},
                             {"message.timeout.ms", "120000"},
                             {"reconnect.backoff.max.ms", "300"},
                             {"retry.backoff.ms", "20"}},
                            &delivered, this)),
        allowed_(allowed),
        thread_([this] { send_all(); }) {}
  ~IdempotentProducer() {
    stop_ = true;
    thread_.join();
    rd_kafka_purge(client_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(client_);
  }

  void allow(int messages) { allowed_ = messages; }
  [[nodiscard]] int acknowledged() const { return acknowledged_; }
  [[nodiscard]] int failed() const { return failed_; }
  [[nodiscard]] std::string first_error() const { return failed_ > 0 ? first_error_ : ""; }
  [[nodiscard]] std::string fatal_error() const {
    char text[512] = "";
    return rd_kafka_fatal_error(client_, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR ? "" : text;
  }

 private:
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto* self = static_cast<IdempotentProducer*>(opaque);
    if (!message->err) {
      ++self->acknowledged_;
    } else {
      if (self->failed_ == 0) self->first_error_ = rd_kafka_err2str(message->err);
      ++self->failed_;
    }
  }
  void send_all() {
    for (int i = 0; i < kMessages && !stop_;) {
      if (i >= allowed_) {
        rd_kafka_poll(client_, 5);
        continue;
      }
      const auto value = std::to_string(i);
      const auto error = rd_kafka_producev(
          client_, RD_KAFKA_V_TOPIC(kTopic), RD_KAFKA_V_PARTITION(i % kPartitions),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("key", 3),
          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) ++i;
      rd_kafka_poll(client_, error == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 20 : 0);
    }
    while (acknowledged_ + failed_ < kMessages && !stop_) rd_kafka_poll(client_, 20);
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> acknowledged_{0};
  std::atomic<int> failed_{0};
  std::string first_error_;  // written before failed_ becomes positive
  rd_kafka_t* client_;
  std::atomic<int> allowed_;
  std::thread thread_;
};

/// Reads all partitions from their beginning, without a group, until it has `kMessages` or the deadline comes.
struct Consumed {
  int count = 0;
  std::string trouble;  // the first message that was not the expected one
};
Consumed consume_all(const std::string& address, std::chrono::seconds deadline) {
  auto* client = make_rdkafka_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", address},
                                                 {"group.id", "unused: partitions are assigned"},
                                                 {"enable.auto.commit", "false"},
                                                 {"enable.partition.eof", "false"},
                                                 {"check.crcs", "true"},
                                                 {"reconnect.backoff.max.ms", "300"},
                                                 {"fetch.wait.max.ms", "100"}});
  rd_kafka_poll_set_consumer(client);
  auto* partitions = rd_kafka_topic_partition_list_new(kPartitions);
  for (int p = 0; p < kPartitions; ++p) rd_kafka_topic_partition_list_add(partitions, kTopic, p)->offset = 0;
  rd_kafka_assign(client, partitions);
  rd_kafka_topic_partition_list_destroy(partitions);

  Consumed result;
  std::array<std::int64_t, kPartitions> seen{};
  const auto end = SteadyClock::now() + deadline;
  while (result.count < kMessages && result.trouble.empty() && SteadyClock::now() < end) {
    auto* message = rd_kafka_consumer_poll(client, 100);
    if (!message) continue;
    if (!message->err) {
      const auto p = message->partition;
      auto& next = seen[static_cast<std::size_t>(p)];
      const auto expected = std::to_string(next * kPartitions + p);
      const std::string value(static_cast<const char*>(message->payload), message->len);
      if (value != expected || message->offset != next) {
        result.trouble = fmt::format("partition {} offset {}: {} where {} was expected at offset {}", p,
                                     message->offset, value, expected, next);
      }
      ++next;
      ++result.count;
    } else if (message->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
               message->err != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC &&
               message->err != RD_KAFKA_RESP_ERR__TRANSPORT &&
               message->err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      result.trouble = rd_kafka_message_errstr(message);
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(client);
  rd_kafka_destroy(client);
  return result;
}

class Librdkafka : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(broker_.start_ready()) << broker_.log();
    address_ = fmt::format("127.0.0.1:{}", broker_.kafka_port());
  }

  TempFolder folder_;
  Broker broker_{folder_ / "broker"};
  std::string address_;
};

TEST_F(Librdkafka, ProducerAndConsumerExchangeEveryMessageOnceInOrder) {
  IdempotentProducer producer(address_, "zstd", kMessages);
  const auto consumed = consume_all(address_, std::chrono::seconds(90));
  EXPECT_EQ(consumed.trouble, "");
  EXPECT_EQ(consumed.count, kMessages);
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] { return producer.acknowledged() == kMessages; }));
  EXPECT_EQ(producer.failed(), 0) << producer.first_error();
  EXPECT_EQ(producer.fatal_error(), "");
}

TEST_F(Librdkafka, NothingIsLostOrDoubledWhenTheBrokerIsKilledInTheMiddle) {
  IdempotentProducer producer(address_, "lz4", 0);
  Consumed consumed;
  std::thread consumer([&] { consumed = consume_all(address_, std::chrono::seconds(110)); });
  for (const int mark : {20'000, 50'000, 80'000}) {
    producer.allow(mark + 20'000);  // so that requests are under way when the broker goes
    EXPECT_TRUE(eventually(std::chrono::seconds(60), [&] {
      return producer.acknowledged() >= mark || producer.failed() > 0;
    })) << producer.acknowledged();
    broker_.kill();
    if (!broker_.start_ready()) {
      ADD_FAILURE() << broker_.log();
      break;
    }
  }
  consumer.join();
  EXPECT_EQ(consumed.trouble, "");
  EXPECT_EQ(consumed.count, kMessages);
  EXPECT_EQ(producer.failed(), 0) << producer.first_error();
  EXPECT_EQ(producer.fatal_error(), "");
  EXPECT_TRUE(eventually(std::chrono::seconds(30), [&] { return producer.acknowledged() == kMessages; }))
      << producer.acknowledged();

  // And all of it is still there for one who comes later.
  const auto again = consume_all(address_, std::chrono::seconds(30));
  EXPECT_EQ(again.trouble, "");
  EXPECT_EQ(again.count, kMessages);
}

}  // namespace
}  // namespace tributary::test
