// A server process is killed over and over in the middle of traffic: what nng 1.5 makes of it now and
// then (NngLink) must not keep the client from coming back.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/env/random.h"
#include "common/transport/client.h"
#include "common/transport/nng_server.h"
#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

/// This executable in another process, as a server (see main below). Killed on destruction.
class ServerProcess {
 public:
  explicit ServerProcess(std::uint16_t port) {
    const auto argument = std::to_string(port);
    const auto parent = ::getpid();
    process_ = ::fork();
    if (process_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent)
      ::execl("/proc/self/exe", "unit_transport_reconnect", "--serve", argument.c_str(), nullptr);
    ::_exit(127);
  }
  ~ServerProcess() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

 private:
  pid_t process_ = -1;
};

int serve(std::uint16_t port) {
  Shards shards(1);
  auto handler = echo_handler();
  NngServerOptions options;
  options.url = fmt::format("tcp://127.0.0.1:{}", port);
  for (;;) {
    auto server = NngServer::start(options, shards.all(), handler);
    if (server) ::pause();
    std::this_thread::sleep_for(1ms);  // the killed one's port is not free yet
  }
}

std::uint16_t free_port() {
  Shards shards(1);
  auto handler = echo_handler();
  NngServerOptions options;
  options.url = "tcp://127.0.0.1:0";
  return NngServer::start(options, shards.all(), handler).value()->port();
}

TEST(NngReconnect, TheClientComesBackAfterEveryKillOfTheServer) {
  const auto port = free_port();
  NngClientOptions options;
  options.reconnect_min = 5ms;
  options.reconnect_max = 20ms;
  auto channel = connect_nng(fmt::format("tcp://127.0.0.1:{}", port), options).value();

  std::atomic<int> answered{0}, outstanding{0};
  std::atomic<bool> done{false};
  std::thread sender([&] {
    const auto frame = SharedBytes(request_frame(1, pattern(20'000)));
    while (!done) {
      if (outstanding > 20) {
        std::this_thread::sleep_for(100us);
        continue;
      }
      ++outstanding;
      channel->send(Payload(frame), 2s, [&](const auto& result) {
        if (result) ++answered;
        --outstanding;
      });
    }
  });
  const std::uint64_t seed = random_u64_from_os();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  const auto end = std::chrono::steady_clock::now() + 8s;
  int kills = 0;
  for (; std::chrono::steady_clock::now() < end; ++kills) {
    const ServerProcess server(port);
    const int before = answered;
    ASSERT_TRUE(eventually([&] { return answered > before + 5; })) << "after " << kills << " kills";
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(10'000)));
  }
  done = true;
  sender.join();
  channel.reset();
  EXPECT_EQ(outstanding, 0);
  EXPECT_GT(kills, 3);
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--serve")
    return tributary::serve(static_cast<std::uint16_t>(std::stoi(argv[2])));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
