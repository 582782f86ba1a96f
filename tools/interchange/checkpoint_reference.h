// How people name a checkpoint on a command line, and what that is on disk.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// The folder or file that `reference` stands for, absolute:
//   PATH          a checkpoint's folder, a file, or a run's folder: then its newest checkpoint (of the reference's:
//                 last.ckpt)
//   RUN:WHICH     of the run in the folder RUN: "last", "best" (lowest val_loss, if it is still kept), or a step
//   wdb:[ENTITY/]PROJECT/RUN[:WHICH]
//                 a run by its W&B name. Ours: runs/RUN. The reference's: wandb/PROJECT/RUN/checkpoints/*.ckpt, where
//                 WHICH is "last" (last.ckpt), "last_auto" (the newest by time) or an epoch's number.
// Relative paths are from where the user stands. Without WHICH it is "last".
// Errors: ConfigError naming what was looked for and where: nothing there, several files of one epoch, a WHICH that is
// none. Names of the server are not looked up.
absl::StatusOr<std::string> ResolveCheckpoint(std::string_view reference);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_
