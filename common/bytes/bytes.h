#pragma once
// Owned, viewed and shared byte strings.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tributary {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

[[nodiscard]] inline std::string_view as_string_view(ByteView view) {
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}
[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }

/// Immutable bytes kept alive by a reference count: a frame from the wire, an nng message, a batch.
/// Copying shares; the view is valid while any copy lives. Safe to hand to another thread.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(std::shared_ptr<const void> owner, ByteView view)
      : owner_(std::move(owner)), view_(view) {}
  explicit SharedBytes(Bytes bytes) {
    auto owner = std::make_shared<const Bytes>(std::move(bytes));
    view_ = *owner;
    owner_ = std::move(owner);
  }
  [[nodiscard]] ByteView view() const { return view_; }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  /// A part of these bytes that keeps the whole alive. `part` must lie inside view().
  [[nodiscard]] SharedBytes sub(ByteView part) const { return {owner_, part}; }

 private:
  std::shared_ptr<const void> owner_;
  ByteView view_;
};

}  // namespace tributary
