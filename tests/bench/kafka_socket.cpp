#include "tests/bench/kafka_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes/writer.h"
#include "common/env/random.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/produce.h"
#include "common/record/batch_builder.h"

namespace tributary::bench {
namespace {

constexpr std::size_t kBatchBytes = 64 * 1024;
constexpr std::int16_t kProduceVersion = 7;
constexpr std::int16_t kCreateTopicsVersion = 4;
constexpr std::size_t kFrameBytesMax = 256u << 20;

}  // namespace

Result<KafkaSocket> KafkaSocket::connect(std::uint16_t port) {
  KafkaSocket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  const timeval patience{30, 0};
  ::setsockopt(made.socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(made.socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(made.socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(made.socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(fmt::format("connect to port {}", port));
  return made;
}

KafkaSocket::~KafkaSocket() {
  if (socket_ >= 0) ::close(socket_);
}

Result<> KafkaSocket::send(ByteView bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return fail_errno("send");
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<ByteView> KafkaSocket::receive(Bytes& buffer) {
  const auto fill = [this](std::uint8_t* to, std::size_t size) -> Result<> {
    while (size > 0) {
      const auto got = ::recv(socket_, to, size, MSG_WAITALL);
      if (got < 0) return fail_errno("recv");
      if (got == 0) return fail(Errc::kUnavailable, "the broker closed the connection");
      to += got;
      size -= static_cast<std::size_t>(got);
    }
    return {};
  };
  std::uint32_t length = 0;
  RETURN_IF_ERROR(fill(reinterpret_cast<std::uint8_t*>(&length), sizeof length));
  length = ntohl(length);
  if (length > kFrameBytesMax) return fail(Errc::kCorrupt, fmt::format("a frame of {} bytes", length));
  if (buffer.size() < length) buffer.resize(length);
  RETURN_IF_ERROR(fill(buffer.data(), length));
  return ByteView(buffer).first(length);
}

Result<Bytes> KafkaSocket::framed(Result<Payload> payload) {
  if (!payload) return tl::unexpected<Error>(payload.error());
  ASSIGN_OR_RETURN(const auto body, payload->flatten());
  Bytes frame;
  ByteWriter writer(frame);
  writer.u32(static_cast<std::uint32_t>(body.size()));
  writer.bytes(body);
  return frame;
}

Result<> create_topic(KafkaSocket& socket, const std::string& name) {
  CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  request.topics.push_back({.name = name, .num_partitions = 1, .replication_factor = 1});
  Bytes buffer;
  ASSIGN_OR_RETURN(const auto response, socket.call(request, kCreateTopicsVersion, buffer));
  if (response.topics.size() != 1 || response.topics[0].error_code != ErrorCode::kNone)
    return fail(Errc::kInvalidArgument, fmt::format("create topic {}: error {}", name,
                                                    response.topics.empty() ? -1 : static_cast<int>(response.topics[0].error_code)));
  return {};
}

Result<Bytes> batch_of_64_kib(std::size_t record_bytes) {
  SeededRandom random(1);
  BatchBuilder builder;
  Bytes value(record_bytes);
  while (builder.uncompressed_bytes() + BatchBuilder::record_bytes_max({}, ByteView(value)) <= kBatchBytes) {
    for (auto& byte : value) byte = static_cast<std::uint8_t>(random.next_u64());
    builder.append(1'700'000'000'000 + builder.record_count(), {}, ByteView(value));
  }
  return builder.finish({});
}

Result<double> produce(KafkaSocket& socket, const std::string& topic, ByteView batch, int count, int in_flight) {
  ProduceRequest request;
  request.acks = ProduceRequest::kAcksAll;
  request.timeout_ms = 30'000;
  request.topics.push_back({.name = topic, .partitions = {{.index = PartitionIndex(0), .records = Records(batch)}}});
  // The same bytes each time: what is measured is the broker.
  ASSIGN_OR_RETURN(const auto frame, KafkaSocket::framed(encode_request(kProduceVersion, 1, "bench", request)));
  Bytes buffer;
  const auto start = std::chrono::steady_clock::now();
  for (int sent = 0, answered = 0; answered < count; ++answered) {
    for (; sent < count && sent - answered < in_flight; ++sent) RETURN_IF_ERROR(socket.send(frame));
    ASSIGN_OR_RETURN(const auto answer, socket.receive(buffer));
    ASSIGN_OR_RETURN(const auto response, decode_response<ProduceResponse>(answer, kProduceVersion));
    if (response.topics.size() != 1 || response.topics[0].partitions.size() != 1 ||
        response.topics[0].partitions[0].error_code != ErrorCode::kNone)
      return fail(Errc::kIo, fmt::format("produce to {}: an error in answer {}", topic, answered));
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace tributary::bench
