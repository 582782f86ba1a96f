// What a run says of itself: console, metrics.jsonl, TensorBoard events and pictures.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/logging/console.h"
#include "tools/training/logging/event_writer.h"
#include "tools/training/logging/metrics_writer.h"

namespace cubist {

// Only the first rank of a run makes one. Nothing here fails a step.
class RunLogger {
 public:
  // `resumed_step`: rows and events beyond it are dropped; none for a new run.
  RunLogger(FileOps& ops, const RunFolder& folder, std::optional<int64_t> resumed_step);
  ~RunLogger();

  // How far the run is: rewrites the live line of a terminal, nothing elsewhere.
  void Progress(const StepStatus& status) { console_.Step(status, /*plain=*/false); }
  // The line of a log interval, which comes late: only where there is no live line to fall back behind.
  void IntervalLine(const StepStatus& status) {
    if (!console_.live()) console_.Step(status, /*plain=*/true);
  }
  void Message(const std::string& line) { console_.Message(line); }

  void Row(int64_t step, Split split, const Metrics& metrics);
  // Writes pictures/step-NNNNNNNNN-<name>.png and a TensorBoard image under `tag`.
  void Picture(int64_t step, const std::string& name, const std::string& tag, const HostTensor& image);

  // The run goes on from this step: rows and events beyond it are dropped.
  void Rewind(int64_t step);

  // Everything said so far is on stable storage.
  void Sync();
  void Finish();

 private:
  void Open(std::optional<int64_t> resumed_step);

  FileOps& ops_;
  RunFolder folder_;
  Console console_;
  TelemetryErrors errors_;
  std::optional<MetricsWriter> metrics_;
  std::optional<EventWriter> events_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_LOGGER_H_
