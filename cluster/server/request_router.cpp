#include "cluster/server/request_router.h"

#include <algorithm>
#include <array>

#include "cluster/server/handlers.h"
#include "cluster/server/server_metrics.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_groups.h"
#include "common/protocol/messages/delete_records.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_cluster.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/describe_groups.h"
#include "common/protocol/messages/describe_log_dirs.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/heartbeat.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/messages/join_group.h"
#include "common/protocol/messages/leave_group.h"
#include "common/protocol/messages/list_groups.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/offset_commit.h"
#include "common/protocol/messages/offset_delete.h"
#include "common/protocol/messages/offset_fetch.h"
#include "common/protocol/messages/offset_for_leader_epoch.h"
#include "common/protocol/messages/produce.h"
#include "common/protocol/messages/sync_group.h"

namespace tributary {
namespace {

using Handler = void (*)(CallPtr);

struct Route {
  SupportedApi offered;
  Versions handled;
  Handler handler;
};

template <RequestMessage Request>
constexpr Route route(Handler handler) {
  constexpr auto offered = served_versions<Request>();
  return {{Request::api, offered},
          {std::max(offered.min, Request::valid.min), std::min(offered.max, Request::valid.max)},
          handler};
}

// By API key.
constexpr std::array kRoutes{
    route<ProduceRequest>(handle_produce),
    route<FetchRequest>(handle_fetch),
    route<ListOffsetsRequest>(handle_list_offsets),
    route<MetadataRequest>(handle_metadata),
    route<OffsetCommitRequest>(handle_offset_commit),
    route<OffsetFetchRequest>(handle_offset_fetch),
    route<FindCoordinatorRequest>(handle_find_coordinator),
    route<JoinGroupRequest>(handle_join_group),
    route<HeartbeatRequest>(handle_heartbeat),
    route<LeaveGroupRequest>(handle_leave_group),
    route<SyncGroupRequest>(handle_sync_group),
    route<DescribeGroupsRequest>(handle_describe_groups),
    route<ListGroupsRequest>(handle_list_groups),
    route<ApiVersionsRequest>(handle_api_versions),
    route<CreateTopicsRequest>(handle_create_topics),
    route<DeleteTopicsRequest>(handle_delete_topics),
    route<DeleteRecordsRequest>(handle_delete_records),
    route<InitProducerIdRequest>(handle_init_producer_id),
    route<OffsetForLeaderEpochRequest>(handle_offset_for_leader_epoch),
    route<DescribeConfigsRequest>(handle_describe_configs),
    route<DescribeLogDirsRequest>(handle_describe_log_dirs),
    route<CreatePartitionsRequest>(handle_create_partitions),
    route<DeleteGroupsRequest>(handle_delete_groups),
    route<IncrementalAlterConfigsRequest>(handle_incremental_alter_configs),
    route<OffsetDeleteRequest>(handle_offset_delete),
    route<DescribeClusterRequest>(handle_describe_cluster),
};

const Route* find_route(ApiKey api) {
  const auto found = std::ranges::find(kRoutes, api, [](const Route& r) { return r.offered.api; });
  return found == kRoutes.end() ? nullptr : &*found;
}

}  // namespace

std::span<const SupportedApi> served_apis() {
  static const auto table = [] {
    std::array<SupportedApi, kRoutes.size()> apis;
    std::ranges::transform(kRoutes, apis.begin(), &Route::offered);
    return apis;
  }();
  return table;
}

void RequestRouter::handle(IncomingRequest request, Responder responder) {
  const auto frame = parse_request_header(request.frame.view());
  if (!frame) {
    server_.metrics.malformed_requests.inc();
    responder.close();
    return;
  }
  auto call = std::make_shared<Call>(server_, std::move(request), *frame, std::move(responder));
  const auto* route = find_route(call->header().api);
  const bool served = route && route->handled.contains(call->version());
  if (served || call->header().api == ApiKey::kApiVersions) return route->handler(std::move(call));
  server_.metrics.malformed_requests.inc();
  call->drop("this API or version is not served", ErrorCode::kUnsupportedVersion);
}

}  // namespace tributary
