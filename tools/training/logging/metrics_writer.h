// metrics.jsonl: one JSON object a line,
//   {"step":120,"split":"train","time":1767225600.125,"train_loss/sum":12.34}
// `step` counts optimizer steps, `split` is "train" or "validation", `time` is in seconds since
// 1970-01-01 UTC, and every other member is a metric. Numbers are written so that they read back as
// the same double. JSON has no NaN and no infinity: such a metric is null, and the member `non_finite` lists
// the names of those metrics; rows of finite numbers have no such member.
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_METRICS_WRITER_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_METRICS_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/training/logging/telemetry_errors.h"

namespace cubist {

enum class Split { kTrain, kValidation };

// In the order in which they are written.
using Metrics = std::vector<std::pair<std::string, double>>;

// One row with its newline. The names "step", "split", "time" and "non_finite" are the format's own.
std::string FormatMetricsRow(int64_t step, Split split, double time, const Metrics& metrics);

// Takes away the rows beyond `step`, and lines that are no row (torn by a crash), so that the
// file of a run that went on from a checkpoint of `step` has the rows of one that was never interrupted. For this
// rows up to a step must have been written before its checkpoint is saved (MetricsWriter::Sync).
// Replaces the file as a whole; a missing file is OK. Returns how many lines were taken away.
absl::StatusOr<int64_t> TruncateMetricsAfter(FileOps& ops, const std::string& path, int64_t step);

class MetricsWriter {
 public:
  // Appends to `path`. A file that cannot be opened counts as an error; later rows try again.
  MetricsWriter(FileOps& ops, std::string path, TelemetryErrors& errors);
  ~MetricsWriter();

  // Appends one row in one write.
  void Write(int64_t step, Split split, double time, const Metrics& metrics);
  // Makes the rows so far durable; to be called before a checkpoint is saved.
  void Sync();

 private:
  bool Open();
  FileOps& ops_;
  const std::string path_;
  TelemetryErrors& errors_;
  std::unique_ptr<WritableFile> file_;
  // The file may end in a part of a line: the next row starts on a line of its own.
  bool torn_ = false;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_METRICS_WRITER_H_
