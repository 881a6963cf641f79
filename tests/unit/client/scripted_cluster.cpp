#include "tests/unit/client/scripted_cluster.h"

#include <asio/steady_timer.hpp>

#include <tuple>

#include "common/base/check.h"
#include "common/protocol/messages/api_versions.h"
#include "common/protocol/messages/create_partitions.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/delete_topics.h"
#include "common/protocol/messages/describe_configs.h"
#include "common/protocol/messages/fetch.h"
#include "common/protocol/messages/find_coordinator.h"
#include "common/protocol/messages/incremental_alter_configs.h"
#include "common/protocol/messages/init_producer_id.h"
#include "common/protocol/messages/list_offsets.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/record/record_reader.h"

namespace tributary {

/// One broker: a thread, a listener, and the handlers.
class ScriptedCluster::Node final : public RequestHandler {
 public:
  Node(ScriptedCluster& cluster, int id) : cluster_(cluster), id_(id), guard_(context_.get_executor()) {
    thread_ = std::thread([this] { context_.run(); });
    if (cluster.kind_ == Endpoint::Kind::kNng) {
      auto started = NngServer::start({.url = "tcp://127.0.0.1:0"}, {&context_}, *this);
      CHECK(started, "{}", started.error().message);
      nng_ = *std::move(started);
      port_ = nng_->port();
    } else {
      auto started = KafkaTcpServer::start({.host = "127.0.0.1", .port = 0}, {&context_}, *this);
      CHECK(started, "{}", started.error().message);
      tcp_ = *std::move(started);
      port_ = tcp_->port();
    }
  }
  ~Node() override {
    stop();
    guard_.reset();
    context_.stop();
    thread_.join();
    waiting_.clear();
  }
  void stop() {
    if (nng_) nng_->stop();
    if (tcp_) tcp_->stop();
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int id() const { return id_; }

  void handle(IncomingRequest incoming, Responder responder) override {
    const auto frame = parse_request_header(incoming.frame.view());
    if (!frame) return responder.close();
    const std::lock_guard lock(cluster_.mutex_);
    ++cluster_.requests_[frame->header.api];
    fault_ = cluster_.fault_for(frame->header.api);
    switch (frame->header.api) {
      case ApiKey::kApiVersions: return answer<ApiVersionsRequest>(*frame, responder);
      case ApiKey::kMetadata: return answer<MetadataRequest>(*frame, responder);
      case ApiKey::kProduce: return answer<ProduceRequest>(*frame, responder);
      case ApiKey::kFetch: return answer<FetchRequest>(*frame, responder);
      case ApiKey::kListOffsets: return answer<ListOffsetsRequest>(*frame, responder);
      case ApiKey::kInitProducerId: return answer<InitProducerIdRequest>(*frame, responder);
      case ApiKey::kCreateTopics: return answer<CreateTopicsRequest>(*frame, responder);
      case ApiKey::kDeleteTopics: return answer<DeleteTopicsRequest>(*frame, responder);
      case ApiKey::kIncrementalAlterConfigs: return answer<IncrementalAlterConfigsRequest>(*frame, responder);
      case ApiKey::kCreatePartitions: return answer<CreatePartitionsRequest>(*frame, responder);
      case ApiKey::kDescribeConfigs: return answer<DescribeConfigsRequest>(*frame, responder);
      case ApiKey::kFindCoordinator: return answer<FindCoordinatorRequest>(*frame, responder);
      case ApiKey::kListGroups: return answer<ListGroupsRequest>(*frame, responder);
      case ApiKey::kDescribeGroups: return answer<DescribeGroupsRequest>(*frame, responder);
      case ApiKey::kDeleteGroups: return answer<DeleteGroupsRequest>(*frame, responder);
      case ApiKey::kOffsetFetch: return answer<OffsetFetchRequest>(*frame, responder);
      case ApiKey::kOffsetCommit: return answer<OffsetCommitRequest>(*frame, responder);
      case ApiKey::kOffsetDelete: return answer<OffsetDeleteRequest>(*frame, responder);
      case ApiKey::kJoinGroup: return answer<JoinGroupRequest>(*frame, responder);
      case ApiKey::kSyncGroup: return answer<SyncGroupRequest>(*frame, responder);
      case ApiKey::kHeartbeat: return answer<HeartbeatRequest>(*frame, responder);
      case ApiKey::kLeaveGroup: return answer<LeaveGroupRequest>(*frame, responder);
      default: return responder.close();
    }
  }

 private:
  template <class Request>
  void answer(const RequestFrame& frame, Responder& responder) {
    auto request = decode_request<Request>(frame.body, frame.header.version);
    if (!request) return responder.close();
    const auto response = serve(*request);
    auto payload = encode_response(frame.header.correlation_id, frame.header.version, response);
    CHECK(payload, "{}", payload.error().message);
    if (fault_ && fault_->swallow_answer) {
      // A swallowed answer on Kafka TCP would hold up all that follow: there the connection breaks.
      if (tcp_) responder.close();
      else responder.no_answer();
      return;
    }
    if constexpr (std::is_same_v<Request, FetchRequest>)
      if (is_empty(response)) return answer_later(*std::move(payload), std::move(responder));
    responder.respond(*std::move(payload));
  }
  [[nodiscard]] ErrorCode code() const { return fault_ ? fault_->code.value_or(ErrorCode::kNone) : ErrorCode::kNone; }

  static bool is_empty(const FetchResponse& response) {
    for (const auto& topic : response.topics)
      for (const auto& partition : topic.partitions)
        if (partition.records.size_bytes() > 0 || partition.error_code != ErrorCode::kNone) return false;
    return true;
  }
  void answer_later(Payload payload, Responder responder) {
    auto waiting = std::make_shared<std::tuple<asio::steady_timer, Responder, Payload>>(
        asio::steady_timer(context_, std::chrono::milliseconds(20)), std::move(responder), std::move(payload));
    waiting_.push_back(waiting);
    std::get<0>(*waiting).async_wait([weak = std::weak_ptr(waiting)](auto) {
      if (const auto held = weak.lock()) std::get<1>(*held).respond(std::move(std::get<2>(*held)));
    });
  }

  ApiVersionsResponse serve(const ApiVersionsRequest&) {
    ApiVersionsResponse response;
    const auto table = supported_apis<ApiVersionsRequest, MetadataRequest, ProduceRequest, FetchRequest, ListOffsetsRequest,
                                      InitProducerIdRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
                                      IncrementalAlterConfigsRequest, CreatePartitionsRequest,
                                      FindCoordinatorRequest, ListGroupsRequest, DescribeGroupsRequest, DeleteGroupsRequest,
                                      OffsetFetchRequest, OffsetCommitRequest, OffsetDeleteRequest, JoinGroupRequest,
                                      SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest>();
    response.apis = ApiVersionsResponse::apis_of(table);
    return response;
  }

  MetadataResponse serve(const MetadataRequest& request) {
    MetadataResponse response;
    for (const auto& node : cluster_.nodes_)
      response.brokers.push_back({BrokerId(node->id()), "127.0.0.1", node->port(), std::nullopt});
    response.cluster_id = "scripted";
    std::vector<std::string> names;
    if (!request.topics) for (const auto& [name, partitions] : cluster_.topics_) names.push_back(name);
    else for (const auto& topic : *request.topics) names.push_back(topic.name.value_or(""));
    for (const auto& name : names) {
      if (!cluster_.topics_.contains(name) && request.allow_auto_topic_creation && cluster_.auto_create)
        cluster_.topics_[name].resize(static_cast<std::size_t>(cluster_.partitions_of_new_topics));
      response.topics.push_back(describe(name));
    }
    return response;
  }
  MetadataResponse::Topic describe(const std::string& name) {
    MetadataResponse::Topic topic;
    topic.name = name;
    topic.error_code = code();
    const auto found = cluster_.topics_.find(name);
    if (found == cluster_.topics_.end()) topic.error_code = ErrorCode::kUnknownTopicOrPartition;
    if (topic.error_code != ErrorCode::kNone) return topic;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      auto& partition = topic.partitions.emplace_back();
      partition.index = PartitionIndex(static_cast<std::int32_t>(i));
      partition.leader_id = found->second[i].leader;
      partition.replica_nodes = partition.isr_nodes = {partition.leader_id};
    }
    return topic;
  }

