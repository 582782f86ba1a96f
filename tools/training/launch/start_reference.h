// Checkpoints that --init_from and --resume_from name on a server: fetched before the ranks start.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_START_REFERENCE_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_START_REFERENCE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

// Puts the path of the checkpoint in the place of a W&B name ("wdb:...") in flags.init_from and flags.resume_from, so
// that ranks need no server and all of a node start from one. A run that has checkpoints goes on from these, and the
// flags stay as they are: a server that is away ends no run that goes on. `wandb_core`: as FindWandbCore() gives it.
// Errors: those of FindCheckpoint and of CheckpointStore::List, told of the flag.
absl::Status FetchStartReferences(const std::string& run_folder, const absl::StatusOr<std::string>& wandb_core,
                                  TrainFlags* flags);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_START_REFERENCE_H_
