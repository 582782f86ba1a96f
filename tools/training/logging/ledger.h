// ledger.jsonl: what a run did not use, one JSON object a line, and nothing is ever taken away from it.
//
//   {"kind":"bad_sample","time":...,"split":"train","step":12,"draw":45,"clip":"...","start_frame":30,
//    "attribute":"pose","path":"data/pose/....tar","member":"....npy","begin":1536,"end":1792,"reason":"..."}
//   {"kind":"step_not_finite","time":...,"step":12,"first_draw":44,"samples":4,"loss":"inf","gradient_norm":"nan",
//    "action":"skipped","replay_from_step":8,"replay_from_draw":32}
//
// A run that goes on from a checkpoint meets the events since then again: one that stands in the file is not written
// twice. JSON has no NaN and no infinity: such a number is the text "nan", "inf" or "-inf".
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_LEDGER_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_LEDGER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/data_place.h"
#include "base/file_ops.h"

namespace cubist {

struct BadSampleEvent {
  std::string split;  // "train" or "validation"
  int64_t step = 0;   // the step it was drawn for; of a validation: steps done
  int64_t draw = 0;
  int64_t start_frame = 0;
  DataPlace place;
  std::string reason;
};

struct NotFiniteEvent {
  int64_t step = 0;  // of the run, counted from 1
  int64_t first_draw = 0;
  int64_t samples = 0;
  double loss = 0, gradient_norm = 0;
  std::string action;  // "failed", "skipped", "rolled back to step 8"
  // Where the run stood before: taking the steps from there on once more comes to the same one.
  int64_t replay_from_step = 0, replay_from_draw = 0;
};

// One line, with its newline. Strings that are no UTF-8 have their odd bytes replaced.
std::string FormatEvent(const BadSampleEvent& event, double time);
std::string FormatEvent(const NotFiniteEvent& event, double time);

// The "reason" of a line of FormatEvent(); empty if it has none.
std::string ReasonIn(const std::string& line);

// The events "step_not_finite" of a ledger, in their order; none if there is no file. Lines that are no event (torn by
// a crash) are passed over. DataError if the file cannot be read.
absl::StatusOr<std::vector<NotFiniteEvent>> ReadNotFiniteEvents(const std::string& path);

class Ledger {
 public:
  // Reads what stands in `path` already; the file is made with the first event. StorageError if it cannot be read.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(FileOps& ops, std::string path);

  // Appends each line of FormatEvent() whose event is not in the file yet, and syncs: an event is durable when
  // this returns. StorageErrors name the file.
  absl::Status Append(const std::vector<std::string>& lines);

 private:
  Ledger(FileOps& ops, std::string path) : ops_(ops), path_(std::move(path)) {}

  FileOps& ops_;
  const std::string path_;
  std::set<std::string> known_;  // the events in the file, without their time
  bool torn_ = false;            // the file ends within a line
  std::unique_ptr<WritableFile> file_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_LEDGER_H_