  /// The partition, or the error that stands in the way.
  ScriptedPartition* find(const std::string& topic, PartitionIndex index, ErrorCode& error) {
    error = code();
    if (error != ErrorCode::kNone) return nullptr;
    const auto found = cluster_.topics_.find(topic);
    error = ErrorCode::kUnknownTopicOrPartition;
    if (found == cluster_.topics_.end() || static_cast<std::size_t>(index.value()) >= found->second.size()) return nullptr;
    auto& partition = found->second[static_cast<std::size_t>(index.value())];
    error = partition.leader.value() == id_ ? ErrorCode::kNone : ErrorCode::kNotLeaderOrFollower;
    return error == ErrorCode::kNone ? &partition : nullptr;
  }

  ProduceResponse serve(const ProduceRequest& request) {
    ProduceResponse response;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& asked : topic.partitions) {
        auto& part = answered.partitions.emplace_back();
        part.index = asked.index;
        if (auto* partition = find(topic.name, asked.index, part.error_code)) append(*partition, asked.records.view(), part);
      }
    }
    return response;
  }
  static void append(ScriptedPartition& partition, ByteView records, ProduceResponse::Partition& answer) {
    const auto header = validate_batch(records, {.record_check = RecordCheck::kAll});
    if (!header) {
      answer.error_code = ErrorCode::kCorruptMessage;
      return;
    }
    answer.base_offset = partition.end;
    if (header->idempotent()) {
      const auto last = partition.producers.find(header->producer_id.value());
      if (last != partition.producers.end() && last->second.first == header->base_sequence) {
        answer.base_offset = last->second.second;
        return;
      }
      partition.producers[header->producer_id.value()] = {header->base_sequence, partition.end};
    }
    auto batch = to_bytes(records);
    patch_offset_and_epoch(batch, partition.end, LeaderEpoch(0));
    partition.end = partition.end + header->record_count;
    partition.batches.push_back(std::move(batch));
  }

  FetchResponse serve(const FetchRequest& request) {
    FetchResponse response;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& asked : topic.partitions) {
        auto& part = answered.partitions.emplace_back();
        part.index = asked.index;
        part.records = Records(ByteView{});
        auto* partition = find(topic.name, asked.index, part.error_code);
        if (partition == nullptr) continue;
        part.high_watermark = partition->end;
        part.log_start_offset = partition->start;
        if (asked.fetch_offset < partition->start || asked.fetch_offset > partition->end)
          part.error_code = ErrorCode::kOffsetOutOfRange;
        else part.records = Records(SharedBytes(read(*partition, asked)));
      }
    }
    return response;
  }
  /// As a broker with sendfile does: the last batch may be cut.
  static Bytes read(const ScriptedPartition& partition, const FetchRequest::Partition& asked) {
    Bytes records;
    for (const auto& batch : partition.batches) {
      const auto header = parse_batch_header(batch);
      if (header->next_offset() <= asked.fetch_offset) continue;
      const auto room = static_cast<std::size_t>(asked.bytes_max) - std::min<std::size_t>(records.size(), static_cast<std::size_t>(asked.bytes_max));
      const auto size = records.empty() ? batch.size() : std::min(batch.size(), room);
      records.insert(records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(size));
      if (size < batch.size()) break;
    }
    return records;
  }

  ListOffsetsResponse serve(const ListOffsetsRequest& request) {
    ListOffsetsResponse response;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const auto& asked : topic.partitions) {
        auto& part = answered.partitions.emplace_back();
        part.index = asked.index;
        auto* partition = find(topic.name, asked.index, part.error_code);
        if (partition == nullptr) continue;
        if (asked.timestamp_ms == ListOffsetsRequest::kLatest) part.offset = partition->end;
        else if (asked.timestamp_ms == ListOffsetsRequest::kEarliest) part.offset = partition->start;
        else std::tie(part.offset, part.timestamp_ms) = by_time(*partition, asked.timestamp_ms);
      }
    }
    return response;
  }
  static std::pair<Offset, std::int64_t> by_time(const ScriptedPartition& partition, std::int64_t timestamp_ms) {
    std::pair<Offset, std::int64_t> largest{-1, kNoTimestamp};
    for (const auto& batch : partition.batches) {
      auto reader = RecordReader::open(batch, 1u << 20);
      RecordView record;
      while (reader->next(record).value()) {
        if (timestamp_ms >= 0 && record.timestamp_ms >= timestamp_ms) return {record.offset, record.timestamp_ms};
        if (record.timestamp_ms > largest.second) largest = {record.offset, record.timestamp_ms};
      }
    }
    if (timestamp_ms == ListOffsetsRequest::kMaxTimestamp) return largest;
    return {Offset(-1), kNoTimestamp};
  }

  InitProducerIdResponse serve(const InitProducerIdRequest&) {
    InitProducerIdResponse response;
    response.error_code = code();
    response.producer_id = ProducerId(cluster_.next_producer_id_++);
    return response;
  }
  CreateTopicsResponse serve(const CreateTopicsRequest& request) {
    CreateTopicsResponse response;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      answered.error_code = code();
      if (answered.error_code != ErrorCode::kNone) answered.error_message = "as scripted";
      else if (cluster_.topics_.contains(topic.name)) answered.error_code = ErrorCode::kTopicAlreadyExists;
      else cluster_.topics_[topic.name].resize(static_cast<std::size_t>(topic.num_partitions > 0 ? topic.num_partitions : cluster_.partitions_of_new_topics));
    }
    return response;
  }
  DeleteTopicsResponse serve(const DeleteTopicsRequest& request) {
    DeleteTopicsResponse response;
    for (const auto& name : request.topic_names) {
      auto& answered = response.topics.emplace_back();
      answered.name = name;
      answered.error_code = cluster_.topics_.erase(name) > 0 ? ErrorCode::kNone : ErrorCode::kUnknownTopicOrPartition;
    }
    return response;
  }
  IncrementalAlterConfigsResponse serve(const IncrementalAlterConfigsRequest& request) {
    IncrementalAlterConfigsResponse response;
    for (const auto& resource : request.resources) {
      auto& answered = response.resources.emplace_back();
      answered.type = resource.type;
      answered.name = resource.name;
      answered.error_code = cluster_.topics_.contains(resource.name) ? code() : ErrorCode::kUnknownTopicOrPartition;
      if (answered.error_code != ErrorCode::kNone) continue;
      for (const auto& config : resource.configs)
        if (config.value) cluster_.altered_configs_[config.name] = *config.value;
        else cluster_.altered_configs_.erase(config.name);
    }
    return response;
  }
  CreatePartitionsResponse serve(const CreatePartitionsRequest& request) {
    CreatePartitionsResponse response;
    for (const auto& topic : request.topics) {
      auto& answered = response.topics.emplace_back();
      answered.name = topic.name;
      const auto found = cluster_.topics_.find(topic.name);
      const auto count = static_cast<std::size_t>(topic.count);
      if (found == cluster_.topics_.end()) {
        answered.error_code = ErrorCode::kUnknownTopicOrPartition;
      } else if (count <= found->second.size()) {
        answered.error_code = ErrorCode::kInvalidPartitions;
        answered.error_message = "not more";
      } else {
        found->second.resize(count);
      }
    }
    return response;
  }
  DescribeConfigsResponse serve(const DescribeConfigsRequest& request) {
    DescribeConfigsResponse response;
    for (const auto& resource : request.resources) {
      auto& answered = response.resources.emplace_back();
      answered.type = resource.type;
      answered.name = resource.name;
      answered.configs.push_back({.name = "segment.bytes", .value = "1024", .source = DescribeConfigsResponse::Source::kTopic});
      for (const auto& [name, value] : cluster_.altered_configs_)
        answered.configs.push_back({.name = name, .value = value, .source = DescribeConfigsResponse::Source::kTopic});
      answered.configs.push_back({.name = "retention.ms", .value = "-1", .source = DescribeConfigsResponse::Source::kDefault});
    }
    return response;
  }


  FindCoordinatorResponse serve(const FindCoordinatorRequest&) {
    const auto& node = *cluster_.nodes_[static_cast<std::size_t>(cluster_.coordinator_)];
    FindCoordinatorResponse response;
    response.error_code = code();
    if (response.error_code != ErrorCode::kNone) return response;
    response.node_id = BrokerId(node.id());
    response.host = "127.0.0.1";
    response.port = node.port();
    return response;
  }
  ListGroupsResponse serve(const ListGroupsRequest& request) {
    // Each broker lists the groups that it coordinates.
    return id_ == cluster_.coordinator_ + 1 ? cluster_.groups_.serve(request, code()) : ListGroupsResponse{};
  }
  /// All other requests about groups.
  template <class Request>
  typename Request::Response serve(const Request& request) {
    const bool coordinator = id_ == cluster_.coordinator_ + 1;
    return cluster_.groups_.serve(request, coordinator ? code() : ErrorCode::kNotCoordinator);
  }

  ScriptedCluster& cluster_;
  const int id_;
  std::uint16_t port_ = 0;
  std::optional<ScriptedFault> fault_;  // of the request that is being handled
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::vector<std::shared_ptr<std::tuple<asio::steady_timer, Responder, Payload>>> waiting_;
  std::unique_ptr<NngServer> nng_;
  std::unique_ptr<KafkaTcpServer> tcp_;
  std::thread thread_;
};

