#include "tools/slurm/job_log.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cubist {

std::string SlotHeading(int slot) { return absl::StrCat("slot ", slot, " of the run "); }

std::string EndStateInJobLog(std::string_view log, int slot) {
  const absl::string_view text(log.data(), log.size());
  const size_t heading = text.rfind(SlotHeading(slot));
  if (heading == absl::string_view::npos) return "";
  std::string state;
  for (const absl::string_view line : absl::StrSplit(text.substr(heading), '\n')) {
    const bool ends_job = absl::StartsWith(line, "slurmstepd") && absl::StrContains(line, "*** JOB ") &&
                          absl::StrContains(line, " CANCELLED AT ");
    if (!ends_job) continue;
    if (absl::StrContains(line, "DUE TO TIME LIMIT")) {
      state = "TIMEOUT";
    } else if (absl::StrContains(line, "DUE TO PREEMPTION")) {
      state = "PREEMPTED";
    } else if (absl::StrContains(line, "DUE TO NODE FAILURE")) {
      state = "NODE_FAIL";
    } else if (!absl::StrContains(line, "DUE TO")) {
      state = "CANCELLED";
    }
  }
  return state;
}

}  // namespace cubist
