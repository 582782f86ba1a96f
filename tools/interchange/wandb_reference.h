// Checkpoints by the W&B name of their run, and which of them are on this machine.
#ifndef CUBIST_TOOLS_INTERCHANGE_WANDB_REFERENCE_H_
#define CUBIST_TOOLS_INTERCHANGE_WANDB_REFERENCE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// A run as a reference names it. Is `name` an id or the name that the run is shown by? A run's id is told by nothing
// but a run that has it.
struct NamedRun {
  std::string entity;  // empty: not said
  std::string project;
  std::string name;  // may have slashes
};

// wdb:[ENTITY/]PROJECT/RUN[:WHICH]
struct WandbReference {
  std::string text;  // all of it
  // Which runs it may mean, the first one that is there: with an entity in front, and without, where the name of the
  // run then has slashes itself.
  std::vector<NamedRun> readings;
  std::string which;  // as ParseWhich gives it; "last" if it is left out
};

// Whether it begins with "wdb:".
bool IsWandbReference(std::string_view reference);
// ConfigError if it is none.
absl::StatusOr<WandbReference> ParseWandbReference(std::string_view reference);

struct LocalSearch {
  std::string path;  // of the checkpoint; empty: it is not here
  // Then:
  std::string missing;          // what was looked for and where
  std::vector<NamedRun> runs;   // that may still be meant: one by its id, if the run is here and this checkpoint is not
  std::string reference_files;  // the folder of that run's .ckpt files, if it is one of the reference's
};

// Looks, from where the user stands, for each reading first among runs of ours: in runs/* by what their wandb_run.json
// says, id or name; then runs/NAME, unless it says to be another run; then for one of the reference's:
// wandb/PROJECT/NAME/checkpoints/*.ckpt.
// Errors: ConfigError where several runs here have the name; what a wandb_run.json or checkpoint is wrong with;
// StorageError where the runs cannot be listed.
absl::StatusOr<LocalSearch> FindOnThisMachine(const WandbReference& reference);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_WANDB_REFERENCE_H_
