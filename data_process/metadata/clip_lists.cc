#include "data_process/metadata/clip_lists.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/json.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr char kListFolder[] = "waymo_split";
constexpr char kTrainingList[] = "video_training_good.json";
// Where the reference looks, from the folder it is started in.
constexpr char kReferenceAssets[] = "infinicube/assets";

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string ListIn(const std::string& assets) { return absl::StrCat(assets, "/", kListFolder, "/", kTrainingList); }

absl::Status ReadAllowed(const Metadata& options, ClipLists* lists) {
  std::string asked_by;
  if (options.all_clips()) {
    lists->why_all = "as --all_clips asks";
    return absl::OkStatus();
  }
  if (!options.allowed_clips_json().empty()) {
    lists->allowed_path = options.allowed_clips_json();
    asked_by = "--allowed_clips_json";
  } else if (!options.assets_root().empty()) {
    lists->allowed_path = ListIn(options.assets_root());
    asked_by = "--assets_root";
  } else {
    const std::string reference = ListIn(ResolvePath(kReferenceAssets));
    if (!IsThere(reference)) {
      lists->why_all = absl::StrCat("no list was named and ", ListIn(kReferenceAssets), " is not here");
      return absl::OkStatus();
    }
    lists->allowed_path = reference;
    asked_by = "the default list";
  }
  auto allowed = ReadIdList(lists->allowed_path);
  if (!allowed.ok()) {
    return Annotate(DataError(absl::StrCat(allowed.status().message(), "; --all_clips goes without a list")), asked_by);
  }
  lists->allowed = *std::move(allowed);
  return absl::OkStatus();
}

absl::Status ReadValidation(const Metadata& options, ClipLists* lists) {
  std::string folder;
  if (!options.assets_root().empty()) {
    folder = absl::StrCat(options.assets_root(), "/", kListFolder);
  } else if (!lists->allowed_path.empty()) {
    folder = fs::path(lists->allowed_path).parent_path().string();
  } else {
    return absl::OkStatus();
  }
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!absl::StartsWith(name, "official_val") || !absl::EndsWith(name, ".json")) continue;
    ASSIGN_OR_RETURN(lists->validation[name], ReadIdList(it->path().string()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::set<std::string>> ReadIdList(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, size_t{64} << 20));
  ASSIGN_OR_RETURN(const nlohmann::json array, ParseJson(text, path));
  if (!array.is_array()) return DataError(path + ": a clip list is a JSON array of clip ids, this is something else");
  std::set<std::string> ids;
  for (const nlohmann::json& element : array) {
    if (!element.is_string()) return DataError(absl::StrCat(path, ": a clip id is a text, not ", element.type_name()));
    ids.insert(element.get<std::string>());
  }
  if (ids.empty()) return DataError(path + ": the clip list is empty");
  return ids;
}

absl::StatusOr<ClipLists> ReadClipLists(const Metadata& options) {
  if (options.all_clips() && !options.allowed_clips_json().empty()) {
    return ConfigError("all_clips takes every clip and allowed_clips_json those of a list: give one of them");
  }
  ClipLists lists;
  RETURN_IF_ERROR(ReadAllowed(options, &lists));
  for (const std::string& path : options.holdout()) {
    ASSIGN_OR_RETURN(const std::set<std::string> ids, ReadIdList(path));
    lists.held_out.insert(ids.begin(), ids.end());
  }
  RETURN_IF_ERROR(ReadValidation(options, &lists));
  return lists;
}

}  // namespace cubist
