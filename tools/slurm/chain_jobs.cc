#include "tools/slurm/chain_jobs.h"

#include <algorithm>
#include <set>

#include "base/status.h"

namespace cubist {

absl::StatusOr<std::vector<ChainJob>> LiveJobs(const SlotChain& chain) {
  std::set<std::string> started, over;
  for (const Slot& slot : chain.slots) started.insert(slot.started.job());
  // A job is over when the one that waited for its end has started: long chains are few questions.
  for (const slurm::SlotEvent& submission : chain.submissions) {
    if (started.count(submission.job()) > 0) over.insert(submission.after());
  }
  std::vector<std::string> names;
  for (const slurm::SlotEvent& submission : chain.submissions) {
    if (over.count(submission.job()) == 0) names.push_back(submission.job());
  }
  // A job that was submitted by hand.
  if (!chain.slots.empty()) {
    const std::string& last = chain.slots.back().started.job();
    if (std::find(names.begin(), names.end(), last) == names.end()) names.push_back(last);
  }
  std::vector<ChainJob> jobs;
  if (chain.ended.has_value()) {
    // Its last job may still be saving.
    if (chain.slots.empty() || chain.slots.back().ended.has_value()) return jobs;
    names = {chain.slots.back().started.job()};
  }
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const JobState state, QueryJob(name));
    if (state.is_known() && !state.is_over()) jobs.push_back({name, state});
  }
  return jobs;
}

}  // namespace cubist
