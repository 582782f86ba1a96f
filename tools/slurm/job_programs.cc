#include "tools/slurm/job_programs.h"

#include <optional>

#include "base/file_ops.h"
#include "base/status.h"
#include "tools/deployment/bundle.h"
#include "tools/deployment/bundle_sources.h"
#include "tools/deployment/bundle_store.h"
#include "tools/interchange/terminal_progress.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/worker_location.h"

namespace cubist {

absl::StatusOr<FindBundle> BundleFinder(const std::string& argv0) {
  ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  if (const std::optional<std::string> bundle = BundleOf(program); bundle.has_value()) {
    return FindBundle([bundle](const std::string&, bool) -> absl::StatusOr<std::string> { return *bundle; });
  }
  // Only needed where the launch names no bundle: what is missing is an error of that call.
  const absl::StatusOr<BundleSources> sources = FindBundleSources(program, argv0, CurrentEnvironment(), {}, true);
  return FindBundle([sources](const std::string& parent, bool dry_run) -> absl::StatusOr<std::string> {
    RETURN_IF_ERROR(sources.status());
    if (dry_run) return BundleFolder(*sources, parent);
    TerminalProgress progress;
    absl::StatusOr<std::string> folder = EnsureBundle(SystemFileOps(), *sources, parent, progress.Callback());
    progress.Clear();
    return folder;
  });
}

}  // namespace cubist
