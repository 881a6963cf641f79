#include "cluster/client/broker_connection.h"

#include <charconv>

#include "cluster/client/completions.h"
#include "common/bytes/reader.h"
#include "common/protocol/messages/api_versions.h"
#include "common/transport/client.h"

namespace tributary {
namespace {
constexpr std::string_view kNngScheme = "tcp://", kKafkaScheme = "kafka://";

Result<std::unique_ptr<RequestChannel>> open_channel(const Endpoint& endpoint,
                                                     std::size_t answer_bytes_max) {
  if (endpoint.kind == Endpoint::Kind::kNng)
    return connect_nng(endpoint.url(), {.answer_bytes_max = answer_bytes_max});
  auto host = endpoint.host;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return connect_kafka_tcp(host, endpoint.port, {.answer_bytes_max = answer_bytes_max});
}

Result<SharedBytes> checked(Result<SharedBytes> frame, std::int32_t correlation_id) {
  if (!frame) return frame;
  ASSIGN_OR_RETURN(const auto answered, response_correlation_id(frame->view()));
  if (answered != correlation_id)
    return fail(Errc::kCorrupt, fmt::format("the answer is to request {}, not {}", answered, correlation_id));
  return frame;
}
}  // namespace

std::string Endpoint::url() const {
  return fmt::format("{}{}:{}", kind == Kind::kNng ? kNngScheme : kKafkaScheme, host, port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("\"{}\" is no cluster address; expected tcp://HOST:PORT (native) or "
                            "kafka://HOST:PORT", url));
  };
  Endpoint endpoint;
  auto rest = url;
  if (rest.starts_with(kNngScheme)) {
    rest.remove_prefix(kNngScheme.size());
  } else if (rest.starts_with(kKafkaScheme)) {
    rest.remove_prefix(kKafkaScheme.size());
    endpoint.kind = Endpoint::Kind::kKafkaTcp;
  } else {
    return bad();
  }
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  endpoint.host = rest.substr(0, colon);
  const bool brackets = endpoint.host.front() == '[' && endpoint.host.back() == ']';
  if (!brackets && endpoint.host.find_first_of(":/[] ") != std::string::npos) return bad();
  const auto port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) return bad();
  return endpoint;
}

Result<std::unique_ptr<BrokerConnection>> BrokerConnection::open(const Endpoint& endpoint,
                                                                 std::string client_id,
                                                                 std::size_t answer_bytes_max) {
  ASSIGN_OR_RETURN(auto channel, open_channel(endpoint, answer_bytes_max));
  return std::unique_ptr<BrokerConnection>(
      new BrokerConnection(endpoint, std::move(client_id), std::move(channel)));
}

BrokerConnection::BrokerConnection(const Endpoint& endpoint, std::string client_id,
                                   std::unique_ptr<RequestChannel> channel)
    : endpoint_(endpoint), client_id_(std::move(client_id)), channel_(std::move(channel)) {}
BrokerConnection::~BrokerConnection() = default;

std::int32_t BrokerConnection::next_correlation_id() {
  const std::lock_guard lock(mutex_);
  correlation_id_ = (correlation_id_ + 1) & 0x7fffffff;
  return correlation_id_;
}

void BrokerConnection::send_frame(Payload frame, std::int32_t correlation_id, Duration timeout,
                                  std::function<void(Result<SharedBytes>)> done) {
  channel_->send(std::move(frame), timeout,
                 [correlation_id, url = endpoint_.url(), done = std::move(done)](Result<SharedBytes> answer) {
                   auto result = checked(std::move(answer), correlation_id);
                   if (!result) result = in_context(url, std::move(result).error());
                   done(std::move(result));
                 });
}

Result<SharedBytes> BrokerConnection::exchange(Payload frame, std::int32_t correlation_id,
                                               MonoTime deadline) {
  const auto timeout = deadline - system_clock().mono_now();
  if (timeout <= Duration::zero())
    return fail(Errc::kTimeout, fmt::format("{}: no time left to ask", endpoint_.url()));
  const auto completions = std::make_shared<Completions<Result<SharedBytes>>>();
  send_frame(std::move(frame), correlation_id, timeout,
             [completions](Result<SharedBytes> answer) { completions->push(std::move(answer)); });
  // The channel keeps the deadline; the margin only guards against one that does not.
  auto answer = completions->pop_until(deadline + std::chrono::seconds(1));
  if (!answer) return fail(Errc::kTimeout, fmt::format("{}: no answer", endpoint_.url()));
  return *std::move(answer);
}

Result<> BrokerConnection::ask_versions(MonoTime deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (versions_) return {};
  }
  // An older broker answers in version 0 with UNSUPPORTED_VERSION and its range (KIP-511).
  constexpr std::int16_t kAsked = 3;
  ApiVersionsRequest request;
  request.client_software_name = "tributary";
  request.client_software_version = TRIBUTARY_VERSION;
  const auto correlation_id = next_correlation_id();
  ASSIGN_OR_RETURN(auto frame, encode_request(kAsked, correlation_id, client_id_, request));
  ASSIGN_OR_RETURN(auto bytes, exchange(std::move(frame), correlation_id, deadline));
  ByteReader peek(bytes.view());
  peek.skip(kResponseCorrelationIdAt + sizeof correlation_id);
  const auto code = ErrorCode{peek.i16()};
  const auto version = code == ErrorCode::kUnsupportedVersion ? std::int16_t{0} : kAsked;
  ASSIGN_OR_RETURN(const auto answer, decode<ApiVersionsResponse>(std::move(bytes), version));
  if (code == ErrorCode::kUnsupportedVersion && answer.response.apis.empty())
    return fail(Errc::kUnsupported, fmt::format("{}: the broker does not say what it speaks", endpoint_.url()));
  if (code != ErrorCode::kNone && code != ErrorCode::kUnsupportedVersion)
    return fail(Errc::kUnavailable, fmt::format("{}: ApiVersions: {}", endpoint_.url(), code));
  const std::lock_guard lock(mutex_);
  versions_.emplace();
  for (const auto& api : answer.response.apis)
    versions_->insert_or_assign(static_cast<std::int16_t>(api.api_key),
                                Versions{api.min_version, api.max_version});
  return {};
}

Result<std::int16_t> BrokerConnection::negotiate(ApiKey api, Versions ours, MonoTime deadline) {
  RETURN_IF_ERROR(ask_versions(deadline));
  const std::lock_guard lock(mutex_);
  const auto theirs = versions_->find(static_cast<std::int16_t>(api));
  if (theirs == versions_->end())
    return fail(Errc::kUnsupported, fmt::format("{}: the broker does not serve {}", endpoint_.url(), api));
  const auto version = highest_common(ours, theirs->second);
  if (!version)
    return fail(Errc::kUnsupported,
                fmt::format("{}: the broker serves {} in versions {} to {}, this program speaks {} to {}",
                            endpoint_.url(), api, theirs->second.min, theirs->second.max, ours.min, ours.max));
  return *version;
}

}  // namespace tributary
