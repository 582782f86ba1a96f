// One run in a run folder at a time.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_LOCK_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace cubist {

// Held from Acquire until it is destroyed. The kernel's advisory lock on the file is what counts
// (flock, which also works between the hosts of an NFS mount with locking): it ends with its process, so a
// killed run leaves no lock behind, only the text in the file, which says who that was.
//
// Does not go through FileOps: the lock is no data and survives no crash.
class RunLock {
 public:
  // StorageError that names the holder (host, process, SLURM job, since when) if another run holds it,
  // or if the file system has no locks.
  static absl::StatusOr<std::unique_ptr<RunLock>> Acquire(const std::string& path);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // Who held it last, if that one ended without releasing it (was killed); else empty.
  // "host node7, process 4711, SLURM job 99, since 2026-01-31T12:00:00Z".
  const std::string& stale_holder() const { return stale_holder_; }

  // The lock also lasts until every process started from now on has ended: for the front program,
  // whose workers still write here if it is killed alone.
  absl::Status ShareWithChildren();

 private:
  RunLock(std::string path, int descriptor, std::string stale_holder);
  std::string path_;
  int descriptor_;
  std::string stale_holder_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_LOCK_H_
