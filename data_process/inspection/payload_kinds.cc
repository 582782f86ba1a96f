#include "data_process/inspection/payload_kinds.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace cubist {
namespace {

bool IsPicture(const std::string& file_kind) {
  return file_kind == "png" || file_kind == "jpg" || file_kind == "video";
}

std::string NameWithoutId(const std::string& file_kind, const std::string& name) {
  const size_t line = name.rfind('_');
  return file_kind != "npz" || line == std::string::npos ? name : "*" + name.substr(line);
}

}  // namespace

void PayloadKinds::Add(const std::string& clip, const Payload& payload) {
  // By name, with the range of each extent over arrays of one name.
  std::map<std::string, Array> arrays;
  std::string key = payload.kind;
  for (const PayloadArray& array : payload.arrays) {
    std::string name = NameWithoutId(payload.kind, array.name);
    std::string identity = absl::StrCat(name, ":", static_cast<int>(array.dtype), ":", array.shape.size());
    for (size_t d = IsPicture(payload.kind) ? 0 : 1; d < array.shape.size(); ++d) {
      absl::StrAppend(&identity, ",", array.shape[d]);
    }
    Array& merged = arrays[identity];
    merged.name = std::move(name);
    merged.dtype = array.dtype;
    if (merged.extents.empty()) {
      for (const int64_t extent : array.shape) merged.extents.emplace_back(extent, extent);
    }
    for (size_t d = 0; d < array.shape.size(); ++d) {
      merged.extents[d].first = std::min(merged.extents[d].first, array.shape[d]);
      merged.extents[d].second = std::max(merged.extents[d].second, array.shape[d]);
    }
  }
  std::vector<Array> list;
  for (auto& [identity, array] : arrays) {
    absl::StrAppend(&key, "|", identity);
    list.push_back(std::move(array));
  }
  const auto same = [&](const Entry& entry) { return entry.key == key; };
  const auto found = std::find_if(entries_.begin(), entries_.end(), same);
  if (found == entries_.end()) {
    entries_.push_back({key, payload.kind, std::move(list), {clip}});
    return;
  }
  found->clips.push_back(clip);
  for (size_t a = 0; a < list.size(); ++a) {
    for (size_t d = 0; d < list[a].extents.size(); ++d) {
      std::pair<int64_t, int64_t>& extent = found->arrays[a].extents[d];
      extent = {std::min(extent.first, list[a].extents[d].first), std::max(extent.second, list[a].extents[d].second)};
    }
  }
}

std::string PayloadKinds::Describe(const Entry& entry) {
  if (entry.arrays.empty()) {
    if (entry.file_kind == "json") return "JSON";
    return entry.file_kind.empty() ? "not decoded" : "no array";
  }
  std::string text;
  for (const Array& array : entry.arrays) {
    const std::string_view dtype = Name(array.dtype);
    absl::StrAppend(&text, text.empty() ? "" : ", ", array.name, array.name.empty() ? "" : " ",
                    absl::string_view(dtype.data(), dtype.size()), "[");
    for (size_t d = 0; d < array.extents.size(); ++d) {
      const auto [least, most] = array.extents[d];
      absl::StrAppend(&text, d > 0 ? "," : "", least);
      if (most > least) absl::StrAppend(&text, "..", most);
    }
    text += ']';
  }
  return text;
}

std::vector<PayloadKinds::Kind> PayloadKinds::kinds() const {
  std::vector<Kind> kinds;
  for (const Entry& entry : entries_) kinds.push_back({Describe(entry), entry.clips});
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const Kind& a, const Kind& b) { return a.clips.size() > b.clips.size(); });
  return kinds;
}

}  // namespace cubist
