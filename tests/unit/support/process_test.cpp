#include "tests/support/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/eventually.h"
#include "tests/support/temp_folder.h"

namespace tributary::test {
namespace {

using namespace std::chrono_literals;

TEST(Process, OutputErrorsEnvironmentAndExitCodeComeBack) {
  const auto finished = run({"sh", "-c", "echo out $WORD; echo err >&2; exit 7"}, 10s, {{"WORD", "x y"}});
  EXPECT_EQ(finished.exit_code, 7);
  EXPECT_EQ(finished.output, "out x y\n");
  EXPECT_EQ(finished.errors, "err\n");
}

TEST(Process, AProgramThatIsMissingIsSaid) {
  const auto finished = run({"/no/such/program"});
  EXPECT_EQ(finished.exit_code, 127);
  EXPECT_EQ(finished.errors, "cannot execute\n");
}

TEST(Process, OneThatDoesNotEndIsKilledAtTheDeadline) {
  EXPECT_EQ(run({"sleep", "100"}, 50ms).exit_code, -1000);
}

TEST(Process, KillAndTerminateAreToldApart) {
  Process killed({{"sleep", "100"}});
  EXPECT_TRUE(killed.running());
  EXPECT_EQ(killed.wait(10ms), std::nullopt);
  killed.kill();
  EXPECT_FALSE(killed.running());
  EXPECT_EQ(killed.wait(0ms), -SIGKILL);
  Process terminated({{"sleep", "100"}});
  EXPECT_EQ(terminated.terminate(), -SIGTERM);
}

TEST(Process, NothingIsLeftBehind) {
  pid_t pid = 0;
  {
    Process process({{"sleep", "100"}});
    Process moved = std::move(process);
    pid = moved.pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Process, LimitsCanBeSetBeforeTheProgramStarts) {
  const TempFolder folder;
  Process::Options options;
  options.command = {"sh", "-c", "ulimit -n"};
  options.output_path = folder / "out";
  options.before_exec = [] {
    const rlimit limit{17, 17};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  };
  Process process(options);
  EXPECT_EQ(process.wait(10s), 0);
  EXPECT_EQ(read_whole_file(folder / "out"), "17\n");
}

TEST(TempFolder, ItIsRemovedWithAllBelow) {
  if (::getenv("TRIBUTARY_KEEP") != nullptr) GTEST_SKIP() << "TRIBUTARY_KEEP is set";
  std::string path;
  {
    const TempFolder folder;
    path = folder.path();
    std::filesystem::create_directories(folder / "a/b");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Eventually, ItHoldsOrTheDeadlinePasses) {
  int asked = 0;
  EXPECT_TRUE(eventually(10s, [&] { return ++asked == 3; }));
  EXPECT_FALSE(eventually(20ms, [] { return false; }));
}

}  // namespace
}  // namespace tributary::test
