#include "data_process/inspection/inspection_report.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/data_place.h"
#include "data_process/inspection/name_list.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

constexpr size_t kBrokenAtMost = 30;

std::string Megabytes(uint64_t bytes) { return absl::StrFormat("%.1f MB", static_cast<double>(bytes) * 1e-6); }

std::string Members(const AttributeSummary& attribute) {
  if (attribute.most_members == 0) return "";
  if (attribute.least_members == attribute.most_members) return absl::StrCat(attribute.most_members);
  return absl::StrCat(attribute.least_members, "..", attribute.most_members);
}

// Columns as wide as they need to be; the last one is not padded.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (size_t c = 0; c < row.size(); ++c) {
      line += row[c];
      if (c + 1 < row.size()) line.append(widths[c] - row[c].size() + 2, ' ');
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

// The attributes that each clip lacks.
std::map<std::string, std::vector<std::string>> LackingOf(const Inspection& inspection) {
  std::map<std::string, std::vector<std::string>> lacking;
  for (const AttributeSummary& attribute : inspection.attributes) {
    for (const std::string& clip : attribute.missing) lacking[clip].push_back(attribute.name);
  }
  return lacking;
}

// Lines about clips that lack attributes. One that lacks most of them, as a stray file does, is told by what it has:
// else each attribute's line would name it.
std::string DescribeMissing(const Inspection& inspection) {
  const std::string all = CountClips(inspection.clips.size());
  std::map<std::vector<std::string>, std::vector<std::string>> nearly_empty;  // attributes that are there -> clips
  std::set<std::string> told;
  for (const auto& [clip, lacks] : LackingOf(inspection)) {
    if (2 * lacks.size() <= inspection.attributes.size()) continue;
    std::vector<std::string> has;
    for (const AttributeSummary& attribute : inspection.attributes) {
      if (std::find(lacks.begin(), lacks.end(), attribute.name) == lacks.end()) has.push_back(attribute.name);
    }
    nearly_empty[has].push_back(clip);
    told.insert(clip);
  }
  std::string text;
  for (const AttributeSummary& attribute : inspection.attributes) {
    std::vector<std::string> missing;
    std::copy_if(attribute.missing.begin(), attribute.missing.end(), std::back_inserter(missing),
                 [&](const std::string& clip) { return told.count(clip) == 0; });
    if (missing.empty()) continue;
    absl::StrAppend(&text, "  ", missing.size(), " of ", all, missing.size() == 1 ? " lacks " : " lack ",
                    attribute.name, ": ", ListNames(missing), "\n");
  }
  for (const auto& [has, clips] : nearly_empty) {
    absl::StrAppend(&text, "  ", clips.size(), " of ", all, clips.size() == 1 ? " has only " : " have only ",
                    ListNames(has), ": ", ListNames(clips), "\n");
  }
  return text;
}

}  // namespace

std::string InspectionText(const Inspection& inspection) {
  uint64_t bytes = 0;
  std::vector<std::vector<std::string>> rows = {{"attribute", "clips", "members", "size", "holds"}};
  std::string missing = DescribeMissing(inspection), differing, broken;
  for (const AttributeSummary& attribute : inspection.attributes) {
    bytes += attribute.bytes;
    const std::vector<PayloadKinds::Kind> kinds = attribute.holds.kinds();
    rows.push_back({attribute.name, absl::StrCat(attribute.clips), Members(attribute), Megabytes(attribute.bytes),
                    kinds.empty() ? "" : kinds[0].description});
    for (size_t k = 1; k < kinds.size(); ++k) {
      absl::StrAppend(&differing, "  ", attribute.name, " is ", kinds[k].description, " in ",
                      CountClips(kinds[k].clips.size()), ": ", ListNames(kinds[k].clips), "\n");
    }
  }
  const size_t gaps = inspection.missing_frames.size();
  for (size_t i = 0; i < std::min(gaps, kBrokenAtMost); ++i) {
    const MissingFrames& one = inspection.missing_frames[i];
    absl::StrAppend(&missing, "  ", one.attribute, " of clip ", one.clip, " lacks frames ", ListRanges(one.ranges),
                    one.series.empty() ? "" : " of " + one.series, "\n");
  }
  if (gaps > kBrokenAtMost) {
    absl::StrAppend(&missing, "  and ", gaps - kBrokenAtMost, " more lack frames; --json FILE lists all\n");
  }
  for (size_t i = 0; i < std::min(inspection.broken.size(), kBrokenAtMost); ++i) {
    absl::StrAppend(&broken, "  ", std::string(inspection.broken[i].message()), "\n");
  }
  if (inspection.broken.size() > kBrokenAtMost) {
    absl::StrAppend(&broken, "  and ", inspection.broken.size() - kBrokenAtMost, " more; --json FILE lists all\n");
  }
  std::string text = absl::StrCat(inspection.root, ": ", CountClips(inspection.clips.size()), ", ",
                                  inspection.attributes.size(), " attributes, ", Megabytes(bytes), "\n\n", Table(rows));
  if (!missing.empty()) absl::StrAppend(&text, "\nmissing\n", missing);
  if (!differing.empty()) absl::StrAppend(&text, "\ndifferent from the other clips\n", differing);
  if (!broken.empty()) absl::StrAppend(&text, "\nbroken\n", broken);
  if (!inspection.remarks.empty()) {
    absl::StrAppend(&text, "\nalso there\n");
    for (const std::string& remark : inspection.remarks) absl::StrAppend(&text, "  ", remark, "\n");
  }
  if (inspection.complete()) {
    absl::StrAppend(&text, "\nnothing is missing, nothing is broken",
                    inspection.full ? "" : ", as far as first and last members and first frames tell; --full reads all",
                    "\n");
  }
  return text;
}

std::string InspectionJson(const Inspection& inspection) {
  using Json = nlohmann::ordered_json;
  Json json = {{"root", inspection.root}, {"clips", inspection.clips},    {"complete", inspection.complete()},
               {"full", inspection.full}, {"attributes", Json::array()},  {"missing_frames", Json::array()},
               {"broken", Json::array()}, {"remarks", inspection.remarks}};
  for (const AttributeSummary& attribute : inspection.attributes) {
    Json holds = Json::array();
    for (const PayloadKinds::Kind& kind : attribute.holds.kinds()) {
      holds.push_back({{"what", kind.description}, {"clips", kind.clips}});
    }
    json["attributes"].push_back({{"name", attribute.name},
                                  {"clips", attribute.clips},
                                  {"members", {{"least", attribute.least_members}, {"most", attribute.most_members}}},
                                  {"bytes", attribute.bytes},
                                  {"holds", holds},
                                  {"missing", attribute.missing}});
  }
  for (const MissingFrames& one : inspection.missing_frames) {
    Json ranges = Json::array();
    for (const FrameRange& range : one.ranges) ranges.push_back({range.first, range.last});
    json["missing_frames"].push_back(
        {{"clip", one.clip}, {"attribute", one.attribute}, {"series", one.series}, {"frames", ranges}});
  }
  for (const absl::Status& status : inspection.broken) {
    const DataPlace place = DataPlaceOf(status).value_or(DataPlace());
    json["broken"].push_back({{"clip", place.clip},
                              {"attribute", place.attribute},
                              {"path", place.path},
                              {"member", place.member},
                              {"begin", place.begin},
                              {"end", place.end},
                              {"message", std::string(status.message())}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cubist
