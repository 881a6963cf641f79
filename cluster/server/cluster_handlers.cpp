// ApiVersions, DescribeCluster, InitProducerId: what concerns the cluster and no topic.

#include <algorithm>

#include "cluster/server/controller.h"
#include "cluster/server/error_mapping.h"
#include "cluster/server/handlers.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/init_producer_id.h"

namespace tributary {
namespace {

/// KIP-511: letters, digits, '.' and '-', beginning and ending with a letter or digit.
bool is_valid_software_name(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && alphanumeric(name.front()) && alphanumeric(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '.' || c == '-'; });
}

}  // namespace

void handle_api_versions(CallPtr call) {
  ApiVersionsResponse response;
  response.apis = ApiVersionsResponse::apis_of(served_apis());
  if (!ApiVersionsRequest::valid.contains(call->version())) {
    response.error_code = ErrorCode::kUnsupportedVersion;
    return call->reply_in_version(response, 0, response.error_code);
  }
  const auto request = call->decode<ApiVersionsRequest>();
  if (!request) return;
  const bool named = ApiVersionsRequest::flexible.contains(call->version());
  if (named && !(is_valid_software_name(request->client_software_name) &&
                 is_valid_software_name(request->client_software_version))) {
    response.apis.clear();
    response.error_code = ErrorCode::kInvalidRequest;
  }
  call->reply(response, response.error_code);
}

void handle_describe_cluster(CallPtr call) {
  const auto request = call->decode<DescribeClusterRequest>();
  if (!request) return;
  const auto& server = call->server();
  DescribeClusterResponse response;
  response.endpoint_type = request->endpoint_type;
  if (request->endpoint_type != 1) {
    response.error_code = ErrorCode::kUnsupportedEndpointType;
    response.error_message = "controllers are not served separately: ask for brokers";
    return call->reply(response, response.error_code);
  }
  const auto endpoint = server.endpoint(call->listener());
  response.cluster_id = server.cluster_id;
  response.controller_id = server.options.node_id;
  response.brokers.push_back({server.options.node_id, endpoint.host, endpoint.port, std::nullopt});
  call->reply(response, ErrorCode::kNone);
}

void handle_init_producer_id(CallPtr call) {
  const auto request = call->decode<InitProducerIdRequest>();
  if (!request) return;
  if (request->transactional_id) {
    // Fatal for every client, as it should be: trying again does not help.
    InitProducerIdResponse response;
    response.error_code = request->transactional_id->empty() ? ErrorCode::kInvalidRequest : ErrorCode::kUnsupportedVersion;
    return call->reply(response, response.error_code);
  }
  auto& controller = *call->server().controller;
  controller.new_producer_id(call->home(), [call](const Result<ProducerId>& id) {
    InitProducerIdResponse response;
    if (id) {
      response.producer_id = *id;
      response.producer_epoch = ProducerEpoch(0);
    } else {
      response.error_code = topic_error(id.error());
    }
    call->reply(response, response.error_code);
  });
}

}  // namespace tributary
