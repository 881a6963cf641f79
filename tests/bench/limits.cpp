#include "tests/bench/limits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/bench.h"

namespace tributary::bench {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

Result<> send_files(const std::vector<std::string>& files, std::size_t chunk_bytes, int to) {
  for (const auto& path : files) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return fail_errno(path);
    for (off_t at = 0; at < status.st_size;)
      if (::sendfile(to, file.get(), &at, chunk_bytes) <= 0) return fail_errno("sendfile " + path);
  }
  return {};
}

}  // namespace

Result<double> write_and_sync(const std::string& path, ByteView block, int count) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0) return fail_errno(path);
  ::unlink(path.c_str());
  const auto start = SteadyClock::now();
  for (int i = 0; i < count; ++i) {
    if (::write(file.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) return fail_errno(path);
    if (::fdatasync(file.get()) != 0) return fail_errno(path);
  }
  return seconds_since(start);
}

Result<double> sendfile_over_loopback(const std::vector<std::string>& files, std::size_t chunk_bytes) {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (::bind(listener.get(), raw, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), raw, &size) != 0)
    return fail_errno("listen on loopback");
  const Descriptor reader(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(reader.get(), raw, size) != 0) return fail_errno("connect to loopback");
  const Descriptor writer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (writer.get() < 0) return fail_errno("accept");

  Bytes buffer(chunk_bytes);
  Result<> sent;
  const auto start = SteadyClock::now();
  std::thread sender([&] {
    sent = send_files(files, chunk_bytes, writer.get());
    ::shutdown(writer.get(), SHUT_WR);
  });
  ssize_t got = 0;
  while ((got = ::recv(reader.get(), buffer.data(), buffer.size(), MSG_WAITALL)) > 0) {}
  const int read_error = errno;
  const auto taken = seconds_since(start);
  sender.join();
  RETURN_IF_ERROR(sent);
  if (got < 0) return fail_errno("recv", read_error);
  return taken;
}

}  // namespace tributary::bench
