// Whether another slot follows: a function of the ledger alone.
#ifndef CUBIST_TOOLS_SLURM_SLOT_DECISION_H_
#define CUBIST_TOOLS_SLURM_SLOT_DECISION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slots.pb.h"

namespace cubist {

// What is known of a slot that is over.
struct SlotEvidence {
  std::optional<int> exit_code;  // of all nodes together (base/status.h); not set: some left none
  std::optional<int> srun_code;  // of srun, where no node left one
  std::string state;             // of its job, as SLURM calls it: "TIMEOUT"; empty: not known
  bool warned = false;           // SLURM's warning before the time limit came (USR1)
  bool asked_to_stop = false;    // SIGTERM came
  bool cancel_requested = false;
};

struct SlotEnding {
  slurm::SlotEvent::Ending ending;
  std::string reason;  // in words
};

// How it ended. A cancelled job or run is CANCELLED whatever its code; then an exit code decides; without one SLURM's
// state: TIMEOUT is TIME_LIMIT, PREEMPTED is PREEMPTION, NODE_FAIL and BOOT_FAIL are FAILURE, any other final one is
// STOPPED. With neither: TIME_LIMIT if it was warned and PREEMPTION if it was asked to stop, before train could save;
// STOPPED if srun failed by itself; and else FAILURE: it vanished.
SlotEnding EndingOf(const SlotEvidence& evidence);

struct Verdict {
  enum Kind { GO_ON, DONE, STOP };
  Kind kind = GO_ON;
  std::string reason;  // of STOP and DONE
};

// Whether the chain goes on after its last slot, whose end is known; GO_ON for one without slots. It stops after an end
// that another slot would meet again, after two slots in a row whose newest verified checkpoint did not advance, after
// more preemptions or failures than are allowed, after three jobs that ended before they came to work, and when all
// slots are used.
Verdict Decide(const SlotChain& chain);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SLOT_DECISION_H_
