#include "data_process/metadata/caption.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/json.h"

namespace cubist {
namespace {

constexpr char kPreferredKey[] = "weather";

JsonLimits CaptionLimits() {
  JsonLimits limits;
  limits.max_bytes = size_t{1} << 20;
  limits.max_depth = 8;
  limits.max_values = 10000;
  return limits;
}

// The parsed object is sorted by key; the file's order is only seen while it is read. `json` is valid.
std::string FirstKey(std::string_view json) {
  std::string first;
  bool found = false;
  const auto note_key = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1 && !found) {
      first = value.get<std::string>();
      found = true;
    }
    return true;
  };
  const auto parsed = nlohmann::json::parse(json.begin(), json.end(), note_key, /*allow_exceptions=*/false);
  return first;
}

}  // namespace

absl::StatusOr<std::string> ParseCaption(std::string_view json, std::string_view what) {
  ASSIGN_OR_RETURN(const nlohmann::json root, ParseJson(json, what, CaptionLimits()));
  const absl::string_view name(what.data(), what.size());
  if (!root.is_object())
    return DataError(absl::StrCat(name, ": a caption file holds a JSON object, this is something else"));
  if (root.empty()) return std::string();
  const std::string key = root.contains(kPreferredKey) ? kPreferredKey : FirstKey(json);
  const nlohmann::json& value = root[key];
  if (!value.is_string()) {
    return DataError(
        absl::StrCat(name, ": the caption under ", Quoted(key), " is no text but of type ", value.type_name()));
  }
  std::string caption = value.get<std::string>();
  if (caption.find('\0') != std::string::npos) {
    return DataError(absl::StrCat(name, ": the caption under ", Quoted(key),
                                  " holds a NUL character (\\u0000), at which readers of CSV files stop"));
  }
  return caption;
}

}  // namespace cubist
