#include "cluster/groups/actions.h"

namespace tributary {

void GroupActions::reply(ReplyToken token, GroupResult result) {
  actions_.emplace_back(GroupReply{token, std::move(result)});
}

AppendTicket GroupActions::append(std::int32_t partition, const std::string& group_id,
                                  std::vector<OffsetsRecord> records) {
  const auto ticket = next_ticket_;
  ++next_ticket_;
  owners_.emplace(ticket, Owner{partition, group_id});
  actions_.emplace_back(GroupAppend{partition, ticket, std::move(records)});
  return ticket;
}

std::optional<GroupActions::Owner> GroupActions::finish(AppendTicket ticket) {
  auto node = owners_.extract(ticket);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

void GroupActions::forget(std::int32_t partition) {
  std::erase_if(actions_, [&](const GroupAction& action) {
    const auto* append = std::get_if<GroupAppend>(&action);
    return append != nullptr && append->partition == partition;
  });
  std::erase_if(owners_, [&](const auto& owner) { return owner.second.partition == partition; });
}

}  // namespace tributary
