#include "gateway/uplink/uplink.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "common/protocol/frame.h"
#include "common/protocol/messages/create_topics.h"
#include "common/protocol/messages/metadata.h"
#include "common/protocol/messages/produce.h"
#include "common/telemetry/log.h"
#include "common/transport/client.h"
#include "gateway/uplink/uplink_core.h"

namespace tributary {
namespace {

// Every broker with an nng listener serves these.
constexpr std::int16_t kProduceVersion = 9;
constexpr std::int16_t kMetadataVersion = 9;
constexpr std::int16_t kCreateTopicsVersion = 5;

constexpr std::size_t kAnswerBytesMax = 16u << 20;

std::int32_t milliseconds(Duration duration) {
  return static_cast<std::int32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::string nng_url(const MetadataResponse::Broker& broker) {
  const bool v6 = broker.host.find(':') != std::string::npos;
  return fmt::format("tcp://{}{}{}:{}", v6 ? "[" : "", broker.host, v6 ? "]" : "", broker.port);
}

Result<std::vector<ProduceOutcome>> outcomes_of(const Result<SharedBytes>& answer) {
  if (!answer) return tl::unexpected<Error>(answer.error());
  ASSIGN_OR_RETURN(const auto response, decode_response<ProduceResponse>(answer->view(), kProduceVersion));
  std::vector<ProduceOutcome> outcomes;
  for (const auto& topic : response.topics)
    for (const auto& partition : topic.partitions)
      outcomes.push_back({{topic.name, partition.index}, partition.error_code, partition.error_message.value_or("")});
  return outcomes;
}

TopicView view_of(const MetadataResponse::Topic& topic) {
  constexpr std::size_t kPartitionsMax = 100'000;
  TopicView view{topic.name.value_or(""), topic.error_code, {}};
  for (const auto& partition : topic.partitions) {
    const auto index = partition.index.value();
    if (index < 0 || static_cast<std::size_t>(index) >= kPartitionsMax) continue;
    if (view.leaders.size() <= static_cast<std::size_t>(index))
      view.leaders.resize(static_cast<std::size_t>(index) + 1, kNoBroker);
    view.leaders[static_cast<std::size_t>(index)] = partition.leader_id;
  }
  return view;
}

Result<ErrorCode> code_of(const Result<SharedBytes>& answer) {
  if (!answer) return tl::unexpected<Error>(answer.error());
  ASSIGN_OR_RETURN(const auto response,
                   decode_response<CreateTopicsResponse>(answer->view(), kCreateTopicsVersion));
  if (response.topics.size() != 1) return fail(Errc::kCorrupt, "not one topic in the answer");
  return response.topics.front().error_code;
}

UplinkCoreOptions core_options(const UplinkOptions& options) {
  UplinkCoreOptions core;
  core.create_topics = options.create_topics;
  core.window_max = UplinkPort::kOfferedMax;
  core.request_bytes_max = options.request_bytes_max;
  core.in_flight_bytes_max = options.in_flight_bytes_max;
  core.retry_min = options.retry_min;
  core.retry_max = options.retry_max;
  return core;
}

}  // namespace

/// The thread drains the mailbox into the core, ticks it, and carries out its actions. What others put
/// into the mailbox is under `mutex_`; everything else is the thread's.
class Uplink::Driver final : public UplinkActions {
 public:
  Driver(UplinkOptions options, UplinkEvents& events)
      : options_(std::move(options)),
        events_(events),
        random_(random_u64_from_os()),
        core_(core_options(options_), *this, random_, clock_.mono_now()) {}
  ~Driver() override { stop(); }

  Result<> open();
  void post(std::function<void()> task);
  void stop();
  UplinkCore& core() { return core_; }
  [[nodiscard]] MonoTime now() const { return clock_.mono_now(); }

