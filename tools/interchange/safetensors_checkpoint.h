// Safetensors files as AnyCheckpoint.
#ifndef CUBIST_TOOLS_INTERCHANGE_SAFETENSORS_CHECKPOINT_H_
#define CUBIST_TOOLS_INTERCHANGE_SAFETENSORS_CHECKPOINT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// What convert writes beside weights has its group in front of its names: "cubist:ema/unet.out.2.weight". The state of
// the run and the config are metadata.
inline constexpr char kGroupPrefix[] = "cubist:";
inline constexpr char kStateMetadata[] = "cubist:training_state";  // in protobuf's text format
inline constexpr char kConfigMetadata[] = "cubist:config";

// Errors: those of SafetensorsFile (data_process/formats); a DataError for metadata of ours that cannot be parsed.
absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenSafetensorsCheckpoint(const std::string& path);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_SAFETENSORS_CHECKPOINT_H_
