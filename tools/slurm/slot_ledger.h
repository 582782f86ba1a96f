// The ledger of a run's slots, and what follows from it. slots.proto has its events.
#ifndef CUBIST_TOOLS_SLURM_SLOT_LEDGER_H_
#define CUBIST_TOOLS_SLURM_SLOT_LEDGER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/slurm/slots.pb.h"

namespace cubist {

// One line of JSON, with its newline.
std::string FormatSlotEvent(const slurm::SlotEvent& event);

// Appends an event, with the time of now unless it has one, and syncs: it is durable when this returns. A line that a
// crash left unfinished is ended first. StorageErrors name the file.
absl::Status AppendSlotEvent(FileOps& ops, const std::string& path, slurm::SlotEvent event);

// All events in their order; none if there is no file. Lines that are no event (torn by a crash, of a later version)
// are passed over, which is said on standard error. DataError if the file cannot be read.
absl::StatusOr<std::vector<slurm::SlotEvent>> ReadSlotEvents(const std::string& path);

// One time a job starts work for the run.
struct Slot {
  slurm::SlotEvent started;
  std::vector<std::string> signals;  // that asked it to stop, in order
  std::optional<slurm::SlotEvent> ended;
};

// The slots of one launch.
struct SlotChain {
  slurm::SlotEvent launched;
  std::vector<Slot> slots;
  std::vector<slurm::SlotEvent> submissions;
  int unstarted = 0;     // jobs that were submitted to follow since a slot last started
  std::string requeued;  // job that is back in the queue and has not started again
  bool cancel_requested = false;
  std::optional<slurm::SlotEvent> ended;
};

// The chains of a run, oldest first. Events before the first launch belong to a chain without limits: somebody has
// submitted the script by hand.
// An event of a slot belongs to the chain that the slot started in, also after a later launch.
std::vector<SlotChain> ChainsOf(const std::vector<slurm::SlotEvent>& events);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SLOT_LEDGER_H_
