#pragma once
// One function per API. Each is called on the call's home shard and answers it there, now or later.

#include <span>

#include "cluster/server/call.h"

namespace tributary {

void handle_produce(CallPtr call);
void handle_fetch(CallPtr call);
void handle_list_offsets(CallPtr call);
void handle_offset_for_leader_epoch(CallPtr call);
void handle_metadata(CallPtr call);
void handle_api_versions(CallPtr call);
void handle_create_topics(CallPtr call);
void handle_delete_topics(CallPtr call);
void handle_create_partitions(CallPtr call);
void handle_delete_records(CallPtr call);
void handle_init_producer_id(CallPtr call);
void handle_describe_configs(CallPtr call);
void handle_incremental_alter_configs(CallPtr call);
void handle_describe_cluster(CallPtr call);
void handle_describe_log_dirs(CallPtr call);

void handle_find_coordinator(CallPtr call);
void handle_join_group(CallPtr call);
void handle_sync_group(CallPtr call);
void handle_heartbeat(CallPtr call);
void handle_leave_group(CallPtr call);
void handle_describe_groups(CallPtr call);
void handle_list_groups(CallPtr call);
void handle_delete_groups(CallPtr call);
void handle_offset_commit(CallPtr call);
void handle_offset_fetch(CallPtr call);
void handle_offset_delete(CallPtr call);

/// What this broker offers, sorted by API key.
[[nodiscard]] std::span<const SupportedApi> served_apis();

}  // namespace tributary