ScriptedCluster::ScriptedCluster(Endpoint::Kind kind, int brokers) : kind_(kind) {
  for (int i = 0; i < brokers; ++i) nodes_.push_back(std::make_unique<Node>(*this, i + 1));
}
ScriptedCluster::~ScriptedCluster() = default;

std::string ScriptedCluster::url(int broker) const {
  return Endpoint{kind_, "127.0.0.1", nodes_[static_cast<std::size_t>(broker)]->port()}.url();
}
void ScriptedCluster::add_topic(const std::string& name, int partitions) {
  const std::lock_guard lock(mutex_);
  topics_[name].resize(static_cast<std::size_t>(partitions));
}
void ScriptedCluster::inject(ScriptedFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(fault);
}
std::optional<ScriptedFault> ScriptedCluster::fault_for(ApiKey api) {
  for (auto& fault : faults_)
    if (fault.api == api && fault.times > 0) {
      --fault.times;
      return fault;
    }
  return std::nullopt;
}
void ScriptedCluster::set_leader(const TopicPartition& partition, int broker) {
  const std::lock_guard lock(mutex_);
  topics_.at(partition.topic)[static_cast<std::size_t>(partition.partition.value())].leader = BrokerId(broker + 1);
}
void ScriptedCluster::trim(const TopicPartition& partition, Offset start) {
  const std::lock_guard lock(mutex_);
  topics_.at(partition.topic)[static_cast<std::size_t>(partition.partition.value())].start = start;
}
void ScriptedCluster::append(const TopicPartition& partition, Bytes batch) {
  const std::lock_guard lock(mutex_);
  auto& log = topics_.at(partition.topic)[static_cast<std::size_t>(partition.partition.value())];
  const auto header = parse_batch_header(batch);
  patch_offset_and_epoch(batch, log.end, LeaderEpoch(0));
  log.end = log.end + header->record_count;
  log.batches.push_back(std::move(batch));
}
void ScriptedCluster::flip_byte(const TopicPartition& partition, std::size_t batch, std::size_t at) {
  const std::lock_guard lock(mutex_);
  topics_.at(partition.topic)[static_cast<std::size_t>(partition.partition.value())].batches[batch][at] ^= 0x55;
}
std::vector<Bytes> ScriptedCluster::batches(const TopicPartition& partition) {
  const std::lock_guard lock(mutex_);
  return topics_.at(partition.topic)[static_cast<std::size_t>(partition.partition.value())].batches;
}
int ScriptedCluster::requests(ApiKey api) {
  const std::lock_guard lock(mutex_);
  return requests_[api];
}
ScriptedGroup ScriptedCluster::group(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return groups_.groups[id];
}
void ScriptedCluster::set_group(const std::string& id, ScriptedGroup group) {
  const std::lock_guard lock(mutex_);
  groups_.groups[id] = std::move(group);
}
void ScriptedCluster::set_coordinator(int broker) {
  const std::lock_guard lock(mutex_);
  coordinator_ = broker;
}
void ScriptedCluster::stop(int broker) { nodes_[static_cast<std::size_t>(broker)]->stop(); }

}  // namespace tributary
