// What a run says of itself: console, metrics.jsonl, TensorBoard events and pictures, and Weights & Biases.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/logging/console.h"
#include "tools/training/logging/event_writer.h"
#include "tools/training/logging/metrics_writer.h"
#include "tools/training/logging/wandb_logger.h"

namespace cubist {

// Only the first rank of a run makes one. Nothing here fails a step.
class RunLogger {
 public:
  // `resumed_step`: rows and events beyond it are dropped; none for a new run. `wandb` may be null.
  RunLogger(FileOps& ops, const RunFolder& folder, std::optional<int64_t> resumed_step,
            std::unique_ptr<WandbLogger> wandb);
  ~RunLogger();

  // How far the run is: rewrites the live line of a terminal, nothing elsewhere.
  void Progress(const StepStatus& status);
  // The line of a log interval, which comes late: only where there is no live line to fall back behind.
  void IntervalLine(const StepStatus& status);
  void Message(const std::string& line);

  void Row(int64_t step, Split split, const Metrics& metrics);
  // Writes pictures/step-NNNNNNNNN-<name>.png and a TensorBoard image under `tag`.
  void Picture(int64_t step, const std::string& name, const std::string& tag, const HostTensor& image);

  // A checkpoint was saved.
  void Saved(const SavedCheckpoint& checkpoint);

  // The run goes on from this step: rows and events beyond it are dropped. At Weights & Biases they stay.
  void Rewind(int64_t step);

  // Everything said so far is on stable storage.
  void Sync();
  // To be called once, last. `result`: of the run. Where it has to upload for long, `stop_requested` cuts that short.
  void Finish(const absl::Status& result, const std::function<bool()>& stop_requested);

 private:
  void SayNews();
  void Open(std::optional<int64_t> resumed_step);

  FileOps& ops_;
  RunFolder folder_;
  Console console_;
  TelemetryErrors errors_;
  std::optional<MetricsWriter> metrics_;
  std::optional<EventWriter> events_;
  const std::unique_ptr<WandbLogger> wandb_;  // may be null
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_
