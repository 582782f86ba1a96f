// Bundles of builds side by side in one folder, each made once.
#ifndef CUBIST_TOOLS_DEPLOYMENT_BUNDLE_STORE_H_
#define CUBIST_TOOLS_DEPLOYMENT_BUNDLE_STORE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/deployment/bundle.h"

namespace cubist {

// The bundle that the program `program_path` stands in, if it stands in one.
std::optional<std::string> BundleOf(const std::string& program_path);

// "<parent>/cubist-0.1-<BundleId>": where EnsureBundle() has the bundle of these sources. Makes nothing. Errors: those
// of PlanBundle and BundleId.
absl::StatusOr<std::string> BundleFolder(const BundleSources& sources, const std::string& parent);

// The folder BundleFolder() with a bundle of these sources, made if it is not there. Protocol, for
// any number of processes on any hosts of one file system:
//   1. The id is made from the contents of all sources: another build is another folder, and the same one the same.
//   2. The lock "<parent>/lock" is waited for; where the file system has no locks it is done without.
//   3. What a killed process left of this bundle is removed.
//   4. A folder that is there was put there by one rename: it is whole, and its files are looked at (CheckBundle).
//   5. Else the bundle is made. If another process without a lock was faster, its folder is taken.
// Errors: those of PlanBundle, BundleId, WriteBundle and CheckBundle; StorageError for `parent`; what `progress`
// returns, which is also called while waiting.
absl::StatusOr<std::string> EnsureBundle(FileOps& ops, const BundleSources& sources, const std::string& parent,
                                         const BundleProgress& progress);

}  // namespace cubist

#endif  // CUBIST_TOOLS_DEPLOYMENT_BUNDLE_STORE_H_
