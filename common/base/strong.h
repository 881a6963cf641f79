#pragma once
// Strong<Tag, Rep>: an integer with a meaning. No implicit conversion in either direction.

#include <compare>
#include <cstddef>
#include <functional>
#include <fmt/format.h>

namespace tributary {

template <class Tag, class Rep_>
class Strong {
 public:
  using Rep = Rep_;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;
  constexpr Strong& operator++() { ++value_; return *this; }
  friend constexpr Strong operator+(Strong a, Rep n) { return Strong(static_cast<Rep>(a.value_ + n)); }
  friend constexpr Strong operator-(Strong a, Rep n) { return Strong(static_cast<Rep>(a.value_ - n)); }
  friend constexpr Rep operator-(Strong a, Strong b) { return static_cast<Rep>(a.value_ - b.value_); }

 private:
  Rep value_{};
};

template <class T>
inline constexpr bool is_strong = false;
template <class Tag, class Rep>
inline constexpr bool is_strong<Strong<Tag, Rep>> = true;

}  // namespace tributary

template <class Tag, class Rep>
struct std::hash<tributary::Strong<Tag, Rep>> {
  std::size_t operator()(tributary::Strong<Tag, Rep> id) const { return std::hash<Rep>{}(id.value()); }
};

template <class Tag, class Rep>
struct fmt::formatter<tributary::Strong<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(tributary::Strong<Tag, Rep> id, Context& context) const {
    return fmt::formatter<Rep>::format(id.value(), context);
  }
};
