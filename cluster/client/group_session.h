#pragma once
// Drives a Membership: the thread, the connection to the coordinator, and what the consumer sees of it.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/client/cluster_client.h"
#include "cluster/client/completions.h"
#include "cluster/client/membership.h"

namespace tributary {

struct OffsetCommitResponse;

struct GroupSessionOptions {
  std::string group;
  std::vector<std::string> topics;
  std::vector<std::string> assignors;  // best first; membership.cooperative fits them (all_cooperative)
  std::optional<std::string> instance_id;  // KIP-345; membership.is_static fits it
  Membership::Options membership;
  Duration topics_check_interval = std::chrono::seconds(30);  // by the leader, for other partitions
};

/// Has a thread of its own, which heartbeats while the consumer works. Thread-safe; the client must outlive it.
class GroupSession {
 public:
  GroupSession(ClusterClient& client, GroupSessionOptions options);
  /// Ends without leaving: see leave().
  ~GroupSession();
  GroupSession(const GroupSession&) = delete;
  GroupSession& operator=(const GroupSession&) = delete;

  struct View {
    Membership::Phase phase = Membership::Phase::kOutside;
    std::uint64_t assignment = 0;
    std::uint64_t holding = 0;
    std::vector<TopicPartition> partitions;
    std::vector<TopicPartition> kept;  // of those, if the phase is kRevoking
    GenerationId generation{kNoGenerationId};
    std::string member_id;
    std::optional<Error> failure;
    std::optional<MonoTime> unreachable_since;
    std::uint64_t change = 0;  // counts changes of all that
  };
  [[nodiscard]] View view() const;
  /// The next view other than that of `change`, or the same at the deadline.
  View wait_for_change(std::uint64_t change, MonoTime deadline) const;
  /// What went wrong and is tried again, since the last call.
  [[nodiscard]] std::vector<Error> take_troubles();

  /// See Membership::consent.
  void consent(std::uint64_t assignment);
  void consumer_away();
  void consumer_back();

  using Offsets = std::vector<std::pair<TopicPartition, Offset>>;
  using Committed = std::function<void(Result<>)>;
  /// One attempt, of what was got under `holding`. `done` is called once, on some thread: kFenced once that is lost,
  /// kUnavailable (also while the group rebalances) and kTimeout if it is worth another; what was asked may then have
  /// been done.
  void commit(Offsets offsets, std::uint64_t holding, Committed done);

  /// Tells the coordinator, so that others get the partitions at once. Waits for its answer until the deadline.
  void leave(MonoTime deadline);

 private:
  using Event = std::function<void()>;
  using Step = Membership::Step;

  // The session's thread only.
  void run();
  void perform(const Step& step);
  void find(const Step& step);
  void join(const Step& step);
  void assign(const Step& step);
  void sync(const Step& step);
  void heartbeat(const Step& step);
  void send_leave(const Step& step);
  void send_commit(const Offsets& offsets, std::uint64_t holding, Committed done);
  void commit_answered(const OffsetCommitResponse& response, GenerationId generation, std::uint64_t holding,
                       const Committed& done);
  void check_topics();
  [[nodiscard]] Result<std::map<std::string, std::int32_t>> count_partitions(const std::vector<std::string>& topics);
  void publish();
  template <class Request, class Handler>
  void ask(const Step& step, const Request& request, Duration patience, Handler handler);

  /// Runs on the session's thread, soon.
  void post(Event event) { events_->push(std::move(event)); }

  ClusterClient& client_;
  const GroupSessionOptions options_;
  /// Of answers and wishes; answers that come late still find it.
  const std::shared_ptr<Completions<Event>> events_ = std::make_shared<Completions<Event>>();

  // the session's thread only
  Membership membership_;
  std::unique_ptr<BrokerConnection> coordinator_;
  std::map<std::string, std::int32_t> shared_out_;  // topics, and how many partitions this leader saw
  MonoTime check_topics_at_{};
  bool stopping_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // under mutex_
  View view_;
  std::vector<Error> troubles_;

  std::thread thread_;
};

}  // namespace tributary
