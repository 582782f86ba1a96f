// A run tried out before it is started: --dry_run and --preflight.
//
// Both build what the run would work with, start it as the run would start (its own latest checkpoint, other weights,
// or nothing), and take real steps. Neither changes the run's folder.
//
// A dry run is one process with rank 0's share of the batch: the frames of some clips (frame_trial.h), one step, and
// what it says about the run.
// A preflight is all ranks of the run. Each check has its line on rank 0's standard output; after one that fails the
// others still run, as far as they can:
//   1. archives, 2. frames: of the front, before any rank starts (archive_trial.h, frame_trial.h)
//   3. model:      the parts of the run, and where it starts
//   4. ranks:      they agree on what they run; a collective reaches every one
//   5. steps:      a warm-up and some more, measured
//   6. validation: a batch of it
//   7. memory:     what this has taken
//   8. checkpoint: written by all ranks where the run's will lie, read back, compared, removed
//   9. disk:       room for as many of them as the run keeps
// and an estimate of the time that the run takes, from what was measured. What a failure leaves nothing to try of is
// said to be skipped. The last line counts the checks that failed, the front's among them.
// A rank that fails leaves, and the others are told by their next collective.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/run_options.h"

namespace cubist {

struct RehearsalOptions {
  bool preflight = false;                  // else a dry run
  int world_size = 1;                      // ranks that the run would have; of a preflight the communicator's
  std::string trial_folder;                // for the checkpoint of a preflight; beside the run's folder
  std::vector<std::string> failed_before;  // of the front's checks
  // The data was made for this alone, in a folder that goes with it: the run would make all of data.synthesize.
  bool data_is_made_up = false;
};

// `run`: as the run would get it, but that its run_directory need not exist and nobody has locked it. Errors: those
// that the run would meet, and of a preflight the first of those that failed; PreemptedError after a request to stop.
absl::Status RehearseRun(const ValidatedExperiment& experiment, const RunOptions& run, const RehearsalOptions& options,
                         Communicator& communicator);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_H_
