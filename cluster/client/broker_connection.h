#pragma once
// One broker, spoken to in typed requests of the versions that both ends know.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/env/clock.h"
#include "common/protocol/frame.h"

namespace tributary {

class RequestChannel;

/// "tcp://host:port" is Tributary's nng listener, "kafka://host:port" the Kafka TCP one.
struct Endpoint {
  enum class Kind { kNng, kKafkaTcp };
  Kind kind = Kind::kNng;
  std::string host;
  std::uint16_t port = 0;
  [[nodiscard]] std::string url() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
/// kInvalidArgument, saying what is expected. IPv6 addresses stand in brackets.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view url);

/// A response and the frame that its views point into.
template <class Response>
struct Answer {
  Response response;
  SharedBytes frame;
};

/// Thread-safe. Connects by itself, again and again; which versions the broker speaks is asked once.
class BrokerConnection {
 public:
  /// Never waits for the peer. kInvalidArgument if the transport does not take the address.
  [[nodiscard]] static Result<std::unique_ptr<BrokerConnection>> open(const Endpoint& endpoint,
                                                                      std::string client_id,
                                                                      std::size_t answer_bytes_max);
  /// Completes outstanding sends with kUnavailable; must not be destroyed inside one's `done`.
  ~BrokerConnection();
  BrokerConnection(const BrokerConnection&) = delete;
  BrokerConnection& operator=(const BrokerConnection&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

  /// The highest version of `api` that the broker and `ours` have in common. Asks the broker the first
  /// time (ApiVersions, KIP-511), and blocks for it. kUnsupported, naming the ranges, if there is none.
  [[nodiscard]] Result<std::int16_t> negotiate(ApiKey api, Versions ours, MonoTime deadline);

  /// Sends one request and waits for its answer. The response's own error codes are the caller's.
  /// kTimeout, kUnavailable: the request may have been carried out. kCorrupt: an answer that is none.
  template <RequestMessage Request>
  [[nodiscard]] Result<Answer<typename Request::Response>> call(const Request& request,
                                                                MonoTime deadline,
                                                                Versions ours = Request::valid) {
    ASSIGN_OR_RETURN(const auto version, negotiate(Request::api, ours, deadline));
    return call_version(request, version, deadline);
  }
  template <RequestMessage Request>
  [[nodiscard]] Result<Answer<typename Request::Response>> call_version(const Request& request,
                                                                        std::int16_t version,
                                                                        MonoTime deadline) {
    const auto correlation_id = next_correlation_id();
    ASSIGN_OR_RETURN(auto frame, encode_request(version, correlation_id, client_id_, request));
    ASSIGN_OR_RETURN(auto answer, exchange(std::move(frame), correlation_id, deadline));
    return decode<typename Request::Response>(std::move(answer), version);
  }

  /// Sends without waiting. `done` gets the response frame, its correlation id already checked, on a
  /// thread of the transport, exactly once; decode<Response>(frame, version) reads it. An error given
  /// back here (the message cannot be encoded) means that `done` will not be called.
  template <RequestMessage Request>
  [[nodiscard]] Result<> send(const Request& request, std::int16_t version, Duration timeout,
                              std::function<void(Result<SharedBytes>)> done) {
    const auto correlation_id = next_correlation_id();
    ASSIGN_OR_RETURN(auto frame, encode_request(version, correlation_id, client_id_, request));
    send_frame(std::move(frame), correlation_id, timeout, std::move(done));
    return {};
  }

  template <Message Response>
  [[nodiscard]] Result<Answer<Response>> decode(SharedBytes frame, std::int16_t version) const {
    auto response = decode_response<Response>(frame.view(), version);
    if (!response) return in_context(endpoint_.url(), std::move(response).error());
    return Answer<Response>{*std::move(response), std::move(frame)};
  }

 private:
  BrokerConnection(const Endpoint& endpoint, std::string client_id,
                   std::unique_ptr<RequestChannel> channel);
  [[nodiscard]] std::int32_t next_correlation_id();
  void send_frame(Payload frame, std::int32_t correlation_id, Duration timeout,
                  std::function<void(Result<SharedBytes>)> done);
  [[nodiscard]] Result<SharedBytes> exchange(Payload frame, std::int32_t correlation_id,
                                             MonoTime deadline);
  [[nodiscard]] Result<> ask_versions(MonoTime deadline);

  const Endpoint endpoint_;
  const std::string client_id_;

  std::mutex mutex_;
  std::int32_t correlation_id_ = 0;                                      // under mutex_
  std::optional<std::unordered_map<std::int16_t, Versions>> versions_;   // under mutex_

  std::unique_ptr<RequestChannel> channel_;
};

}  // namespace tributary
