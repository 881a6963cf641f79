#pragma once
// Runs the program in this process, with files in the place of its streams.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "cluster/cli/program.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace tributary {

struct Ran {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

inline Ran run(const std::vector<std::string>& args, const std::string& input = {}) {
  const test::TempFolder folder;
  std::ofstream(folder / "in") << input;
  const int in = ::open((folder / "in").c_str(), O_RDONLY);
  const int out = ::open((folder / "out").c_str(), O_WRONLY | O_CREAT, 0600);
  const int err = ::open((folder / "err").c_str(), O_WRONLY | O_CREAT, 0600);
  Ran ran;
  ran.exit_code = run_tributary(args, in, out, err, StopSignal::install());
  for (const int descriptor : {in, out, err}) ::close(descriptor);
  ran.output = test::read_whole_file(folder / "out");
  ran.errors = test::read_whole_file(folder / "err");
  return ran;
}

}  // namespace tributary
