#include "tools/tasks/built_models.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

absl::Status CheckModelIsBuilt(const Experiment& experiment) {
  if (experiment.task_case() == Experiment::kVoxelVae) return absl::OkStatus();
  const std::string& model =
      Experiment::descriptor()->FindFieldByNumber(static_cast<int>(experiment.task_case()))->name();
  return ConfigError(absl::StrCat("this version of Cubist cannot train ", model, " yet, only voxel_vae"));
}

}  // namespace cubist
