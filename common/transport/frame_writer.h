#pragma once
// Payloads onto a non-blocking stream socket, framed.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "common/base/result.h"
#include "common/protocol/payload.h"

namespace tributary {

/// A queue of frames and how far the socket has taken it. Bytes in memory are gathered into one
/// sendmsg, file slices leave by sendfile (by read and send where the file has no descriptor).
/// The owner bounds the queue.
class FrameWriter {
 public:
  enum class Status {
    kDone,     // the queue is empty
    kBlocked,  // wait until the socket is writable
    kYield,    // a good deal was written; let others have the thread, then go on
  };

  /// Puts the payload, with its 4-byte length in front, at the end. At most 2^31 - 1 bytes.
  void push(Payload payload);

  /// Writes what the socket takes. kUnavailable: the connection is gone. kCorrupt: a file ends before
  /// its slice, so that the announced length cannot be kept. After an error the stream is unusable.
  [[nodiscard]] Result<Status> write_some(int socket);

  [[nodiscard]] bool empty() const { return items_.empty(); }
  /// Not yet taken by the socket, file slices included.
  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }

 private:
  /// Bytes taken by the socket; 0 when it would block.
  [[nodiscard]] Result<std::size_t> write_memory(int socket);
  [[nodiscard]] Result<std::size_t> write_file(int socket);
  [[nodiscard]] Result<> read_file_into_memory();
  void consume(std::size_t count);

  std::deque<Payload::Part> items_;
  std::size_t front_offset_ = 0;  // of the first item, if it lies in memory; file slices are advanced
  std::size_t queued_bytes_ = 0;
};

}  // namespace tributary
