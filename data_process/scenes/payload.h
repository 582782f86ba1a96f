// What a data file or an archive's member holds, decoded by the ending of its name.
#ifndef CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_
#define CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "base/host_tensor.h"
#include "configs/proto/experiment.pb.h"

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

// The same with what the arrays hold.
struct DecodedFile {
  std::string kind;
  std::map<std::string, HostTensor> arrays;

  Payload Describe() const;
};

// Decodes all of `bytes`, whose name ends in .npy, .npz, .pth, .ply, .json, .png, .jpg or .jpeg, in upper or lower
// case; other names are not decoded and have no kind. `what` names the bytes in messages. Errors: the decoders'
// DataErrors, also for arrays and images above `limits` (Data.limits).
absl::StatusOr<DecodedFile> DecodeFile(std::string_view name, std::string_view bytes, std::string_view what,
                                       const ReadLimits& limits = ReadLimits::default_instance());

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_PAYLOAD_H_
