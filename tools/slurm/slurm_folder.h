// Where slurm_launch's files of a run lie.
//   slurm/launch.textproto   the options of the launch
//   slurm/config.textproto   the config that all slots train by
//   slurm/slot.sh            the batch script
//   slurm/slots.jsonl        the ledger (slots.proto)
//   slurm/lock               held by the slot that runs (run_lock.h)
//   slurm/job-<id>.log       what the batch script of a job said
//   logs/slot-0001/          launch.log (srun and train on each node), rank-<N>.log, node-<N>.exit
//   logs/latest              link to the last of these
#ifndef CUBIST_TOOLS_SLURM_SLURM_FOLDER_H_
#define CUBIST_TOOLS_SLURM_SLURM_FOLDER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace cubist {

class SlurmFolder {
 public:
  explicit SlurmFolder(std::string run_folder) : run_(std::move(run_folder)) {}

  const std::string& run() const { return run_; }
  std::string path() const { return run_ + "/slurm"; }
  std::string launch_path() const { return path() + "/launch.textproto"; }
  std::string config_path() const { return path() + "/config.textproto"; }
  std::string script_path() const { return path() + "/slot.sh"; }
  std::string ledger_path() const { return path() + "/slots.jsonl"; }
  std::string lock_path() const { return path() + "/lock"; }
  // Of a slot, counted from 1.
  std::string logs_path(int slot) const;
  std::string latest_logs_path() const { return run_ + "/logs/latest"; }
  std::string checkpoints_path() const { return run_ + "/checkpoints"; }

 private:
  std::string run_;
};

// The step of the newest checkpoint that is whole as far as its manifest and the sizes of its files tell, which is
// quick; 0 if there is none. StorageError if the folder cannot be listed.
absl::StatusOr<int64_t> NewestStep(const SlurmFolder& folder);

// The step of the newest checkpoint that verifies, all of which is read; 0 if there is none. `known_good` is a step
// whose checkpoint was verified before. Checkpoints that do not verify are told on standard error. StorageError if the
// folder cannot be listed.
absl::StatusOr<int64_t> NewestVerifiedStep(const SlurmFolder& folder, int64_t known_good);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SLURM_FOLDER_H_
