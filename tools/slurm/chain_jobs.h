// The jobs of a chain that SLURM still has.
#ifndef CUBIST_TOOLS_SLURM_CHAIN_JOBS_H_
#define CUBIST_TOOLS_SLURM_CHAIN_JOBS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_commands.h"

namespace cubist {

struct ChainJob {
  std::string job;  // "1234", "1234_5"
  JobState state;   // not over
};

// Those of its submissions, and of its last slot, that wait or run, in the order of submission; of a chain that has
// ended only the last slot's, should its end not be recorded yet. PeerLostError if SLURM does not answer.
absl::StatusOr<std::vector<ChainJob>> LiveJobs(const SlotChain& chain);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_CHAIN_JOBS_H_
