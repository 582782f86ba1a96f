// What the members of an attribute's archives must hold for a run to use them, by the attribute's name.
#ifndef CUBIST_DATA_PROCESS_SCENES_ATTRIBUTE_CONTRACT_H_
#define CUBIST_DATA_PROCESS_SCENES_ATTRIBUTE_CONTRACT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "data_process/scenes/payload.h"

namespace cubist {

// Asks of a member what the readers of samples ask of it alone: dtype, rank, fixed extents, that poses are transforms,
// values finite, classes known, objects complete. `file` is what DecodeFile made of `bytes`. Attributes that no reader
// reads from tars pass as they are.
// Errors: DataError with `what` in front.
absl::Status CheckContract(const std::string& attribute, std::string_view bytes, const DecodedFile& file,
                           const std::string& what);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_ATTRIBUTE_CONTRACT_H_
