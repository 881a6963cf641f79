#include "tests/unit/groups/simulated_broker.h"

#include <algorithm>

namespace tributary {

SimulatedBroker::SimulatedBroker(GroupOptions options, Random& random, Listener listener)
    : options_(options), random_(random), listener_(std::move(listener)) {
  coordinator_ = std::make_unique<GroupCoordinator>(options_, random_, now_);
  load();
}

ReplyToken SimulatedBroker::next_token() {
  const ReplyToken token(++last_token_);
  open_.insert(token);
  return token;
}

void SimulatedBroker::pump() {
  for (auto actions = coordinator_->take_actions(); !actions.empty(); actions = coordinator_->take_actions()) {
    std::vector<GroupReply> replies;
    for (auto& action : actions) {
      if (const auto* append = std::get_if<GroupAppend>(&action)) start(*append);
      else replies.push_back(std::move(std::get<GroupReply>(action)));
    }
    // The listener sends requests of its own: it comes after the appends that were first.
    for (const auto& reply : replies) {
      ASSERT_EQ(open_.erase(reply.token), 1u) << "token " << reply.token.value() << " answered twice";
      listener_.answered(reply.token, reply.result);
    }
  }
}

void SimulatedBroker::start(const GroupAppend& append) {
  Flight flight{append.ticket, now_.mono + Duration(random_.below(Duration(kAppendTimeMax).count()))};
  if (quick_log_ || random_.below(4) != 0) flight.ends_at = now_.mono + std::chrono::milliseconds(random_.below(20));
  const auto luck = calm_ ? 100 : random_.below(100);
  if (luck < 5) flight.error = ErrorCode::kNotEnoughReplicas;  // nothing was written
  if (luck >= 5 && luck < 8) flight.error = ErrorCode::kRequestTimedOut;  // but it was
  if (flight.error != ErrorCode::kNotEnoughReplicas)
    for (const auto& record : append.records) log_.push_back({append.partition, record});
  flight.log_end = log_.size();
  flights_.push_back(flight);
}

void SimulatedBroker::finish(std::size_t position) {
  const auto flight = flights_[position];
  flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(position));
  if (flight.error == ErrorCode::kNone) durable_end_ = std::max(durable_end_, flight.log_end);
  coordinator_->appended(now_, flight.ticket, flight.error);
  pump();
}

MonoTime SimulatedBroker::next_event() const {
  auto next = coordinator_->next_deadline();
  for (const auto& flight : flights_) next = std::min(next, flight.ends_at);
  for (const auto& lost : lost_connections_) next = std::min(next, lost.seen_at);
  return next;
}

void SimulatedBroker::advance_to(MonoTime at) {
  now_.wall_ms += std::chrono::duration_cast<std::chrono::milliseconds>(at - now_.mono).count();
  now_.mono = at;
  while (true) {
    const auto due = std::ranges::find_if(flights_, [&](const Flight& f) { return f.ends_at <= at; });
    if (due == flights_.end()) break;
    finish(static_cast<std::size_t>(due - flights_.begin()));
  }
  see_lost_connections();
  coordinator_->tick(now_);
  pump();
  ASSERT_GT(coordinator_->next_deadline(), at) << "asks for a time that has passed";
}

void SimulatedBroker::lose_connection(const std::string& member_id, ReplyToken last, Duration seen_after) {
  lost_connections_.push_back({member_id, last, now_.mono + seen_after});
}

void SimulatedBroker::see_lost_connections() {
  const auto is_later = [&](const LostConnection& lost) { return lost.seen_at > now_.mono; };
  const auto due = std::ranges::partition(lost_connections_, is_later);
  const std::vector<LostConnection> seen(due.begin(), due.end());
  lost_connections_.erase(due.begin(), due.end());
  for (const auto& lost : seen) {
    coordinator_->connection_lost(now_, "g", lost.member_id, lost.last);
    pump();
  }
}

void SimulatedBroker::restart() {
  lost_connections_.clear();
  lose_the_tail();
  coordinator_ = std::make_unique<GroupCoordinator>(options_, random_, now_);
  for (const auto token : std::exchange(open_, {})) listener_.lost(token);
  load();
}

void SimulatedBroker::move_away_and_back() {
  for (std::int32_t i = 0; i < options_.offsets_partitions; ++i) coordinator_->unload(i);
  // Requests that the answers give rise to find nobody: they are answered, too.
  pump();
  EXPECT_TRUE(open_.empty()) << open_.size() << " requests are without an answer";
  lose_the_tail();
  load();
}

void SimulatedBroker::lose_the_tail() {
  flights_.clear();
  log_.resize(durable_end_ + random_.below(log_.size() - durable_end_ + 1));
  durable_end_ = log_.size();
}

void SimulatedBroker::load() {
  ++life_;
  restored_generation_ = 0;
  for (std::int32_t i = 0; i < options_.offsets_partitions; ++i) coordinator_->start_loading(i);
  for (const auto& [partition, record] : log_) {
    const auto value = record.value ? std::optional<ByteView>(*record.value) : std::nullopt;
    const auto loaded = coordinator_->load_record(partition, record.key, value);
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto key = decode_offsets_key(record.key);
    const auto* group = std::get_if<GroupMetadataKey>(&*key);
    if (group != nullptr && group->group_id == "g")
      restored_generation_ = value ? decode_group_metadata_value(*value)->generation : 0;
  }
  for (std::int32_t i = 0; i < options_.offsets_partitions; ++i) coordinator_->finish_loading(now_, i);
  pump();
}

}  // namespace tributary
