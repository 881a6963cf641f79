#pragma once
// A log's segments, by rising base offset; the last one is the active one.

#include <memory>
#include <vector>

#include "cluster/storage/segment.h"

namespace tributary {

/// Keeps few files open, however many segments there are: the active one's and the inactive one's that
/// was used last.
class SegmentList {
 public:
  void push_back(std::unique_ptr<Segment> segment) {
    if (!segments_.empty()) segments_.back()->set_end_offset(segment->base_offset());
    segments_.push_back(std::move(segment));
  }

  [[nodiscard]] std::size_t size() const { return segments_.size(); }
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  [[nodiscard]] Segment& active() { return *segments_.back(); }
  [[nodiscard]] Offset first_offset() const { return segments_.front()->base_offset(); }

  /// The segment with this number, about to be used.
  [[nodiscard]] Segment& use(std::size_t number) {
    if (used_ != number && used_ + 1 < segments_.size()) segments_[used_]->release_file();
    used_ = number;
    return *segments_[number];
  }

  /// The number of the last segment that starts at or before `offset`; 0 if none does.
  [[nodiscard]] std::size_t number_of(Offset offset) const {
    const auto after = std::upper_bound(
        segments_.begin(), segments_.end(), offset,
        [](Offset value, const auto& segment) { return value < segment->base_offset(); });
    return after == segments_.begin() ? 0 : static_cast<std::size_t>(after - segments_.begin()) - 1;
  }

  /// The segment with this number, for a look that leaves open what was open before; then leave() it.
  [[nodiscard]] Segment& visit(std::size_t number) { return *segments_[number]; }
  void leave(std::size_t number) {
    if (number != used_ && number + 1 < segments_.size()) segments_[number]->release_file();
  }

  [[nodiscard]] Offset base_offset(std::size_t number) const { return segments_[number]->base_offset(); }

  /// Drops the segments from this number on (not the files).
  void truncate(std::size_t number) { segments_.resize(number); }

  /// Drops the first `count` segments (not the files); one at least is left.
  void drop_front(std::size_t count) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
    used_ = used_ > count ? used_ - count : 0;
  }

  /// Puts `segment` in the place of the segments in [its base offset, end_offset), none of which is the active one.
  void replace(std::unique_ptr<Segment> segment, Offset end_offset) {
    const auto first = segments_.begin() + static_cast<std::ptrdiff_t>(number_of(segment->base_offset()));
    const auto last = segments_.begin() + static_cast<std::ptrdiff_t>(number_of(end_offset));
    segment->set_end_offset(end_offset);
    *first = std::move(segment);
    segments_.erase(first + 1, last);
    // Whichever was used last, it has nothing open now, or is the active one.
    for (std::size_t number = 0; number + 1 < segments_.size(); ++number) segments_[number]->release_file();
    used_ = segments_.size() - 1;
  }

  [[nodiscard]] std::uint64_t known_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& segment : segments_) bytes += segment->size_bytes();
    return bytes;
  }

 private:
  std::vector<std::unique_ptr<Segment>> segments_;
  std::size_t used_ = 0;
};

}  // namespace tributary
