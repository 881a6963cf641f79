#pragma once
// Where in a message something went wrong, put together from the inside out.

#include <cstddef>
#include <string>

#include <fmt/format.h>

namespace tributary {

/// "3[0].1": the second field of the first element of the fourth field.
class FieldPath {
 public:
  void in_field(int index) {
    const bool joined = text_.empty() || text_.front() == '[';
    text_ = fmt::format("{}{}{}", index, joined ? "" : ".", text_);
  }
  void in_element(std::size_t index) {
    text_ = fmt::format("[{}]{}{}", index, text_.empty() ? "" : ".", text_);
  }
  /// "field 3[0].1"; "tag buffer" of the message itself, if it is in no field.
  [[nodiscard]] std::string text() const {
    return text_.empty() ? "tag buffer" : fmt::format("field {}", text_);
  }

 private:
  std::string text_;
};

}  // namespace tributary
