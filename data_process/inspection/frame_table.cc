#include "data_process/inspection/frame_table.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "data_process/inspection/name_list.h"

namespace cubist {
namespace {

std::vector<FrameRange> RangesOf(const std::vector<int64_t>& frames) {
  std::vector<FrameRange> ranges;
  for (const int64_t frame : frames) {
    if (ranges.empty() || ranges.back().last + 1 != frame) ranges.push_back({frame, frame});
    ranges.back().last = frame;
  }
  return ranges;
}

// What `all` has beyond `ranges`, which lie in it.
std::vector<FrameRange> GapsIn(const FrameRange& all, const std::vector<FrameRange>& ranges) {
  std::vector<FrameRange> gaps;
  int64_t next = all.first;
  for (const FrameRange& range : ranges) {
    if (next < range.first) gaps.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= all.last) gaps.push_back({next, all.last});
  return gaps;
}

}  // namespace

void FrameTable::Add(const std::string& clip, const std::string& attribute,
                     const std::map<std::string, std::vector<int64_t>>& frames) {
  Series& series = clips_[clip][attribute];
  for (const auto& [name, numbers] : frames) {
    series[name] = RangesOf(numbers);
    series_[attribute].insert(name);
  }
}

std::vector<MissingFrames> FrameTable::Missing() const {
  std::vector<MissingFrames> missing;
  for (const auto& [clip, attributes] : clips_) {
    FrameRange all{std::numeric_limits<int64_t>::max(), -1};
    for (const auto& [attribute, by_name] : attributes) {
      for (const auto& [name, ranges] : by_name) {
        if (ranges.empty()) continue;
        all.first = std::min(all.first, ranges.front().first);
        all.last = std::max(all.last, ranges.back().last);
      }
    }
    if (all.last < 0) continue;
    for (const auto& [attribute, by_name] : attributes) {
      const auto known = series_.find(attribute);
      if (known == series_.end()) continue;
      for (const std::string& name : known->second) {
        const auto found = by_name.find(name);
        std::vector<FrameRange> gaps = GapsIn(all, found == by_name.end() ? std::vector<FrameRange>() : found->second);
        if (!gaps.empty()) missing.push_back({clip, attribute, name, std::move(gaps)});
      }
    }
  }
  return missing;
}

std::string ListRanges(const std::vector<FrameRange>& ranges) {
  std::vector<std::string> names;
  for (const FrameRange& range : ranges) {
    names.push_back(range.first == range.last ? absl::StrCat(range.first)
                                              : absl::StrCat(range.first, "..", range.last));
  }
  return ListNames(names);
}

}  // namespace cubist
