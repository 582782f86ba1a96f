#include "tools/training/logging/ledger.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kBadSample[] = "bad_sample";
constexpr char kNotFinite[] = "step_not_finite";

Json NumberOrText(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double NumberFrom(const Json& event, const char* name) {
  const auto found = event.find(name);
  if (found == event.end()) return std::nan("");
  if (found->is_number()) return found->get<double>();
  const double infinity = std::numeric_limits<double>::infinity();
  return *found == "inf" ? infinity : *found == "-inf" ? -infinity : std::nan("");
}

std::string Line(const Json& event) {
  return event.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

// What tells one event from another. When it was seen and where it can be taken again from are not part of it.
std::string Identity(Json event) {
  for (const char* name : {"time", "replay_from_step", "replay_from_draw"}) event.erase(name);
  return Line(event);
}

// The text of the file, empty if there is none.
absl::StatusOr<std::string> ReadLedger(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) return std::string();
  return ReadWholeFile(path);
}

std::vector<Json> ParseEvents(std::string_view text) {
  std::vector<Json> events;
  for (const auto line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n', absl::SkipEmpty())) {
    Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (event.is_object()) events.push_back(std::move(event));
  }
  return events;
}

template <typename T>
T Get(const Json& event, const char* name, T otherwise) {
  const auto found = event.find(name);
  const bool fits = found != event.end() && (std::is_same_v<T, std::string> ? found->is_string() : found->is_number());
  return fits ? found->get<T>() : otherwise;
}

}  // namespace

std::string FormatEvent(const BadSampleEvent& event, double time) {
  const DataPlace& place = event.place;
  return Line({{"kind", kBadSample},
               {"time", time},
               {"split", event.split},
               {"step", event.step},
               {"draw", event.draw},
               {"clip", place.clip},
               {"start_frame", event.start_frame},
               {"attribute", place.attribute},
               {"path", place.path},
               {"member", place.member},
               {"begin", place.begin},
               {"end", place.end},
               {"reason", event.reason}});
}

std::string FormatEvent(const NotFiniteEvent& event, double time) {
  return Line({{"kind", kNotFinite},
               {"time", time},
               {"step", event.step},
               {"first_draw", event.first_draw},
               {"samples", event.samples},
               {"loss", NumberOrText(event.loss)},
               {"gradient_norm", NumberOrText(event.gradient_norm)},
               {"action", event.action},
               {"replay_from_step", event.replay_from_step},
               {"replay_from_draw", event.replay_from_draw}});
}

std::string ReasonIn(const std::string& line) {
  return Get<std::string>(Json::parse(line, nullptr, /*allow_exceptions=*/false), "reason", "");
}

absl::StatusOr<std::vector<NotFiniteEvent>> ReadNotFiniteEvents(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadLedger(path));
  std::vector<NotFiniteEvent> events;
  for (const Json& event : ParseEvents(text)) {
    if (Get<std::string>(event, "kind", "") != kNotFinite) continue;
    NotFiniteEvent& result = events.emplace_back();
    result.step = Get<int64_t>(event, "step", 0);
    result.first_draw = Get<int64_t>(event, "first_draw", 0);
    result.samples = Get<int64_t>(event, "samples", 0);
    result.loss = NumberFrom(event, "loss");
    result.gradient_norm = NumberFrom(event, "gradient_norm");
    result.action = Get<std::string>(event, "action", "");
    result.replay_from_step = Get<int64_t>(event, "replay_from_step", 0);
    result.replay_from_draw = Get<int64_t>(event, "replay_from_draw", 0);
  }
  return events;
}

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(FileOps& ops, std::string path) {
  const absl::StatusOr<std::string> text = ReadLedger(path);
  if (!text.ok()) return StorageError(std::string(text.status().message()));
  auto ledger = std::unique_ptr<Ledger>(new Ledger(ops, std::move(path)));
  for (const Json& event : ParseEvents(*text)) ledger->known_.insert(Identity(event));
  ledger->torn_ = !text->empty() && text->back() != '\n';
  return ledger;
}

absl::Status Ledger::Append(const std::vector<std::string>& lines) {
  std::string added;
  std::vector<std::string> identities;
  for (const std::string& line : lines) {
    std::string identity = Identity(Json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (known_.count(identity) > 0) continue;
    added += line;
    identities.push_back(std::move(identity));
  }
  if (added.empty()) return absl::OkStatus();
  if (torn_) added.insert(0, "\n");
  if (file_ == nullptr) {
    ASSIGN_OR_RETURN(file_, ops_.OpenForAppend(path_));
    RETURN_IF_ERROR(ops_.SyncDirectory(std::filesystem::path(path_).parent_path()));
  }
  torn_ = true;  // until all of it is written
  RETURN_IF_ERROR(file_->Append(added.data(), added.size()));
  RETURN_IF_ERROR(file_->Sync());
  torn_ = false;
  known_.insert(identities.begin(), identities.end());
  return absl::OkStatus();
}

}  // namespace cubist
