#include "tests/support/mosquitto.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/eventually.h"
#include "tests/support/network.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> client(const std::string& name, std::uint16_t port) {
  return {name, "-h", "127.0.0.1", "-p", std::to_string(port), "-t", "t", "-q", "1"};
}

TEST(Mosquitto, MessagesGoThroughItAndThroughTheProxy) {
  const TempFolder folder;
  Mosquitto mosquitto(folder.path());
  TcpProxy proxy(mosquitto.port());
  Process::Options options;
  options.command = client("mosquitto_sub", proxy.port());
  options.command.insert(options.command.end(), {"-C", "1", "-R", "-i", "sub"});
  options.output_path = folder / "out";
  Process subscriber(options);
  // The subscription is there once a message arrives: publish until then.
  EXPECT_TRUE(eventually(20s, [&] {
    auto publish = client("mosquitto_pub", mosquitto.port());
    publish.insert(publish.end(), {"-m", "hello"});
    EXPECT_EQ(run(publish).exit_code, 0);
    return !subscriber.running();
  }));
  EXPECT_EQ(read_whole_file(folder / "out"), "hello\n");
}

TEST(Mosquitto, ItEndsWithTheProcessThatStartedIt) {
  const TempFolder folder;
  int port_pipe[2];
  ASSERT_EQ(::pipe(port_pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto& mosquitto = *new Mosquitto(folder.path());
    const auto port = mosquitto.port();
    ::_exit(::write(port_pipe[1], &port, sizeof port) == sizeof port ? 0 : 1);
  }
  std::uint16_t port = 0;
  ASSERT_EQ(::read(port_pipe[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
  EXPECT_TRUE(eventually(10s, [&] { return !accepts_connections(port); }));
  int status = 0;
  ::waitpid(child, &status, 0);
}

TEST(Mosquitto, ItCanBeKilledAndStartedOnTheSamePort) {
  const TempFolder folder;
  Mosquitto mosquitto(folder.path());
  mosquitto.kill();
  EXPECT_FALSE(accepts_connections(mosquitto.port()));
  mosquitto.start();
  EXPECT_TRUE(accepts_connections(mosquitto.port()));
}

}  // namespace
}  // namespace tributary::test
