#include "tools/wandb/run_identity.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

std::string PathOf(const std::string& run_folder) { return run_folder + "/wandb_run.json"; }

}  // namespace

absl::Status WriteRunIdentity(FileOps& ops, const std::string& run_folder, const WandbRunIdentity& identity) {
  const nlohmann::ordered_json json = {
      {"entity", identity.entity}, {"project", identity.project}, {"id", identity.id}, {"name", identity.name}};
  return WriteFileAtomically(ops, PathOf(run_folder),
                             json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

absl::StatusOr<std::optional<WandbRunIdentity>> ReadRunIdentity(const std::string& run_folder) {
  const std::string path = PathOf(run_folder);
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, size_t{1} << 20));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  WandbRunIdentity identity;
  for (const auto& [key, value] : {std::pair("entity", &identity.entity), std::pair("project", &identity.project),
                                   std::pair("id", &identity.id), std::pair("name", &identity.name)}) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_string()) {
      return DataError(absl::StrCat(path, ": has no text \"", key, "\", so it does not say which run of Weights & ",
                                    "Biases this is; remove it, and the run is logged as a new one"));
    }
    *value = json[key].get<std::string>();
  }
  if (identity.id.empty()) return DataError(absl::StrCat(path, ": its \"id\" is empty; remove the file"));
  return identity;
}

std::string CheckpointCollection(const std::string& run_id) { return "model-" + run_id; }
std::string StepAlias(int64_t step) { return absl::StrCat("step-", step); }

}  // namespace cubist
