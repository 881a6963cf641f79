#include "cluster/cli/program.h"

int main(int argc, char** argv) {
  const auto& stop = tributary::StopSignal::install();
  return tributary::run_tributary({argv + 1, argv + argc}, 0, 1, 2, stop);
}
