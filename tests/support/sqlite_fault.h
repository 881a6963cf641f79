#pragma once
// A place on the disk that SQLite cannot read or write.

#include <sys/types.h>

#include <string>

namespace tributary::test {

/// While it lives SQLite's reads or writes of [first, end) of files whose names end with `name` fail with
/// `error_number`. One at a time in a process, and one thread that uses SQLite.
class SqliteFault {
 public:
  enum class Kind { kRead, kWrite };
  SqliteFault(Kind kind, std::string name, off_t first, off_t end, int error_number);
  ~SqliteFault();
  SqliteFault(const SqliteFault&) = delete;
  SqliteFault& operator=(const SqliteFault&) = delete;
};

}  // namespace tributary::test
