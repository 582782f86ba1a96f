// How people name a checkpoint on a command line, and what that is on disk.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// The folder or file that `reference` stands for, absolute:
//   PATH          a checkpoint's folder, a file, or a run's folder: then its newest checkpoint (of the reference's:
//                 last.ckpt)
//   RUN:WHICH     of the run in the folder RUN: "last", "best" (lowest val_loss, if it is still kept), or a step
//   wdb:[ENTITY/]PROJECT/RUN[:WHICH]
//                 a run by its W&B name or id, as far as it is on this machine: see FindOnThisMachine
// Relative paths are from where the user stands. Without WHICH it is "last". Of files of the reference "last" is
// last.ckpt, "last_auto" the newest by time, a number their epoch.
// Errors: ConfigError naming what was looked for and where: nothing there, several files of one epoch, a WHICH that is
// none; what is wrong with a run's folder. Servers are not asked: FindCheckpoint of checkpoint_download.h does.
absl::StatusOr<std::string> ResolveCheckpoint(std::string_view reference);

// This function, or one that does more.
using CheckpointResolver = std::function<absl::StatusOr<std::string>(std::string_view reference)>;

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_REFERENCE_H_
