// How many checkpoints of a run lie on disk at once, and whether there is room for them.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_DISK_ESTIMATE_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_DISK_ESTIMATE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// Steps between two checkpoints that are kept for good (checkpoints.keep_every among those that are saved at all);
// 0: none is.
int64_t StepsBetweenMilestones(const Checkpoints& checkpoints);

// Most checkpoints at once in a run of `max_steps`: the newest ones that are kept, the one being written, and
// the milestones up to the end. Without max_steps the milestones, whose number then has no limit, are not counted.
int64_t CheckpointsAtOnce(const Checkpoints& checkpoints, std::optional<int64_t> max_steps);

// The nearest of `path` and its parents that exists, where a folder `path` would be made. StorageError when that is
// no folder, or one in which nothing may be made.
absl::StatusOr<std::string> NearestFolder(const std::string& path);

struct DiskEstimate {
  uint64_t checkpoint_bytes = 0;
  int64_t at_once = 0;      // CheckpointsAtOnce()
  int64_t there = 0;        // of them there already, in a run that goes on
  int64_t growth = 0;       // one more every so many steps, without an end; 0: none
  std::string place;        // the folder whose file system they come into
  uint64_t free_bytes = 0;  // there, for this user

  // Bytes that are still to come.
  uint64_t needed_bytes() const {
    return checkpoint_bytes * static_cast<uint64_t>(at_once > there ? at_once - there : 0);
  }
  bool fits() const { return needed_bytes() <= free_bytes; }
};

// `folder`: of the run, which need not exist. Errors: of NearestFolder(); StorageError when its file system does not
// say what is free.
absl::StatusOr<DiskEstimate> EstimateDisk(const Checkpoints& checkpoints, std::optional<int64_t> max_steps,
                                          uint64_t checkpoint_bytes, int64_t there, const std::string& folder);

// "1.3 MB each, at most 4 at once: 5.2 MB; 22.3 GB are free in runs".
std::string Describe(const DiskEstimate& estimate);

// What to do where it does not fit.
std::string WayOutOfFullDisk(const DiskEstimate& estimate, const Checkpoints& checkpoints);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_DISK_ESTIMATE_H_
