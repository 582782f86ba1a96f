// Whether the archives of a run's clips hold the frames that it will read.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_FRAME_TRIAL_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_FRAME_TRIAL_H_

#include <cstdint>
#include <functional>
#include <limits>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_index.h"
#include "tools/training/rehearsal/report_table.h"

namespace cubist {

// Clips a side whose archives a dry run lists.
inline constexpr int64_t kMostClipsOfDryRun = 100;

// Compares the members that samples need (needed_members.h), from every start frame that training draws and from that
// of validation, with those that the archives of `clips` have, of which only the headers are read, on `threads`
// threads. Of more than `most_clips` clips that train, or that validate, so many are looked at, evenly spread. Returns
// what is read, and a warning where data.bad_samples lets a run go on without what is missing. Errors: DataError that
// names clip, attribute, first missing frame and their number, the first ten of them, archives that cannot be listed,
// and which field to change; ConfigError where no start frame is left; PreemptedError when `stop` said so.
absl::StatusOr<CheckOutcome> TryFrames(const ClipIndex& clips, const Experiment& config, int threads,
                                       const std::function<bool()>& stop,
                                       int64_t most_clips = std::numeric_limits<int64_t>::max());

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_FRAME_TRIAL_H_
