// Where a rehearsal may write, and that nothing of it stays.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_FOLDERS_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_FOLDERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace cubist {

// Held by the front, which outlives the workers however these end. What it removes is what came into the two folders,
// and the parents of the run's folder that were not there before.
class RehearsalFolders {
 public:
  // Makes the temporary folder. StorageError when that is impossible.
  static absl::StatusOr<std::unique_ptr<RehearsalFolders>> Make(FileOps& ops, const std::string& run_folder);
  // Removes all; what cannot be removed is named on standard error.
  ~RehearsalFolders();
  RehearsalFolders(const RehearsalFolders&) = delete;
  RehearsalFolders& operator=(const RehearsalFolders&) = delete;

  // In $TMPDIR, or /tmp. Nobody else can look into it.
  const std::string& temporary() const { return temporary_; }
  // "<parent of the run's folder>/.preflight-<process>": on the disk of the run's checkpoints. Not made yet.
  const std::string& beside_run() const { return beside_run_; }

 private:
  RehearsalFolders(FileOps& ops, std::string temporary, const std::string& run_folder);
  void Remove(const std::string& path);

  FileOps& ops_;
  const std::string temporary_;
  std::string beside_run_;
  std::vector<std::string> missing_parents_;  // deepest first
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_FOLDERS_H_
