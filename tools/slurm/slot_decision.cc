#include "tools/slurm/slot_decision.h"

#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "base/status.h"

namespace cubist {
namespace {

using slurm::SlotEvent;

SlotEnding EndingOfCode(int code, const SlotEvidence& evidence) {
  switch (code) {
    case static_cast<int>(ExitCode::kDone):
      return {SlotEvent::DONE, "the run is done"};
    case static_cast<int>(ExitCode::kPreempted):
      if (evidence.state == "NODE_FAIL") return {SlotEvent::FAILURE, "a node failed; saved"};
      if (evidence.warned || evidence.state == "TIMEOUT") return {SlotEvent::TIME_LIMIT, "saved before the time limit"};
      return {SlotEvent::PREEMPTION, "preempted, and saved"};
    case static_cast<int>(ExitCode::kPeerLost):
      // Ranks that SLURM killed are missed by the others.
      if (evidence.state == "TIMEOUT") return {SlotEvent::TIME_LIMIT, "killed at the time limit before all had saved"};
      if (evidence.state == "PREEMPTED") return {SlotEvent::PREEMPTION, "preempted, and killed before all had saved"};
      return {SlotEvent::FAILURE, "a rank was lost (exit code 5)"};
    case static_cast<int>(ExitCode::kConfig):
      return {SlotEvent::STOPPED, "a bad flag or config (exit code 2)"};
    case static_cast<int>(ExitCode::kData):
      return {SlotEvent::STOPPED, "bad data (exit code 3)"};
    case static_cast<int>(ExitCode::kNotFinite):
      return {SlotEvent::STOPPED, "a loss or gradient that is not finite (exit code 4)"};
    case static_cast<int>(ExitCode::kStorage):
      return {SlotEvent::STOPPED, "storage (exit code 6)"};
    case static_cast<int>(ExitCode::kInternal):
      return {SlotEvent::STOPPED, "a bug in Cubist (exit code 70)"};
    default:
      return {SlotEvent::STOPPED, absl::StrCat("exit code ", code)};
  }
}

bool Advanced(const Slot& slot) { return slot.ended.has_value() && slot.ended->step() > slot.started.step(); }

}  // namespace

SlotEnding EndingOf(const SlotEvidence& evidence) {
  if (evidence.cancel_requested) return {SlotEvent::CANCELLED, "cancelled by slurm_launch cancel"};
  const std::string& state = evidence.state;
  // A run that is done is done, whoever cancelled it meanwhile.
  if (state == "CANCELLED" && evidence.exit_code.value_or(-1) != 0)
    return {SlotEvent::CANCELLED, "its job was cancelled"};
  if (evidence.exit_code.has_value()) return EndingOfCode(*evidence.exit_code, evidence);
  if (state == "TIMEOUT") return {SlotEvent::TIME_LIMIT, "killed at the time limit"};
  if (state == "PREEMPTED") return {SlotEvent::PREEMPTION, "preempted, and killed"};
  if (state == "NODE_FAIL") return {SlotEvent::FAILURE, "a node failed"};
  if (state == "BOOT_FAIL") return {SlotEvent::FAILURE, "a node did not boot"};
  if (!state.empty()) return {SlotEvent::STOPPED, absl::StrCat("SLURM says ", state)};
  if (evidence.warned) return {SlotEvent::TIME_LIMIT, "stopped before the time limit, and not saved"};
  if (evidence.asked_to_stop) return {SlotEvent::PREEMPTION, "asked to stop, and killed; SLURM does not say why"};
  if (evidence.srun_code.has_value()) {
    return {SlotEvent::STOPPED, absl::StrCat("srun ended with exit code ", *evidence.srun_code,
                                             " before train came to an end on any node; launch.log says why")};
  }
  return {SlotEvent::FAILURE, "it vanished without a word, as when a node fails; SLURM does not say why"};
}

Verdict Decide(const SlotChain& chain) {
  if (chain.ended.has_value()) return {Verdict::STOP, chain.ended->reason()};
  if (chain.slots.empty() && chain.cancel_requested) return {Verdict::STOP, "cancelled by slurm_launch cancel"};
  constexpr int kUnstarted = 3;
  if (chain.unstarted >= kUnstarted) {
    return {Verdict::STOP,
            absl::StrCat(chain.unstarted,
                         " jobs in a row ended before they came to work; slurm/job-*.log in the run's folder "
                         "may say why")};
  }
  if (chain.slots.empty()) return {};
  const Slot& last = chain.slots.back();
  const std::string which = absl::StrCat("slot ", last.started.slot(), ": ", last.ended->reason());
  if (last.ended->ending() == SlotEvent::DONE) return {Verdict::DONE, last.ended->reason()};
  if (last.ended->ending() == SlotEvent::STOPPED || last.ended->ending() == SlotEvent::CANCELLED) {
    return {Verdict::STOP, which};
  }
  if (chain.cancel_requested) return {Verdict::STOP, "cancelled by slurm_launch cancel"};
  const size_t count = chain.slots.size();
  if (count >= 2 && !Advanced(last) && !Advanced(chain.slots[count - 2])) {
    return {Verdict::STOP,
            absl::StrCat("two slots in a row brought no new checkpoint that verifies, the newest is of step ",
                         last.ended->step(), "; ", which)};
  }
  int preemptions = 0, failures = 0;
  for (const Slot& slot : chain.slots) {
    preemptions += slot.ended.has_value() && slot.ended->ending() == SlotEvent::PREEMPTION ? 1 : 0;
    failures += slot.ended.has_value() && slot.ended->ending() == SlotEvent::FAILURE ? 1 : 0;
  }
  const SlotEvent& limits = chain.launched;
  if (limits.has_max_preemptions() && preemptions > limits.max_preemptions()) {
    return {Verdict::STOP, absl::StrCat(CountOf(static_cast<uint64_t>(preemptions), "slot"),
                                        " preempted, and max_preemptions is ", limits.max_preemptions(), "; ", which)};
  }
  if (limits.has_max_failures() && failures > limits.max_failures()) {
    return {Verdict::STOP,
            absl::StrCat(CountOf(static_cast<uint64_t>(failures), "slot"),
                         " lost a node or a rank, and max_failures is ", limits.max_failures(), "; ", which)};
  }
  if (limits.has_iterations() && count >= static_cast<size_t>(limits.iterations())) {
    return {Verdict::STOP, absl::StrCat("all ", CountOf(count, "slot"), " of -i are used; the run is at step ",
                                        last.ended->step(), " and goes on when it is launched again")};
  }
  return {};
}

}  // namespace cubist
