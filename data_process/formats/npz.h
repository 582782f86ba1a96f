// Named arrays in NumPy's .npz format: a zip archive of .npy members.
#ifndef CUBIST_DATA_PROCESS_FORMATS_NPZ_H_
#define CUBIST_DATA_PROCESS_FORMATS_NPZ_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

struct NpzLimits {
  // Over all members, as declared in the archive's directory; checked before anything is unpacked.
  uint64_t max_total_bytes = uint64_t{4} << 30;
  int64_t max_members = 100000;
};

// All arrays by name (without ".npy"), stored or deflated. `what` names the file in messages.
// Errors: DataError with file and member: a damaged archive, repeated names, a member that is no
// array, more bytes than the limits or than the directory declares.
absl::StatusOr<std::map<std::string, HostTensor>> ParseNpz(std::string_view bytes, std::string_view what,
                                                           const NpzLimits& limits = {});

// The arrays in the order given, stored without compression, as numpy.savez does. Deterministic.
// Errors: DataError for a repeated or impossible name.
absl::StatusOr<std::string> FormatNpz(const std::vector<std::pair<std::string, HostTensor>>& arrays);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_NPZ_H_
