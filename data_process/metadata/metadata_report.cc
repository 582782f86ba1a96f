#include "data_process/metadata/metadata_report.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "data_process/inspection/name_list.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

constexpr size_t kDetailedAtMost = 5;  // videos of a reason

}  // namespace

std::string MetadataReportText(const MetadataReport& report) {
  std::string text = absl::StrCat(report.written ? "wrote " : "would write ", report.csv, ": ",
                                  CountOf(report.rows.size(), "row"), " of ", CountOf(report.videos, "video"),
                                  report.files_tried ? ", every file tried" : "", "\n  clips: ", report.allowed, "\n");
  std::map<LeftOut, std::vector<const LeftOutVideo*>> by_reason;
  for (const LeftOutVideo& video : report.left_out) by_reason[video.reason].push_back(&video);
  for (const auto& [reason, videos] : by_reason) {
    std::vector<std::string> names;
    for (const LeftOutVideo* video : videos) names.push_back(video->video);
    absl::StrAppend(&text, "  left out: ", videos.size(), " ", Describe(reason), ": ", ListNames(names), "\n");
    for (size_t i = 0; i < std::min(videos.size(), kDetailedAtMost); ++i) {
      for (const std::string& detail : videos[i]->details) absl::StrAppend(&text, "    ", detail, "\n");
    }
  }
  for (const std::string& warning : report.warnings) absl::StrAppend(&text, "  warning: ", warning, "\n");
  return text;
}

std::string MetadataReportJson(const MetadataReport& report) {
  using Json = nlohmann::ordered_json;
  Json json = {{"csv", report.csv},         {"written", report.written},  {"files_tried", report.files_tried},
               {"allowed", report.allowed}, {"videos", report.videos},    {"rows", Json::array()},
               {"left_out", Json::array()}, {"warnings", report.warnings}};
  for (const MetadataRow& row : report.rows) json["rows"].push_back(row.clip);
  for (const LeftOutVideo& video : report.left_out) {
    json["left_out"].push_back(
        {{"video", video.video}, {"reason", Describe(video.reason)}, {"details", video.details}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cubist
