#include "common/protocol/payload.h"

#include <algorithm>
#include <fmt/format.h>

namespace tributary {
namespace {

Result<> read_into(const FileSlice& slice, std::span<std::uint8_t> out) {
  auto count = slice.file->read_at(slice.position, out);
  if (!count) return in_context("reading a file slice", std::move(count).error());
  if (*count != out.size()) {
    return fail(Errc::kCorrupt, fmt::format("the file ends {} bytes before its slice [{}, {}) does",
                                            out.size() - *count, slice.position,
                                            slice.position + slice.length));
  }
  return {};
}

}  // namespace

Result<Bytes> read_slice(const FileSlice& slice) {
  Bytes out(slice.length);
  RETURN_IF_ERROR(read_into(slice, out));
  return out;
}

void Payload::append(SharedBytes bytes) {
  if (bytes.empty()) return;
  size_bytes_ += bytes.size();
  parts_.emplace_back(std::move(bytes));
}

void Payload::append(FileSlice slice) {
  if (slice.length == 0) return;
  size_bytes_ += slice.length;
  ++file_slices_;
  parts_.emplace_back(std::move(slice));
}

void Payload::append(const Payload& other) {
  parts_.insert(parts_.end(), other.parts_.begin(), other.parts_.end());
  size_bytes_ += other.size_bytes_;
  file_slices_ += other.file_slices_;
}

Result<Bytes> Payload::flatten() const {
  Bytes out(size_bytes_);
  std::size_t at = 0;
  for (const auto& part : parts_) {
    if (const auto* bytes = std::get_if<SharedBytes>(&part)) {
      std::ranges::copy(bytes->view(), out.begin() + static_cast<std::ptrdiff_t>(at));
      at += bytes->size();
    } else {
      const auto& slice = std::get<FileSlice>(part);
      RETURN_IF_ERROR(read_into(slice, std::span(out).subspan(at, slice.length)));
      at += slice.length;
    }
  }
  return out;
}

}  // namespace tributary
