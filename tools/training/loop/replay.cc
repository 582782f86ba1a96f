#include "tools/training/loop/replay.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/logging/console.h"
#include "tools/training/logging/ledger.h"
#include "tools/training/loop/run_parts.h"
#include "tools/training/loop/training_step.h"

namespace cubist {
namespace {

constexpr size_t kMaxParameters = 20;

absl::StatusOr<NotFiniteEvent> FindEvent(const std::string& ledger, int64_t step) {
  ASSIGN_OR_RETURN(const std::vector<NotFiniteEvent> events, ReadNotFiniteEvents(ledger));
  std::string known;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->step == step) return *event;
    known = absl::StrCat(event->step, known.empty() ? "" : ", ", known);
  }
  return ConfigError(absl::StrCat("--replay_step ", step, ": ", ledger, " has ",
                                  known.empty() ? "no step that was not finite"
                                                : absl::StrCat("no such step; those that were not finite: ", known)));
}

// Prints what the bad step is made of. `other`: another observer, which goes first; may be null.
class Reporter : public RunObserver {
 public:
  Reporter(int64_t step, const FlatOptimizer& optimizer, RunObserver* other)
      : step_(step), optimizer_(optimizer), other_(other) {}

  void MicroBatchDone(int64_t step, const MicroBatch& micro_batch, const Evaluation& evaluation) override {
    if (other_ != nullptr) other_->MicroBatchDone(step, micro_batch, evaluation);
    if (step != step_) return;
    std::printf("micro-batch %d: loss %s\n", ++micro_batches_,
                FormatNumber(evaluation.loss.item<double>() / static_cast<double>(micro_batch.batch->size)).c_str());
    for (const SceneDraw& draw : micro_batch.draws) {
      std::printf("  draw %llu: clip %s from frame %lld\n", static_cast<unsigned long long>(draw.draw),
                  draw.clip.c_str(), static_cast<long long>(draw.start_frame));
    }
    const MetricTable metrics = evaluation.metrics();
    const HostTensor sums = ToHost(metrics.Sums());
    const auto table = sums.view<double, 2>();
    const std::vector<std::string>& names = metrics.names();
    for (size_t i = 0; i < names.size(); ++i) {
      const double value = table(0, i) / table(1, i);
      if (table(1, i) > 0 && !std::isfinite(value)) {
        std::printf("  %s is %s\n", names[i].c_str(), FormatNumber(value).c_str());
      }
    }
  }

  void GradientReady(int64_t step, int64_t first_draw, const at::Tensor& gradient) override {
    if (other_ != nullptr) other_->GradientReady(step, first_draw, gradient);
    if (step != step_) return;
    std::vector<std::string> lines;
    const std::vector<NamedTensor> slices = optimizer_.GradientSlices();
    for (const NamedTensor& slice : slices) {
      const int64_t bad = slice.tensor.numel() - at::isfinite(slice.tensor).sum().item<int64_t>();
      if (bad > 0)
        lines.push_back(absl::StrCat("  ", slice.name, ": ", bad, " of ", slice.tensor.numel(), " elements"));
    }
    std::printf("gradient: %zu of %zu parameters have elements that are not finite\n", lines.size(), slices.size());
    for (size_t i = 0; i < lines.size() && i < kMaxParameters; ++i) std::printf("%s\n", lines[i].c_str());
    if (lines.size() > kMaxParameters) std::printf("  ... and %zu more\n", lines.size() - kMaxParameters);
  }

 private:
  const int64_t step_;
  const FlatOptimizer& optimizer_;
  RunObserver* const other_;
  int micro_batches_ = 0;
};

// The batch that all ranks of the run took together, on one rank.
absl::StatusOr<BatchShape> ShapeOfAllRanks(const Batch& batch, int64_t samples) {
  BatchShape shape;
  shape.per_gpu = batch.per_gpu();
  if (samples < 1 || samples % shape.per_gpu != 0) {
    return ConfigError(absl::StrCat("the step took ", samples, " samples, which is no multiple of batch.per_gpu ",
                                    shape.per_gpu, ": replay it with the config of the run"));
  }
  shape.accumulate = samples / shape.per_gpu;
  return shape;
}

std::string Described(double loss, double gradient_norm) {
  return absl::StrCat("loss ", FormatNumber(loss), ", gradient norm ", FormatNumber(gradient_norm));
}

}  // namespace

absl::Status ReplayStep(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator) {
  const RunFolder folder(options.run_directory);
  ASSIGN_OR_RETURN(const NotFiniteEvent event, FindEvent(folder.ledger_path(), options.replay_step));
  ASSIGN_OR_RETURN(const BatchShape shape, ShapeOfAllRanks(experiment.proto().batch(), event.samples));
  ASSIGN_OR_RETURN(const RunParts parts, MakeRunParts(experiment, options.device, options.local_world_size, shape));

  CheckpointStore store(SystemFileOps(), folder.checkpoints_path());
  StartOptions start_options = options.start;
  start_options.replay_from_step = event.replay_from_step;
  const absl::StatusOr<RunStart> start = StartRun(experiment, start_options, store, parts);
  if (!start.ok()) {
    return Annotate(start.status(), absl::StrCat("step ", event.step, " is replayed from step ", event.replay_from_step,
                                                 " on (not_finite.keep_for_replay keeps its checkpoint)"));
  }
  if (start->state.step() != event.replay_from_step) {
    return ConfigError(absl::StrCat("step ", event.step, " is replayed from step ", event.replay_from_step,
                                    ", and --init_from or --resume_from lead to step ", start->state.step(),
                                    ": give the ones that the run was started with"));
  }
  std::printf("step %lld of %s: draws %lld to %lld, %s at the time (%s); taken again from step %lld on\n",
              static_cast<long long>(event.step), options.run_directory.c_str(),
              static_cast<long long>(event.first_draw), static_cast<long long>(event.first_draw + event.samples - 1),
              Described(event.loss, event.gradient_norm).c_str(), event.action.c_str(),
              static_cast<long long>(event.replay_from_step));

  Reporter reporter(event.step, *parts.optimizer, options.observer);
  TrainingStep training_step(*parts.task, shape, *parts.optimizer, communicator, &reporter);
  const std::unique_ptr<BatchSource> batches = parts.data->Training(static_cast<uint64_t>(event.replay_from_draw));
  ProgressBar bar("steps before it", event.step - 1 - event.replay_from_step, StandardErrorIsTerminal());
  StepResult result;
  int64_t draw = event.replay_from_draw;
  for (int64_t step = event.replay_from_step; step < event.step; ++step, draw += event.samples) {
    if (step + 1 == event.step) bar.Finish();
    ASSIGN_OR_RETURN(result, training_step.Take(*batches, step, draw, /*wish_to_save=*/false, options.stop_requested));
    if (result.stop) return PreemptedError("asked to stop before the step was reached; nothing was changed");
    bar.Update(step + 1 - event.replay_from_step);
  }
  for (const BadSample& sample : result.bad) {
    std::printf("left out: %s\n", std::string(sample.reason.message()).c_str());
  }
  const HostTensor outcome = ToHost(result.outcome);
  const auto value = outcome.view<double, 1>();
  const std::string now = Described(value(0), value(1));
  std::fflush(stdout);
  if (value(2) != 0) {
    return NotFiniteError(absl::StrCat("the step comes out finite here: ", now, ". It was ",
                                       Described(event.loss, event.gradient_norm),
                                       ": data, config, number of ranks or kind of machine have changed"));
  }
  std::printf("reproduced: %s\n", now.c_str());
  return absl::OkStatus();
}

}  // namespace cubist
