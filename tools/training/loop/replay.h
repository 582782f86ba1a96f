// Takes a step of a run again that was not finite, and says what it was made of.
//
// 1. The run's ledger says where the run could be had again before that step: a checkpoint, or its beginning, and
//    the draw that it went on with.
// 2. From there the steps are taken again, one rank taking what all ranks took. They are the same as in the run, to
//    the last bit on the same kind of CPU if it had one rank.
// 3. The step itself is reported: its samples with their losses, micro-batch by micro-batch, and which parameters'
//    gradients are not finite.
// Nothing is written.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_REPLAY_H_
#define CUBIST_TOOLS_TRAINING_LOOP_REPLAY_H_

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/run_options.h"

namespace cubist {

// Replays options.replay_step and prints the report to standard output. OK when it came out not finite again.
// The communicator is that of one rank. Errors: ConfigError when the ledger has no such step; NotFiniteError when the
// step comes out finite here; those of StartRun, data and task; PreemptedError when it was asked to stop.
absl::Status ReplayStep(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_REPLAY_H_
