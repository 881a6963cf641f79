#pragma once
// Programs in tests/compat/clients, each of which drives a client that others wrote. Most are no Debian packages: what they
// need is fetched, and where a registry or a runtime is missing their tests are skipped, with the reason.

#include <map>
#include <string>
#include <vector>

#include "tests/compat/fetched_program.h"

namespace tributary::test {

struct ClientProgram {
  std::string name;                              // of the folder in tests/compat/clients
  std::vector<std::string> fetch;                // what it needs, into a copy of that folder; {dir} stands for it
  std::vector<std::string> build;                // may be empty
  std::vector<std::string> command;              // then the broker's address
  std::map<std::string, std::string> env;
};

[[nodiscard]] const std::vector<ClientProgram>& client_programs();

/// Fetches what it needs. Why not, or empty. What was fetched and does not build fails the test.
[[nodiscard]] std::string make_ready(const ClientProgram& client, const FetchedProgram& program);
[[nodiscard]] std::map<std::string, std::string> filled_env(const ClientProgram& client, const FetchedProgram& program);

}  // namespace tributary::test
