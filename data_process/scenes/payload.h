// What a data file or an archive's member holds, decoded by the ending of its name.
#ifndef CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_
#define CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"

namespace cubist {

struct PayloadArray {
  std::string name;  // within a file of several; else empty
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
};

struct Payload {
  std::string kind;                  // "npy", "npz", "pth", "ply", "json", "png", "jpg"; empty: nothing here decodes it
  std::vector<PayloadArray> arrays;  // by name; none in JSON
};

// Decodes all of `bytes`, whose name ends in .npy, .npz, .pth, .ply, .json, .png, .jpg or .jpeg, in upper or lower
// case; other names are not decoded and have no kind. `what` names the bytes in messages. Errors: the decoders'
// DataErrors.
absl::StatusOr<Payload> DecodePayload(std::string_view name, std::string_view bytes, std::string_view what);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_
