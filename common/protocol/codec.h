#pragma once
// The definitions of frame.h's templates. Only the source files of messages include this: each
// instantiates its own messages, once for the whole program.

#include "common/protocol/decoder.h"
#include "common/protocol/encoder.h"
#include "common/protocol/frame.h"

namespace tributary {

namespace detail {

[[nodiscard]] tl::unexpected<Error> version_not_valid(std::string_view name, std::int16_t version,
                                                      Versions valid);
void write_request_header(Encoder& encoder, const RequestHeader& header);
void write_response_header(Encoder& encoder, ApiKey api, std::int32_t correlation_id, bool flexible);
[[nodiscard]] Result<ByteView> skip_response_header(ByteView frame, ApiKey api, bool flexible);

template <Message M>
Result<M> decode_body(ByteView body, std::int16_t version, Leftover leftover) {
  Decoder decoder(body, version, M::flexible.contains(version));
  M message;
  decoder.structure(message);
  RETURN_IF_ERROR(decoder.finish(M::name, leftover));
  return message;
}

}  // namespace detail

template <RequestMessage Request>
Result<Request> decode_request(ByteView body, std::int16_t version) {
  if (!Request::valid.contains(version)) {
    return detail::version_not_valid(Request::name, version, Request::valid);
  }
  return detail::decode_body<Request>(body, version, Leftover::kIgnored);
}

template <Message Response>
Result<Response> decode_response(ByteView frame, std::int16_t version) {
  if (!Response::valid.contains(version)) {
    return detail::version_not_valid(Response::name, version, Response::valid);
  }
  ASSIGN_OR_RETURN(const ByteView body, detail::skip_response_header(frame, Response::api,
                                                                     Response::flexible.contains(version)));
  return detail::decode_body<Response>(body, version, Leftover::kRefused);
}

template <RequestMessage Request>
Result<Payload> encode_request(const RequestHeader& header, const Request& request) {
  CHECK(header.api == Request::api, "a header of {} before a {}", header.api, Request::name);
  if (!Request::valid.contains(header.version)) {
    return detail::version_not_valid(Request::name, header.version, Request::valid);
  }
  Encoder encoder(header.version, Request::flexible.contains(header.version));
  detail::write_request_header(encoder, header);
  encoder.structure(request);
  return encoder.finish(Request::name);
}

template <Message Response>
Result<Payload> encode_response(std::int32_t correlation_id, std::int16_t version,
                                const Response& response) {
  if (!Response::valid.contains(version)) {
    return detail::version_not_valid(Response::name, version, Response::valid);
  }
  const bool flexible = Response::flexible.contains(version);
  Encoder encoder(version, flexible);
  detail::write_response_header(encoder, Response::api, correlation_id, flexible);
  encoder.structure(response);
  return encoder.finish(Response::name);
}

/// In a message's source file, within namespace tributary.
#define TRIBUTARY_INSTANTIATE_MESSAGES(Request)                                                     \
  template Result<Request> decode_request<Request>(ByteView, std::int16_t);                         \
  template Result<Request::Response> decode_response<Request::Response>(ByteView, std::int16_t);    \
  template Result<Payload> encode_request<Request>(const RequestHeader&, const Request&);           \
  template Result<Payload> encode_response<Request::Response>(std::int32_t, std::int16_t,           \
                                                              const Request::Response&)

}  // namespace tributary
