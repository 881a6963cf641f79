#pragma once
// The program of docs/clients.md, which must be the same text: example_test.cpp sees to that.

#include <atomic>
#include <functional>

#include "cluster/client/group_consumer.h"

namespace tributary {

using namespace std::chrono_literals;

// [docs/clients.md]
/// Shows readings as a member of the group "dashboards", until it is stopped.
Result<> show_readings(const std::string& url, const std::atomic<bool>& stop,
                       const std::function<void(const TopicPartition&, const RecordView&)>& show) {
  ASSIGN_OR_RETURN(const auto client, ClusterClient::connect({.bootstrap = {url}}, deadline_in(10s)));
  GroupConsumerOptions options;
  options.group = "dashboards";
  options.topics = {"readings"};
  options.start = OnOutOfRange::kEarliest;  // where the group has committed nothing
  ASSIGN_OR_RETURN(const auto consumer, GroupConsumer::create(*client, std::move(options)));
  Decompressor decompressor;
  while (!stop) {
    // Asking for more says that what came before is done with: it may be committed.
    ASSIGN_OR_RETURN(const auto batches, consumer->poll(500ms));
    for (const auto& batch : batches) {
      RETURN_IF_ERROR(for_each_record(batch, decompressor, 64u << 20, [&](const RecordView& record) {
        show(batch.partition, record);
        return true;
      }));
    }
  }
  RETURN_IF_ERROR(consumer->commit(10s));  // what the last poll gave
  consumer->close(10s);                    // others get its partitions at once
  return {};
}
// [docs/clients.md]

}  // namespace tributary
