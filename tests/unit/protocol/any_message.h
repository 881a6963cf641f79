#pragma once
// Every message by its name, so that tests can run over all of them.

#include <string_view>

#include "common/protocol/frame.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"

namespace tributary {

template <class M>
struct TypeTag {
  using Type = M;
};

/// Calls visit(TypeTag<Request>{}) for every request.
template <class Visit>
void for_each_request(Visit&& visit) {
  visit(TypeTag<ProduceRequest>{});
  visit(TypeTag<FetchRequest>{});
  visit(TypeTag<ListOffsetsRequest>{});
  visit(TypeTag<MetadataRequest>{});
  visit(TypeTag<ApiVersionsRequest>{});
  visit(TypeTag<CreateTopicsRequest>{});
  visit(TypeTag<DeleteTopicsRequest>{});
  visit(TypeTag<InitProducerIdRequest>{});
  visit(TypeTag<DescribeConfigsRequest>{});
  visit(TypeTag<DescribeClusterRequest>{});
}

/// Decodes a whole frame of the message called `name` and encodes it again, headers included.
inline Result<Bytes> decode_and_encode(std::string_view name, std::int16_t version, ByteView frame) {
  Result<Bytes> result = fail(Errc::kNotFound, "no message of this name");
  for_each_request([&](auto tag) {
    using Request = typename decltype(tag)::Type;
    using Response = typename Request::Response;
    result = [&]() -> Result<Bytes> {
      if (name == Request::name) {
        ASSIGN_OR_RETURN(const auto parsed, parse_request_header(frame));
        ASSIGN_OR_RETURN(const auto request, decode_request<Request>(parsed.body, version));
        auto header = parsed.header;
        header.api = Request::api;  // a damaged header is still a header
        header.version = version;
        ASSIGN_OR_RETURN(const auto payload, encode_request(header, request));
        return payload.flatten();
      }
      if (name == Response::name) {
        ASSIGN_OR_RETURN(const auto id, response_correlation_id(frame));
        ASSIGN_OR_RETURN(const auto response, decode_response<Response>(frame, version));
        ASSIGN_OR_RETURN(const auto payload, encode_response(id, version, response));
        return payload.flatten();
      }
      return std::move(result);
    }();
  });
  return result;
}

}  // namespace tributary
