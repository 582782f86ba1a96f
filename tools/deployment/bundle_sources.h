// What a bundle of this build is made of, and where that is: the programs and files of bundled_programs.bzl.
#ifndef CUBIST_TOOLS_DEPLOYMENT_BUNDLE_SOURCES_H_
#define CUBIST_TOOLS_DEPLOYMENT_BUNDLE_SOURCES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/deployment/bundle.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

// The programs of a bundle: "tools/train", "data_process/inspect", ...
std::vector<std::string> BundledPrograms();

// Finds programs and files beside the running program `program_path` and in its runfiles, as FindProgram does
// (tools/training/launch/worker_location.h). `names`: of the programs, without folders; empty: all. ConfigError that
// names a program or file that is not there, or a name that is no program's.
absl::StatusOr<BundleSources> FindBundleSources(const std::string& program_path, const std::string& argv0,
                                                const Environment& environment, const std::vector<std::string>& names,
                                                bool with_libtorch);

}  // namespace cubist

#endif  // CUBIST_TOOLS_DEPLOYMENT_BUNDLE_SOURCES_H_
