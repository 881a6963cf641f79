#include "common/transport/nng_message.h"

#include <chrono>
#include <future>
#include <thread>

namespace tributary {

Result<NngMessage> message_of(const Payload& payload) {
  nng_msg* raw = nullptr;
  if (const int error = nng_msg_alloc(&raw, payload.size_bytes()); error != 0)
    return fail_nng(Errc::kNoSpace, fmt::format("a message of {} bytes", payload.size_bytes()), error);
  NngMessage message(raw);
  auto* out = static_cast<std::uint8_t*>(nng_msg_body(raw));
  for (const auto& part : payload.parts()) {
    if (const auto* bytes = std::get_if<SharedBytes>(&part)) {
      std::memcpy(out, bytes->view().data(), bytes->size());
      out += bytes->size();
      continue;
    }
    const auto& slice = std::get<FileSlice>(part);
    ASSIGN_OR_RETURN(const auto count, slice.file->read_at(slice.position, {out, slice.length}));
    if (count < slice.length)
      return fail(Errc::kCorrupt, fmt::format("a file ends at {}, {} bytes short of its slice",
                                              slice.position + count, slice.length - count));
    out += count;
  }
  return message;
}

tl::unexpected<Error> fail_nng(Errc code, std::string_view what, int nng_error) {
  return fail(code, fmt::format("{}: {}", what, nng_strerror(nng_error)));
}

bool close_socket(nng_socket socket, std::shared_ptr<const void> keep_alive) {
  auto closed = std::make_shared<std::promise<void>>();
  const auto done = closed->get_future();
  std::thread([socket, closed, keep = std::move(keep_alive)]() mutable {
    (void)nng_close(socket);
    keep.reset();
    closed->set_value();
  }).detach();
  return done.wait_for(std::chrono::seconds(2)) == std::future_status::ready;
}

}  // namespace tributary
