#include "tools/training/rehearsal/disk_estimate.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tools/training/rehearsal/report_table.h"

namespace cubist {

int64_t StepsBetweenMilestones(const Checkpoints& checkpoints) {
  if (checkpoints.keep_every() == 0) return 0;
  // A save by the clock may fall on any step.
  if (checkpoints.interval_minutes() > 0) return checkpoints.keep_every();
  if (checkpoints.interval_steps() == 0) return 0;
  return std::lcm(checkpoints.keep_every(), checkpoints.interval_steps());
}

int64_t CheckpointsAtOnce(const Checkpoints& checkpoints, std::optional<int64_t> max_steps) {
  const int64_t between = StepsBetweenMilestones(checkpoints);
  const int64_t milestones = between > 0 && max_steps.has_value() ? *max_steps / between : 0;
  return checkpoints.keep_last() + 1 + milestones;
}

absl::StatusOr<std::string> NearestFolder(const std::string& path) {
  std::filesystem::path nearest = path;
  struct stat info;
  while (::lstat(nearest.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return StorageError(absl::StrCat(nearest.string(), ": cannot look at: ", ErrnoText(errno)));
    }
    const std::filesystem::path parent = nearest.has_relative_path() ? nearest.parent_path() : nearest;
    if (parent == nearest) break;
    nearest = parent.empty() ? "." : parent;
  }
  if (::stat(nearest.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return StorageError(absl::StrCat(nearest.string(), ": is no folder, so ", path,
                                     " cannot be made; move it away, or name another folder with --run_dir"));
  }
  if (::access(nearest.c_str(), W_OK | X_OK) != 0) {
    return StorageError(absl::StrCat(nearest.string(), ": nothing can be made in this folder: ", ErrnoText(errno),
                                     "; name another with --run_dir"));
  }
  return nearest.string();
}

absl::StatusOr<DiskEstimate> EstimateDisk(const Checkpoints& checkpoints, std::optional<int64_t> max_steps,
                                          uint64_t checkpoint_bytes, int64_t there, const std::string& folder) {
  DiskEstimate estimate;
  estimate.checkpoint_bytes = checkpoint_bytes;
  estimate.at_once = CheckpointsAtOnce(checkpoints, max_steps);
  estimate.there = there;
  if (!max_steps.has_value()) estimate.growth = StepsBetweenMilestones(checkpoints);
  ASSIGN_OR_RETURN(estimate.place, NearestFolder(folder));
  struct statvfs info;
  if (::statvfs(estimate.place.c_str(), &info) != 0) {
    return StorageError(absl::StrCat(estimate.place, ": cannot tell what is free: ", ErrnoText(errno)));
  }
  estimate.free_bytes = static_cast<uint64_t>(info.f_bavail) * static_cast<uint64_t>(info.f_frsize);
  return estimate;
}

std::string Describe(const DiskEstimate& estimate) {
  std::string text =
      absl::StrCat(FormatBytes(estimate.checkpoint_bytes), " each, at most ", estimate.at_once, " at once");
  if (estimate.there > 0) absl::StrAppend(&text, ", ", estimate.there, " of them there");
  absl::StrAppend(&text, ": ", FormatBytes(estimate.needed_bytes()), estimate.there > 0 ? " more" : "", "; ",
                  FormatBytes(estimate.free_bytes), " are free in ", estimate.place);
  if (estimate.growth > 0) {
    absl::StrAppend(&text, "; and another every ", estimate.growth, " steps, as training.max_steps is not set");
  }
  return text;
}

std::string WayOutOfFullDisk(const DiskEstimate& estimate, const Checkpoints& checkpoints) {
  std::string text =
      absl::StrCat("this run will fill the disk: free ", FormatBytes(estimate.needed_bytes() - estimate.free_bytes),
                   ", name a folder on another disk with --run_dir, or keep fewer (checkpoints.keep_last "
                   "is ",
                   checkpoints.keep_last());
  if (checkpoints.keep_every() > 0) absl::StrAppend(&text, ", keep_every ", checkpoints.keep_every());
  return text + ")";
}

}  // namespace cubist
