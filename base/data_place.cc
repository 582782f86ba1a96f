#include "base/data_place.h"

#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cubist {
namespace {

constexpr char kPlaceUrl[] = "cubist/data_place";

}  // namespace

absl::Status WithDataPlace(const absl::Status& status, const DataPlace& place) {
  if (status.ok()) return status;
  DataPlace kept = place;
  if (const std::optional<DataPlace> inner = DataPlaceOf(status)) {
    kept = *inner;
    if (kept.clip.empty()) {
      kept.clip = place.clip;
      if (kept.attribute.empty()) kept.attribute = place.attribute;
    }
  }
  std::string text;
  // Once escaped, no field holds a line feed.
  for (const std::string* field : {&kept.clip, &kept.attribute, &kept.path, &kept.member}) {
    absl::StrAppend(&text, absl::CEscape(*field), "\n");
  }
  absl::StrAppend(&text, kept.begin, "\n", kept.end);
  absl::Status placed = status;
  placed.SetPayload(kPlaceUrl, absl::Cord(text));
  return placed;
}

std::optional<DataPlace> DataPlaceOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPlaceUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(std::string(*payload), '\n');
  DataPlace place;
  if (fields.size() != 6 || !absl::CUnescape(fields[0], &place.clip) || !absl::CUnescape(fields[1], &place.attribute) ||
      !absl::CUnescape(fields[2], &place.path) || !absl::CUnescape(fields[3], &place.member) ||
      !absl::SimpleAtoi(fields[4], &place.begin) || !absl::SimpleAtoi(fields[5], &place.end)) {
    return std::nullopt;
  }
  return place;
}

}  // namespace cubist
