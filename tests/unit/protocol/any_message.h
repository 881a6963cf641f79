#pragma once
// Every message by its name, so that tests can run over all of them.

#include <string_view>

#include "common/protocol/frame.h"
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
  visit(TypeTag<OffsetCommitRequest>{});
  visit(TypeTag<OffsetFetchRequest>{});
  visit(TypeTag<FindCoordinatorRequest>{});
  visit(TypeTag<JoinGroupRequest>{});
  visit(TypeTag<HeartbeatRequest>{});
  visit(TypeTag<LeaveGroupRequest>{});
  visit(TypeTag<SyncGroupRequest>{});
  visit(TypeTag<DescribeGroupsRequest>{});
  visit(TypeTag<ListGroupsRequest>{});
  visit(TypeTag<DeleteGroupsRequest>{});
  visit(TypeTag<OffsetDeleteRequest>{});
  visit(TypeTag<CreatePartitionsRequest>{});
  visit(TypeTag<DeleteRecordsRequest>{});
  visit(TypeTag<IncrementalAlterConfigsRequest>{});
  visit(TypeTag<OffsetForLeaderEpochRequest>{});
  visit(TypeTag<DescribeLogDirsRequest>{});
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
