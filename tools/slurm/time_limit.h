// SLURM's way to write a length of time.
#ifndef CUBIST_TOOLS_SLURM_TIME_LIMIT_H_
#define CUBIST_TOOLS_SLURM_TIME_LIMIT_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// Seconds of MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS, DAYS-HOURS:MINUTES or
// DAYS-HOURS:MINUTES:SECONDS (man sbatch, --time). ConfigError for anything else and for 0.
absl::StatusOr<int64_t> ParseTimeLimit(std::string_view text);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_TIME_LIMIT_H_
