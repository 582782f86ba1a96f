// Our checkpoints as AnyCheckpoint.
#ifndef CUBIST_TOOLS_INTERCHANGE_OWN_CHECKPOINT_H_
#define CUBIST_TOOLS_INTERCHANGE_OWN_CHECKPOINT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/training/checkpoint/checkpoint_reader.h"

namespace cubist {

// An opened one, as it is.
std::unique_ptr<AnyCheckpoint> AsAnyCheckpoint(Checkpoint checkpoint);

// `folder` holds a MANIFEST. Errors: those of Checkpoint (tools/training/checkpoint).
absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenOwnCheckpoint(const std::string& folder);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_OWN_CHECKPOINT_H_
