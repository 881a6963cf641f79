#include "cluster/metadata/metadata_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace tributary {
namespace {

bool is_valid_part(std::string_view part) {
  if (part.empty() || part == "." || part == "..") return false;
  return std::all_of(part.begin(), part.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<> validate_metadata_key(std::string_view key) {
  if (key.size() > MetadataStore::kKeyBytesMax)
    return fail(Errc::kInvalidArgument, fmt::format("metadata key of {} bytes: at most {} are allowed",
                                                    key.size(), MetadataStore::kKeyBytesMax));
  const auto invalid = [&] {
    return fail(Errc::kInvalidArgument, fmt::format("metadata key '{}' is not a path of printable ASCII", key));
  };
  if (key.size() < 2 || key.front() != '/') return invalid();
  for (std::size_t at = 1; at <= key.size();) {
    const auto end = std::min(key.find('/', at), key.size());
    if (!is_valid_part(key.substr(at, end - at))) return invalid();
    at = end + 1;
  }
  if (key.back() == '/') return invalid();
  return {};
}

Result<> validate_metadata_writes(const std::vector<MetadataWrite>& writes) {
  if (writes.empty() || writes.size() > MetadataStore::kWritesMax)
    return fail(Errc::kInvalidArgument,
                fmt::format("a metadata commit of {} writes: 1 to {} are allowed", writes.size(),
                            MetadataStore::kWritesMax));
  std::size_t bytes = 0;
  for (const auto& write : writes) {
    RETURN_IF_ERROR(validate_metadata_key(write.key));
    bytes += write.value.size();
    if (bytes > MetadataStore::kValueBytesMax)
      return fail(Errc::kTooLarge, fmt::format("metadata key '{}': a commit may hold {} bytes", write.key,
                                               MetadataStore::kValueBytesMax));
  }
  return {};
}

}  // namespace tributary
