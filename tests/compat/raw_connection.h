#pragma once
// A TCP connection on which a test says exactly what it wants, right or wrong.

#include <chrono>
#include <cstdint>
#include <optional>

#include "common/bytes/bytes.h"
#include "common/protocol/frame.h"

namespace tributary::test {

/// Blocking, on loopback; every wait has a deadline. One thread.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection(const RawConnection&) = delete;

  /// False if the peer has closed the connection, or has not taken it all at the deadline.
  bool send(ByteView bytes, std::chrono::milliseconds deadline = std::chrono::seconds(10));
  /// With Kafka's 4-byte length in front.
  bool send_frame(ByteView frame);
  /// The next frame, without its length; nothing at the deadline or when the connection is closed.
  [[nodiscard]] std::optional<Bytes> read_frame(std::chrono::milliseconds deadline = std::chrono::seconds(10));
  /// The next `count` bytes.
  [[nodiscard]] std::optional<Bytes> read(std::size_t count,
                                          std::chrono::milliseconds deadline = std::chrono::seconds(10));
  /// True once the peer has closed (or reset) the connection; what it sends before is thrown away.
  [[nodiscard]] bool closed_by_peer(std::chrono::milliseconds deadline = std::chrono::seconds(10));
  /// No more bytes will follow from here.
  void finish_sending();

  /// One request, one response; CHECKs that ours is encoded.
  template <RequestMessage Request>
  [[nodiscard]] Result<typename Request::Response> ask(std::int16_t version, const Request& request) {
    ASSIGN_OR_RETURN(const auto payload, encode_request(version, ++correlation_id_, "raw", request));
    ASSIGN_OR_RETURN(const auto frame, payload.flatten());
    if (!send_frame(frame)) return fail(Errc::kUnavailable, "the connection is closed");
    const auto answer = read_frame();
    if (!answer) return fail(Errc::kUnavailable, "no answer");
    ASSIGN_OR_RETURN(const auto id, response_correlation_id(*answer));
    if (id != correlation_id_) return fail(Errc::kCorrupt, "the answer of another request");
    last_answer_ = *answer;  // the response may have views into it
    return decode_response<typename Request::Response>(last_answer_, version);
  }

 private:
  int socket_ = -1;
  std::int32_t correlation_id_ = 0;
  Bytes last_answer_;
};

/// The resident set of a process, in bytes.
[[nodiscard]] std::size_t resident_bytes(int pid);

}  // namespace tributary::test
