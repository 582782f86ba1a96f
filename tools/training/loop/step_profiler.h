// A Chrome trace of some steps of a run: operators, and the ranges that the loop names with RECORD_USER_SCOPE
// (ATen/record_function.h), on the thread that trains, and the device's kernels.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_STEP_PROFILER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_STEP_PROFILER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "tools/training/loop/step_range.h"

namespace cubist {

// Used by the thread that trains. The statuses are for a warning: none of them is a reason to end a run. After an
// error nothing more is recorded.
class StepProfiler {
 public:
  // Writes <folder>/steps-10-15.rank-0.trace.json, for chrome://tracing or ui.perfetto.dev, and makes the folder.
  // `device`: "cpu" or "cuda".
  StepProfiler(FileOps& ops, StepRange range, std::string folder, int rank, const std::string& device);
  // Gives up what is being recorded.
  ~StepProfiler();
  StepProfiler(const StepProfiler&) = delete;
  StepProfiler& operator=(const StepProfiler&) = delete;

  // Around each step, counted from 1. A step of the range is a range "ProfilerStep#10" in the trace: the name by which
  // trace analysers know one. The last one's end writes the file. A step that is given up is begun and not ended;
  // the next one may begin. Errors: InternalError of LibTorch, StorageError of the file.
  absl::Status BeginStep(int64_t step);
  absl::Status EndStep(int64_t step);

  // After the last step of the run: writes what was recorded if the run ended within the range. ConfigError when
  // nothing was recorded because the run had no step of the range.
  absl::Status Finish();

  const std::string& path() const { return path_; }
  // Whether the file is written.
  bool done() const { return state_ == State::kWritten; }

 private:
  enum class State { kWaiting, kRecording, kWritten, kFailed };
  struct OpenStep;

  absl::Status Start();
  absl::Status Write();
  absl::Status Attempt(absl::Status (StepProfiler::*action)());

  FileOps& ops_;
  const StepRange range_;
  const std::string folder_, path_;
  const bool on_cuda_;
  State state_ = State::kWaiting;
  std::unique_ptr<OpenStep> step_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_STEP_PROFILER_H_
