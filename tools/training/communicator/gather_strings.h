// What the ranks say to each other in words: strings and statuses of every rank.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_GATHER_STRINGS_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_GATHER_STRINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/training/communicator/communicator.h"

namespace cubist {

// The `text` (any bytes, any length) of every rank, by rank, on every rank. Two all-gathers: lengths, then
// bytes padded to the longest; the second is left out when all are empty, both in a world of one.
// Errors: those of the communicator.
absl::StatusOr<std::vector<std::string>> GatherStrings(Communicator& communicator, std::string_view text);

// OK if `status` is OK on every rank. Otherwise the first failing rank's status, on every rank, with its exit
// code; on other ranks its message begins with "rank N: ". If the ranks can no longer talk: this rank's own
// error, else the communicator's. Costs one all-gather of a number a rank while all is well.
absl::Status AgreeOnStatus(Communicator& communicator, const absl::Status& status);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_GATHER_STRINGS_H_
