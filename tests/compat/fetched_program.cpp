#include "tests/compat/fetched_program.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/process.h"

namespace tributary::test {
namespace fs = std::filesystem;

std::string env_or(const char* name, const std::string& otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? given : otherwise;
}

FetchedProgram::FetchedProgram(std::string name)
    : name_(std::move(name)),
      dir_(fs::absolute(env_or("TRIBUTARY_CLIENTS", env_or("TRIBUTARY_BIN", ".") + "/../clients") + "/" + name_)
               .lexically_normal()) {}

std::string FetchedProgram::fetch(const std::vector<std::string>& command) const {
  const auto source = fs::path(env_or("TRIBUTARY_SOURCE", ".")) / "tests/compat/clients" / name_;
  fs::create_directories(dir_);
  for (const auto& entry : fs::directory_iterator(source)) {
    fs::copy_file(entry, fs::path(dir_) / entry.path().filename(), fs::copy_options::overwrite_existing);
  }
  const auto done = run(filled(command), std::chrono::seconds(240));
  if (done.exit_code == 0) return "";
  return fmt::format("{}: exit code {} {}", command.front(), done.exit_code, (done.errors + done.output).substr(0, 500));
}

std::string FetchedProgram::filled(std::string text) const {
  for (auto at = text.find("{dir}"); at != std::string::npos; at = text.find("{dir}")) text.replace(at, 5, dir_);
  return text;
}

std::vector<std::string> FetchedProgram::filled(std::vector<std::string> texts) const {
  for (auto& text : texts) text = filled(text);
  return texts;
}

void FetchedProgram::keep_results(const std::string& lines) const {
  const auto folder = env_or("TRIBUTARY_COMPAT_RESULTS", "");
  if (folder.empty()) return;
  fs::create_directories(folder);
  std::ofstream(folder + "/" + name_ + ".txt", std::ios::app) << lines;
}

}  // namespace tributary::test
