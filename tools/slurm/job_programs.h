// The programs that jobs start.
#ifndef CUBIST_TOOLS_SLURM_JOB_PROGRAMS_H_
#define CUBIST_TOOLS_SLURM_JOB_PROGRAMS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/slurm/launch.h"

namespace cubist {

// The folder of the running program where that is a bundle, else one of this build that is made, with LibTorch's
// libraries, unless it is there: programs in Bazel's folders change with the next build. To be called before the
// current folder changes. Errors: InternalError without /proc; those of bundles.
absl::StatusOr<FindBundle> BundleFinder(const std::string& argv0);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_JOB_PROGRAMS_H_