  void send_produce(UplinkRequestId id, BrokerId leader, const std::vector<const SealedBatch*>& batches) override;
  void send_metadata(UplinkRequestId id, const std::vector<std::string>& topics) override;
  void send_create_topic(UplinkRequestId id, const std::string& topic, std::int32_t partitions) override;
  void acked(BatchId id) override { events_.on_acked(id); }
  void setback(BatchId id, Setback setback, const std::string& reason) override {
    events_.on_setback(id, setback, reason);
  }
  void partition_count(const std::string& topic, std::int32_t count) override {
    events_.on_partition_count(topic, count);
  }
  void reachable(bool reachable) override { events_.on_reachable(reachable); }
  void say(bool warning, const std::string& text) override {
    log(warning ? LogLevel::kWarning : LogLevel::kInfo, "uplink", text, {{"cluster", options_.cluster.front()}});
  }

 private:
  void run();
  Result<RequestChannel*> channel(const std::string& url);
  template <class Request>
  void send(const std::string& url, std::int16_t version, const Request& request, Duration timeout,
            std::function<void(Result<SharedBytes>)> done);
  void metadata_answered(UplinkRequestId id, const Result<SharedBytes>& answer);
  void learn_brokers(const std::vector<MetadataResponse::Broker>& brokers);

  const UplinkOptions options_;
  UplinkEvents& events_;
  const Clock& clock_ = system_clock();
  SeededRandom random_;
  UplinkCore core_;
  std::map<std::string, std::unique_ptr<RequestChannel>> channels_;  // by URL
  std::map<BrokerId, std::string> brokers_;                          // their URLs
  std::size_t bootstrap_ = 0;                                        // index of the one that is asked
  std::int32_t correlation_id_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> mailbox_;
  bool stopping_ = false;
  std::thread thread_;
};

Result<> Uplink::Driver::open() {
  if (options_.cluster.empty()) return fail(Errc::kInvalidArgument, "no address of the cluster");
  for (const auto& url : options_.cluster) RETURN_IF_ERROR(channel(url));
  thread_ = std::thread([this] { run(); });
  return {};
}

void Uplink::Driver::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    mailbox_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void Uplink::Driver::run() {
  std::vector<std::function<void()>> tasks;
  for (;;) {
    core_.tick(now());
    const auto next = core_.next_time();
    {
      std::unique_lock lock(mutex_);
      const auto woken = [this] { return stopping_ || !mailbox_.empty(); };
      if (next == MonoTime::max()) changed_.wait(lock, woken);
      else changed_.wait_for(lock, std::clamp<Duration>(next - now(), Duration(0), std::chrono::hours(1)), woken);
      if (stopping_) return;
      tasks = std::exchange(mailbox_, {});
    }
    for (const auto& task : tasks) task();
    tasks.clear();
  }
}

void Uplink::Driver::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    mailbox_.clear();
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  channels_.clear();  // their callbacks find stopping_
}

// ---- Connections

Result<RequestChannel*> Uplink::Driver::channel(const std::string& url) {
  auto& channel = channels_[url];
  if (!channel) {
    NngClientOptions options;
    options.answer_bytes_max = kAnswerBytesMax;
    options.reconnect_min = std::chrono::milliseconds(100);
    options.reconnect_max = std::chrono::milliseconds(2'000);
    options.on_connection_change = [this](bool) { post([this] { core_.connection_changed(now()); }); };
    auto connected = connect_nng(url, std::move(options));
    if (!connected) {
      channels_.erase(url);
      return tl::unexpected<Error>(std::move(connected).error());
    }
    channel = std::move(*connected);
  }
  return channel.get();
}

template <class Request>
void Uplink::Driver::send(const std::string& url, std::int16_t version, const Request& request,
                          Duration timeout, std::function<void(Result<SharedBytes>)> done) {
  correlation_id_ = (correlation_id_ + 1) & 0x7fffffff;
  auto frame = encode_request(version, correlation_id_, options_.client_id, request);
  auto found = channel(url);
  if (!frame || !found) {
    auto error = frame ? std::move(found).error() : std::move(frame).error();
    return post([error = std::move(error), done] { done(tl::unexpected<Error>(error)); });
  }
  (*found)->send(std::move(*frame), timeout, [this, url, done = std::move(done)](Result<SharedBytes> answer) {
    if (!answer) answer.error().message = fmt::format("{}: {}", url, answer.error().message);
    post([done, moved = std::move(answer)] { done(moved); });
  });
}

// ---- The core's requests

void Uplink::Driver::send_produce(UplinkRequestId id, BrokerId leader,
                                  const std::vector<const SealedBatch*>& batches) {
  ProduceRequest request;
  request.acks = ProduceRequest::kAcksAll;
  request.timeout_ms = milliseconds(options_.request_timeout);
  for (const auto* batch : batches) {
    const auto& destination = batch->info.destination;
    if (request.topics.empty() || request.topics.back().name != destination.topic)
      request.topics.push_back({destination.topic, {}});
    request.topics.back().partitions.push_back({destination.partition, Records(batch->bytes)});
  }
  const auto broker = brokers_.find(leader);
  const auto done = [this, id](const Result<SharedBytes>& answer) {
    core_.produce_done(now(), id, outcomes_of(answer));
  };
  if (broker == brokers_.end())
    return post([done, leader] { done(fail(Errc::kUnavailable, fmt::format("broker {} is not known", leader))); });
  send(broker->second, kProduceVersion, request, options_.request_timeout, done);
}

void Uplink::Driver::send_metadata(UplinkRequestId id, const std::vector<std::string>& topics) {
  MetadataRequest request;
  request.allow_auto_topic_creation = false;
  for (const auto& topic : topics) {
    MetadataRequest::Topic wanted;
    wanted.name = topic;
    request.topics->push_back(std::move(wanted));
  }
  send(options_.cluster[bootstrap_], kMetadataVersion, request, options_.probe_timeout,
       [this, id](const Result<SharedBytes>& answer) { metadata_answered(id, answer); });
}

void Uplink::Driver::send_create_topic(UplinkRequestId id, const std::string& topic, std::int32_t partitions) {
  CreateTopicsRequest request;
  CreateTopicsRequest::Topic wanted;
  wanted.name = topic;
  wanted.num_partitions = partitions;
  wanted.replication_factor = -1;  // the broker's default
  request.topics.push_back(std::move(wanted));
  request.timeout_ms = milliseconds(options_.probe_timeout);
  send(options_.cluster[bootstrap_], kCreateTopicsVersion, request, options_.probe_timeout * 2,
       [this, id](const Result<SharedBytes>& answer) { core_.create_topic_done(now(), id, code_of(answer)); });
}

void Uplink::Driver::metadata_answered(UplinkRequestId id, const Result<SharedBytes>& answer) {
  const auto response = answer ? decode_response<MetadataResponse>(answer->view(), kMetadataVersion)
                               : Result<MetadataResponse>(tl::unexpected<Error>(answer.error()));
  if (!response) {
    bootstrap_ = (bootstrap_ + 1) % options_.cluster.size();
    return core_.metadata_done(now(), id, tl::unexpected<Error>(response.error()));
  }
  learn_brokers(response->brokers);
  std::vector<TopicView> topics;
  for (const auto& topic : response->topics) topics.push_back(view_of(topic));
  core_.metadata_done(now(), id, topics);
}

void Uplink::Driver::learn_brokers(const std::vector<MetadataResponse::Broker>& brokers) {
  brokers_.clear();
  std::set<std::string> wanted(options_.cluster.begin(), options_.cluster.end());
  for (const auto& broker : brokers) {
    brokers_[broker.node_id] = nng_url(broker);
    wanted.insert(brokers_[broker.node_id]);
  }
  std::erase_if(channels_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

// ---- The port

Result<std::unique_ptr<Uplink>> Uplink::start(UplinkOptions options, UplinkEvents& events) {
  auto driver = std::make_unique<Driver>(std::move(options), events);
  RETURN_IF_ERROR(driver->open());
  return std::unique_ptr<Uplink>(new Uplink(std::move(driver)));
}

Uplink::Uplink(std::unique_ptr<Driver> driver) : driver_(std::move(driver)) {}
Uplink::~Uplink() { stop(); }

void Uplink::want_topic(const std::string& topic, std::int32_t partitions) {
  driver_->post([this, topic, partitions] { driver_->core().want_topic(driver_->now(), topic, partitions); });
}

void Uplink::offer(SealedBatch batch) {
  driver_->post([this, moved = std::move(batch)]() mutable { driver_->core().offer(driver_->now(), std::move(moved)); });
}

void Uplink::stop() { driver_->stop(); }

}  // namespace tributary
