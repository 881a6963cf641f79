#pragma once
// nng messages as owned values. Internal to the folder.

#include <nng/nng.h>

#include <cstring>
#include <memory>

#include "common/base/result.h"
#include "common/protocol/payload.h"

namespace tributary {

struct NngMessageFree {
  void operator()(nng_msg* message) const { nng_msg_free(message); }
};
using NngMessage = std::unique_ptr<nng_msg, NngMessageFree>;

/// The body, kept alive by the message itself.
[[nodiscard]] inline SharedBytes body_of(NngMessage message) {
  const ByteView view(static_cast<const std::uint8_t*>(nng_msg_body(message.get())),
                      nng_msg_len(message.get()));
  return SharedBytes(std::shared_ptr<const void>(std::move(message)), view);
}

/// One message with all of the payload's bytes; file slices are read, blocking on the disk.
[[nodiscard]] Result<NngMessage> message_of(const Payload& payload);

/// The error's text with nng's own.
[[nodiscard]] tl::unexpected<Error> fail_nng(Errc code, std::string_view what, int nng_error);

/// nng_close on a thread of its own, waited for at most two seconds. nng 1.5 can hang in it: its TCP
/// transport loses a transfer that goes on between two reads or writes of one message while the pipe is
/// being closed, and then waits for it for ever (tcptran_pipe_recv_cb; fixed in nng 1.6 by #1636).
/// `keep_alive`, what the socket's callbacks use, is held until nng_close has returned. False if it did
/// not in time; then the socket is given up.
bool close_socket(nng_socket socket, std::shared_ptr<const void> keep_alive);

}  // namespace tributary
