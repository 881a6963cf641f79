#pragma once
// What groups want done: answers to be sent, records to be appended to __consumer_offsets.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/groups/group_types.h"
#include "cluster/groups/offset_records.h"

namespace tributary {

/// Of one append; rises, so that within a partition a larger ticket is later in the log.
using AppendTicket = Strong<struct GroupAppendTicketTag, std::uint64_t>;

struct GroupReply {
  ReplyToken token;
  GroupResult result;
};

/// Append these records to that partition of __consumer_offsets, after those of smaller tickets, and say
/// with appended(ticket, error) when they are durable or have failed: all of them or none.
/// Several appends may go into one record batch.
struct GroupAppend {
  std::int32_t partition = 0;
  AppendTicket ticket;
  std::vector<OffsetsRecord> records;
};

using GroupAction = std::variant<GroupReply, GroupAppend>;

/// Collects the actions of all groups, in order, and knows whose a ticket is.
class GroupActions {
 public:
  void reply(ReplyToken token, GroupResult result);
  AppendTicket append(std::int32_t partition, const std::string& group_id, std::vector<OffsetsRecord> records);

  /// Of the next append.
  [[nodiscard]] AppendTicket next_ticket() const { return next_ticket_; }

  [[nodiscard]] std::vector<GroupAction> take() { return std::exchange(actions_, {}); }

  struct Owner {
    std::int32_t partition = 0;
    std::string group_id;
  };
  /// Nothing for a ticket that was finished or forgotten.
  [[nodiscard]] std::optional<Owner> finish(AppendTicket ticket);
  /// The partition's tickets have no owner any more, and its appends that were not taken yet are dropped.
  void forget(std::int32_t partition);

 private:
  std::vector<GroupAction> actions_;
  std::map<AppendTicket, Owner> owners_;
  AppendTicket next_ticket_{1};
};

}  // namespace tributary
