// What this process has taken of the machine's memory, and what there is.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_MEMORY_USE_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_MEMORY_USE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace cubist {

struct MemoryUse {
  uint64_t peak_resident = 0;  // of this process so far: VmHWM
  uint64_t total = 0;          // of the machine, or what its control groups (a container, a SLURM job) let us have
  uint64_t available = 0;      // without swapping: for new processes, this one's share not included
};

// `root`: "" for this system's /proc and /sys; tests give a folder. InternalError when they do not say it.
absl::StatusOr<MemoryUse> ReadMemoryUse(const std::string& root = "");

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_MEMORY_USE_H_
