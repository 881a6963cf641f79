#include "common/protocol/frame.h"

#include "common/bytes/reader.h"
#include "common/protocol/codec.h"

namespace tributary {
namespace {

bool has_flexible_request_header(ApiKey api, std::int16_t version) {
  const auto first = first_flexible_version(api);
  return first && version >= *first;
}

/// Request header 0: the one request that Kafka's own brokers sent each other without a client id.
bool has_client_id(ApiKey api, std::int16_t version) {
  return api != ApiKey::kControlledShutdown || version > 0;
}

/// No tag of a header is known: all are skipped.
void skip_tag_buffer(ByteReader& reader) {
  for (auto count = reader.uvarint(); count > 0 && reader.ok(); --count) {
    (void)reader.uvarint();
    reader.skip(reader.uvarint());
  }
}

}  // namespace

Result<RequestFrame> parse_request_header(ByteView frame) {
  ByteReader reader(frame);
  RequestHeader header;
  header.api = static_cast<ApiKey>(reader.i16());
  header.version = reader.i16();
  header.correlation_id = reader.i32();
  if (!reader.ok()) {
    return fail(Errc::kCorrupt, fmt::format("a request of {} bytes has no whole header", frame.size()));
  }
  if (has_client_id(header.api, header.version)) {
    const auto size = reader.i16();
    if (size < -1) return fail(Errc::kCorrupt, fmt::format("request header: a client id of {} bytes", size));
    if (size >= 0) header.client_id = as_string_view(reader.bytes(static_cast<std::size_t>(size)));
  }
  if (has_flexible_request_header(header.api, header.version)) skip_tag_buffer(reader);
  if (!reader.ok()) {
    return fail(Errc::kCorrupt,
                fmt::format("the header of a {} v{} request ends after its frame of {} bytes", header.api,
                            header.version, frame.size()));
  }
  return RequestFrame{std::move(header), frame.subspan(reader.position())};
}

Result<std::int32_t> response_correlation_id(ByteView frame) {
  ByteReader reader(frame);
  const auto id = reader.i32();
  if (!reader.ok()) {
    return fail(Errc::kCorrupt, fmt::format("a response of {} bytes has no correlation id", frame.size()));
  }
  return id;
}

namespace detail {

tl::unexpected<Error> version_not_valid(std::string_view name, std::int16_t version, Versions valid) {
  return fail(Errc::kUnsupported,
              fmt::format("{} v{}: only versions {} to {} are known", name, version, valid.min, valid.max));
}

void write_request_header(Encoder& encoder, const RequestHeader& header) {
  encoder.raw_i16(static_cast<std::int16_t>(header.api));
  encoder.raw_i16(header.version);
  encoder.raw_i32(header.correlation_id);
  encoder.raw_nullable_string(header.client_id);
  if (has_flexible_request_header(header.api, header.version)) encoder.raw_empty_tag_buffer();
}

void write_response_header(Encoder& encoder, ApiKey api, std::int32_t correlation_id, bool flexible) {
  encoder.raw_i32(correlation_id);
  if (flexible && api != ApiKey::kApiVersions) encoder.raw_empty_tag_buffer();
}

Result<ByteView> skip_response_header(ByteView frame, ApiKey api, bool flexible) {
  ByteReader reader(frame);
  reader.skip(sizeof(std::int32_t));
  if (flexible && api != ApiKey::kApiVersions) skip_tag_buffer(reader);
  if (!reader.ok()) {
    return fail(Errc::kCorrupt,
                fmt::format("the header of a {} response ends after its frame of {} bytes", api,
                            frame.size()));
  }
  return frame.subspan(reader.position());
}

}  // namespace detail
}  // namespace tributary
