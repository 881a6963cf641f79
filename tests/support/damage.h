#pragma once
// Damage to a SQLite file as a worn-out card does it: whole pages.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "common/bytes/bytes.h"

namespace tributary::test {

struct FilePage {
  std::size_t position = 0;
  Bytes content;
};

/// The first page in which a part of `bytes` stands, which should be longer than a page.
inline FilePage page_with(const std::string& path, ByteView bytes, std::size_t page_bytes = 1024) {
  constexpr std::size_t kPart = 64;
  std::ifstream file(path, std::ios::binary);
  const Bytes content{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t at = 0; at + kPart <= bytes.size(); at += kPart) {
    const auto part = bytes.subspan(at, kPart);
    const auto found = std::search(content.begin(), content.end(), part.begin(), part.end());
    if (found == content.end()) continue;
    const auto position = static_cast<std::size_t>(found - content.begin()) / page_bytes * page_bytes;
    const auto first = content.begin() + static_cast<std::ptrdiff_t>(position);
    return {position, Bytes(first, first + static_cast<std::ptrdiff_t>(page_bytes))};
  }
  ADD_FAILURE() << "not in " << path;
  return {};
}

inline void write_page(const std::string& path, const FilePage& page) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(page.position));
  file.write(reinterpret_cast<const char*>(page.content.data()), static_cast<std::streamsize>(page.content.size()));
}

}  // namespace tributary::test
