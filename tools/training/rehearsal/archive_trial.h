// Every archive of a run's data, looked at before the run.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_ARCHIVE_TRIAL_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_ARCHIVE_TRIAL_H_

#include <functional>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_index.h"
#include "tools/training/rehearsal/report_table.h"

namespace cubist {

// Opens every archive and decodes its first and last member (data_process/scenes/archive_check.h), on `threads`
// threads, with a progress bar on a terminal. Returns what it saw: counts, or, where data.bad_samples lets a run go on
// without them, a warning with the damaged ones. Errors: DataError that lists the damaged archives, the first twenty of
// them; PreemptedError when `stop` said so.
absl::StatusOr<CheckOutcome> TryArchives(const ClipIndex& clips, const Data& data, int threads,
                                         const std::function<bool()>& stop);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_ARCHIVE_TRIAL_H_
