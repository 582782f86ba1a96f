// The file MANIFEST of a checkpoint folder:
//   8 bytes "CUBISTMF", 32 bytes SHA-256 of what follows, a serialised checkpoint.Manifest.
// Every byte of it is covered by a check; the SHA-256 is the checkpoint's identity.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_MANIFEST_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "tools/training/checkpoint/checkpoint.pb.h"

namespace cubist {

// Raised when an older program could misread what a newer one writes.
inline constexpr int kCheckpointFormatVersion = 1;
inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr char kTrainingStateName[] = "training_state.pb";
inline constexpr char kConfigName[] = "config.textproto";

struct DecodedManifest {
  checkpoint::Manifest manifest;
  std::string sha256;  // 64 hexadecimal digits
};

std::string EncodeManifest(const checkpoint::Manifest& manifest);

// Parses and checks `bytes`; StorageErrors begin with `path`. What comes back is consistent in itself: known format
// version, step not negative, file names that stay in the folder and differ, hashes well-formed,
// dtypes known, parts inside their tensors, and each file's size its header's plus its tensors'.
absl::StatusOr<DecodedManifest> DecodeManifest(std::string_view bytes, const std::string& path);

// The inverse of Name(DType).
std::optional<DType> DTypeByName(std::string_view name);

// Whether `name` is one plain path component of printable characters that is not hidden.
bool IsPlainFileName(std::string_view name);

// The extents of the whole tensor that `record` is a part of, and where the part starts.
std::vector<int64_t> GlobalShapeOf(const checkpoint::TensorRecord& record);
std::vector<int64_t> OffsetOf(const checkpoint::TensorRecord& record);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_MANIFEST_H_
