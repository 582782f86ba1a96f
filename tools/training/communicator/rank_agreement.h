// Ranks that must be the same: what they were started with, and what they have computed.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_RANK_AGREEMENT_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_RANK_AGREEMENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/training/communicator/communicator.h"

namespace cubist {

// OK if every rank has the same fields, pairs of a name ("config hash") and a value, in any order. Otherwise the same
// ConfigError on every rank, with a line for each field that differs: its values and the ranks that have them.
// A field that a rank does not have (another version of the program) differs. Neither names nor values hold
// zero bytes. Other errors: those of the communicator.
absl::Status AgreeOnFields(Communicator& communicator, const std::vector<std::pair<std::string, std::string>>& fields);

// Bytes of a tensor on the host.
struct NamedBytes {
  std::string name;
  const void* data = nullptr;
  size_t size = 0;
};

// OK if all `tensors`, the same names in the same order on every rank, hold the same bytes on every rank. Otherwise
// the same PeerLostError on every rank: step, tensors (the first few, and how many), and the ranks that
// deviate from the majority; where there is none, who differs from whom. XXH3-128; while all is well one
// all-gather of 32 bytes a rank. Other errors: those of the communicator.
absl::Status CompareTensors(Communicator& communicator, int64_t step, const std::vector<NamedBytes>& tensors);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_RANK_AGREEMENT_H_
