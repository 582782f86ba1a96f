#include "tools/interchange/checkpoint_text.h"

#include <cmath>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr size_t kPrintedAtOnce = 300;  // by Printable

}  // namespace

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (size_t begin = 0; begin < text.size(); begin += kPrintedAtOnce) {
    escaped += Printable(text.substr(begin, kPrintedAtOnce));
  }
  return escaped;
}

std::string Shortened(std::string_view text, size_t length) {
  return text.size() <= length ? Escaped(text) : Escaped(text.substr(0, length)) + "...";
}

std::string CountText(int64_t count) {
  std::string text = absl::StrCat(count);
  for (size_t end = text.size(); end > 3 && text[end - 4] != '-'; end -= 3) text.insert(end - 3, ",");
  return text;
}

std::string BytesText(uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  return bytes < 1000000 ? absl::StrFormat("%.1f kB", number * 1e-3) : absl::StrFormat("%.1f MB", number * 1e-6);
}

std::string NumberText(double number) { return absl::StrFormat("%.3g", number); }

std::string TensorsText(int64_t count) { return absl::StrCat(CountText(count), count == 1 ? " tensor" : " tensors"); }

std::string TypeText(DType dtype, const std::vector<int64_t>& shape) {
  return absl::StrCat(std::string(Name(dtype)), " ", shape.empty() ? "scalar" : absl::StrJoin(shape, "x"));
}

std::string TimeText(double seconds) {
  // Years of four digits.
  if (!(seconds >= 0 && seconds < 253402300800.0)) return "at no time";
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm utc = {};
  ::gmtime_r(&whole, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

std::string ShortIdentity(std::string_view identity) { return Escaped(identity.substr(0, 12)); }

std::string OneLine(const CheckpointDescription& description) {
  return absl::StrCat(Escaped(description.format_name), ", ",
                      description.state.has_step() ? absl::StrCat("step ", description.state.step(), ", ") : "",
                      ShortIdentity(description.identity));
}

std::string OneLine(const checkpoint::Parent& parent) {
  std::string known = Escaped(parent.format());
  if (parent.has_step()) absl::StrAppend(&known, known.empty() ? "" : ", ", "step ", parent.step());
  return absl::StrCat(parent.has_role() ? Escaped(parent.role()) + " " : "", ShortIdentity(parent.identity()),
                      known.empty() ? "" : absl::StrCat(" (", known, ")"));
}

Json DescriptionJson(const CheckpointDescription& description) {
  const checkpoint::TrainingState& state = description.state;
  Json json = {{"path", description.path}, {"format", description.format_name}, {"identity", description.identity}};
  if (state.has_step()) json["step"] = state.step();
  if (state.has_samples_consumed()) json["samples_consumed"] = state.samples_consumed();
  if (state.has_seed()) json["seed"] = state.seed();
  if (state.has_skipped_steps()) json["skipped_steps"] = state.skipped_steps();
  if (state.has_skipped_samples()) json["skipped_samples"] = state.skipped_samples();
  if (state.has_elapsed_seconds()) json["elapsed_seconds"] = state.elapsed_seconds();
  const auto put = [&json](const char* name, const auto& map) {
    json[name] = Json::object();
    // Sorted, or the same checkpoint would not give the same text.
    for (const auto& [key, value] : std::map(map.begin(), map.end())) json[name][key] = value;
  };
  put("best_metrics", state.best_metrics());
  put("best_steps", state.best_steps());
  put("numbers", state.numbers());
  put("counters", state.counters());
  put("texts", state.texts());
  if (!description.config_hash.empty()) json["config_hash"] = description.config_hash;
  if (description.created.has_value()) json["created"] = *description.created;
  if (!description.host.empty()) json["host"] = description.host;
  if (!description.program_version.empty()) json["program_version"] = description.program_version;
  json["parents"] = Json::array();
  for (const checkpoint::Parent& parent : description.parents) {
    Json entry = {{"identity", parent.identity()}};
    if (parent.has_format()) entry["format"] = parent.format();
    if (parent.has_step()) entry["step"] = parent.step();
    if (parent.has_role()) entry["role"] = parent.role();
    json["parents"].push_back(std::move(entry));
  }
  json["metadata"] = Json(description.metadata);
  json["remarks"] = description.remarks;
  return json;
}

std::string JsonText(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace cubist
