#pragma once
// Frames: a header and one message, without the length prefix of Kafka TCP.
//
// The encode and decode templates are instantiated for every message of common/protocol/messages in that
// message's source file; including this header and the message's own is cheap.

#include <algorithm>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/protocol/api.h"
#include "common/protocol/payload.h"

namespace tributary {

template <class M>
concept Message = requires {
  { M::api } -> std::convertible_to<ApiKey>;
  { M::valid } -> std::convertible_to<Versions>;
};
template <class M>
concept RequestMessage = Message<M> && requires { typename M::Response; };

/// Request header 1 or 2; the version follows from `api` and `version`.
struct RequestHeader {
  ApiKey api{};
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;
  friend bool operator==(const RequestHeader&, const RequestHeader&) = default;
};

/// Where the correlation id starts, in bytes from the start of a frame.
inline constexpr std::size_t kRequestCorrelationIdAt = 4;
inline constexpr std::size_t kResponseCorrelationIdAt = 0;

struct RequestFrame {
  RequestHeader header;
  ByteView body;  // a view into the frame
};

/// Splits a request's frame into header and body. Any API key and version is let through, so that the
/// caller can answer what it does not serve; kCorrupt means that nothing can be answered: close the
/// connection.
[[nodiscard]] Result<RequestFrame> parse_request_header(ByteView frame);

/// The correlation id of a response's frame, to find the request that it answers.
[[nodiscard]] Result<std::int32_t> response_correlation_id(ByteView frame);

/// Memory that the decoded form of one message may take beside views into the frame. It bounds what a
/// hostile frame of tiny elements can cost, and is far above any real message.
inline constexpr std::size_t kDecodedBytesMax = 64u << 20;

/// The body of a request, as split off by parse_request_header. Views in the result point into `body`.
/// kUnsupported if `version` is outside Request::valid, kTooLarge over kDecodedBytesMax, otherwise
/// kCorrupt with the message's name, the field's path ("field 3[0].1": the second field of the first
/// element of the fourth) and the byte in the body. Bytes left over are ignored, as Kafka does: librdkafka 2.16 asks for
/// the metadata of all topics with a count of four bytes where one would do.
template <RequestMessage Request>
[[nodiscard]] Result<Request> decode_request(ByteView body, std::int16_t version);

/// A whole response frame, header included; errors and views as in decode_request, but bytes left over are an
/// error. The caller has matched the correlation id.
template <Message Response>
[[nodiscard]] Result<Response> decode_response(ByteView frame, std::int16_t version);

/// A whole request frame. `header.api` must be Request's; `header.version` is the message's version too.
/// kInvalidArgument if a field is set that the version does not have, a null stands where none may, or a
/// string or array is too long for its length field; kUnsupported if the version is outside
/// Request::valid.
template <RequestMessage Request>
[[nodiscard]] Result<Payload> encode_request(const RequestHeader& header, const Request& request);

template <RequestMessage Request>
[[nodiscard]] Result<Payload> encode_request(std::int16_t version, std::int32_t correlation_id,
                                             std::string_view client_id, const Request& request) {
  return encode_request(RequestHeader{Request::api, version, correlation_id, std::string(client_id)},
                        request);
}

/// A whole response frame; errors as in encode_request.
template <Message Response>
[[nodiscard]] Result<Payload> encode_response(std::int32_t correlation_id, std::int16_t version,
                                              const Response& response);

/// The versions that a broker which serves this request offers in ApiVersions.
template <RequestMessage Request>
[[nodiscard]] constexpr Versions served_versions() {
  if constexpr (requires { Request::served; }) return Request::served;
  else return Request::valid;
}

struct SupportedApi {
  ApiKey api{};
  Versions versions;
  friend bool operator==(const SupportedApi&, const SupportedApi&) = default;
};

/// supported_apis<ProduceRequest, FetchRequest, ...>(): what a broker with these handlers offers, by API key.
template <RequestMessage... Requests>
[[nodiscard]] std::vector<SupportedApi> supported_apis() {
  std::vector<SupportedApi> apis{{Requests::api, served_versions<Requests>()}...};
  std::ranges::sort(apis, {}, &SupportedApi::api);
  return apis;
}

}  // namespace tributary
