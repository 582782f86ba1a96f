// Which of a run's checkpoints a word names: "last", "best", a number.
#ifndef CUBIST_TOOLS_INTERCHANGE_RUN_CHECKPOINTS_H_
#define CUBIST_TOOLS_INTERCHANGE_RUN_CHECKPOINTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// The metric whose lowest value makes a checkpoint the best.
inline constexpr char kBestMetric[] = "val_loss";

// The word, in the form that the functions below take: "last", "last_auto", "best" or a number. "epoch", the
// reference's other word for it, becomes "best". ConfigError, told of `reference`, for any other.
absl::StatusOr<std::string> ParseWhich(std::string_view which, std::string_view reference);

struct ChosenCheckpoint {
  std::string path;     // of a folder or file; empty: it is not there
  std::string missing;  // then: what is not there, and what is
};

// Among files of the reference, from the oldest to the newest: "last" is last.ckpt, "last_auto" the newest, a number
// the one of this epoch ("epoch=000007-step=6250.ckpt"). Which is the best their names do not tell: it is not there.
// `place` is where they are, for messages. ConfigError where several are of one epoch.
absl::StatusOr<ChosenCheckpoint> ChooseLightningFile(const std::vector<std::string>& paths, const std::string& which,
                                                     const std::string& place);

// The same of a folder. StorageError if it cannot be listed.
absl::StatusOr<ChosenCheckpoint> ChooseInLightningFolder(const std::string& folder, const std::string& which);

// In the run's folder `folder`. Ours: "last" and "last_auto" are the newest, "best" the one with the lowest val_loss, a
// number its step. Where it has files of the reference: as above. Errors: as above; of the checkpoint that says which
// is the best.
absl::StatusOr<ChosenCheckpoint> ChooseInRun(const std::string& folder, const std::string& which);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_RUN_CHECKPOINTS_H_
