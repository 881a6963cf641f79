#pragma once
// A Kafka TCP connection with nothing between the caller and the socket.

#include <cstdint>
#include <string>

#include "common/protocol/frame.h"

namespace tributary::bench {

/// Blocking; one thread, or one that sends and one that receives. A peer silent for 30 s is an error.
class KafkaSocket {
 public:
  [[nodiscard]] static Result<KafkaSocket> connect(std::uint16_t port);
  KafkaSocket(KafkaSocket&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  KafkaSocket& operator=(KafkaSocket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~KafkaSocket();

  [[nodiscard]] Result<> send(ByteView bytes);
  /// One frame into `buffer`, which only grows; the view is the frame without its length.
  [[nodiscard]] Result<ByteView> receive(Bytes& buffer);

  template <RequestMessage Request>
  [[nodiscard]] Result<typename Request::Response> call(const Request& request, std::int16_t version, Bytes& buffer) {
    ASSIGN_OR_RETURN(const auto frame, framed(encode_request(version, 1, "bench", request)));
    RETURN_IF_ERROR(send(frame));
    ASSIGN_OR_RETURN(const auto answer, receive(buffer));
    return decode_response<typename Request::Response>(answer, version);
  }

  /// With the 4-byte length that Kafka TCP puts in front.
  [[nodiscard]] static Result<Bytes> framed(Result<Payload> payload);

 private:
  explicit KafkaSocket(int socket) : socket_(socket) {}
  int socket_ = -1;
};

/// A topic of one partition.
[[nodiscard]] Result<> create_topic(KafkaSocket& socket, const std::string& name);

/// A record batch of at most 64 KiB, nearly full, of `record_bytes` long records, uncompressed.
[[nodiscard]] Result<Bytes> batch_of_64_kib(std::size_t record_bytes = 1'000);

/// Appends `batch` `count` times with acks=all and `in_flight` requests at a time. Seconds that it took.
[[nodiscard]] Result<double> produce(KafkaSocket& socket, const std::string& topic, ByteView batch, int count,
                                     int in_flight);

}  // namespace tributary::bench
