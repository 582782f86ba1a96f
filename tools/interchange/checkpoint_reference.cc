#include "tools/interchange/checkpoint_reference.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/run_checkpoints.h"
#include "tools/interchange/wandb_reference.h"

namespace cubist {
namespace {

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::StatusOr<std::string> FindInRun(const std::string& folder, const std::string& which) {
  ASSIGN_OR_RETURN(const ChosenCheckpoint chosen, ChooseInRun(folder, which));
  return chosen.path.empty() ? ConfigError(chosen.missing) : absl::StatusOr<std::string>(chosen.path);
}

}  // namespace

absl::StatusOr<std::string> ResolveCheckpoint(std::string_view reference) {
  const std::string text(reference);
  if (text.empty()) return ConfigError("a checkpoint's name is empty");
  if (IsWandbReference(text)) {
    ASSIGN_OR_RETURN(const WandbReference parsed, ParseWandbReference(text));
    ASSIGN_OR_RETURN(const LocalSearch here, FindOnThisMachine(parsed));
    if (!here.path.empty()) return here.path;
    return ConfigError(absl::StrCat("\"", text, "\": ", here.missing));
  }
  const std::string path = ResolvePath(text);
  if (IsDirectory(path + "/checkpoints")) return FindInRun(path, "last");
  if (Exists(path)) return path;
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    const std::string run = ResolvePath(text.substr(0, colon));
    if (IsDirectory(run + "/checkpoints")) {
      ASSIGN_OR_RETURN(const std::string which, ParseWhich(text.substr(colon + 1), text));
      return FindInRun(run, which);
    }
  }
  return ConfigError(absl::StrCat(path, ": there is no such run, checkpoint or file"));
}

}  // namespace cubist
