#include "tools/training/loop/run_parts.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/cuda/launch.h"
#include "tools/training/communicator/rank_agreement.h"
#include "tools/training/optimizer/learning_rate.h"

namespace cubist {
namespace {

absl::StatusOr<at::ScalarType> ParameterType(Precision precision, const at::Device& device) {
  if (device.is_cpu() && precision != FP32 && precision != FP64) {
    return ConfigError(absl::StrCat("training.precision is ", Precision_Name(precision),
                                    ", which needs a GPU; on a CPU train with --set training.precision=FP32"));
  }
  if (!device.is_cpu() && precision == FP64) {
    return ConfigError("training.precision FP64 is for tests on a CPU; choose BF16, TF32 or FP32");
  }
  return precision == FP64 ? at::kDouble : at::kFloat;
}

FlatOptimizerOptions OptimizerOptions(const Experiment& experiment) {
  FlatOptimizerOptions options;
  options.adamw.beta1 = experiment.optimizer().beta1();
  options.adamw.beta2 = experiment.optimizer().beta2();
  options.adamw.epsilon = experiment.optimizer().epsilon();
  options.adamw.weight_decay = experiment.optimizer().weight_decay();
  options.adamw.amsgrad = experiment.optimizer().amsgrad();
  options.schedule = ScheduleOf(experiment.learning_rate());
  options.ema_decay = experiment.ema().decay();
  options.clip_value = experiment.gradient().clip_value();
  options.clip_each_micro_batch = experiment.gradient().clip_each_micro_batch();
  return options;
}

// What LibTorch's own operations may do. Our kernels are deterministic as they are.
absl::Status SetUpLibTorch(const Training& training, const at::Device& device) {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(training.deterministic(), /*warn_only=*/false);
  // Else LibTorch writes NaN to every new tensor, to show what is never written.
  context.setDeterministicFillUninitializedMemory(false);
  if (device.is_cpu()) return absl::OkStatus();
  if (!at::hasCUDA()) {
    return ConfigError("--device cuda: CUDA finds no GPU that it can use here");
  }
  if (const int capability = ComputeCapability(); capability < 80) {
    return ConfigError(absl::StrCat("--device cuda: this GPU has compute capability ", capability / 10, ".",
                                    capability % 10, "; the kernels need 8.0 or later"));
  }
  // The sum of cuBLAS's partial products is deterministic only with a workspace of its own; it is read once.
  if (training.deterministic()) ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  context.setDeterministicCuDNN(training.deterministic());
  // The shapes of dense convolutions stay the same, so it pays to try all algorithms once.
  context.setBenchmarkCuDNN(!training.deterministic());
  // As the reference has it: TF32 in convolutions alone.
  context.setAllowTF32CuDNN(training.precision() == TF32);
  context.setAllowTF32CuBLAS(false);
  return absl::OkStatus();
}

// The cores of this machine, shared by its ranks.
void ShareCores(int ranks) {
  const int threads = std::max(1, ParallelThreads() / ranks);
  SetParallelThreads(threads);
  at::set_num_threads(threads);
}

}  // namespace

absl::StatusOr<RunParts> MakeRunParts(const ValidatedExperiment& experiment, const std::string& device_name,
                                      int local_world_size, const BatchShape& shape) {
  const Experiment& config = experiment.proto();
  const at::Device device(device_name);
  ShareCores(local_world_size);
  ASSIGN_OR_RETURN(const at::ScalarType dtype, ParameterType(config.training().precision(), device));
  RETURN_IF_ERROR(SetUpLibTorch(config.training(), device));

  RunParts parts;
  parts.shape = shape;
  ASSIGN_OR_RETURN(parts.task, MakeTask(experiment, dtype, device));
  InitializeParameters(parts.task->module(), static_cast<uint32_t>(config.training().seed()));
  parts.optimizer =
      std::make_unique<FlatOptimizer>(parts.task->module().Parameters(), OptimizerOptions(config), dtype, device);
  ASSIGN_OR_RETURN(parts.data, RunData::Open(config, *parts.task, shape));
  return parts;
}

absl::Status AgreeOnRun(Communicator& communicator, const ValidatedExperiment& experiment, const RunParts& parts,
                        const std::string& program_version) {
  return AgreeOnFields(communicator, {{"config hash", experiment.Hash()},
                                      {"data manifest", parts.data->clips().manifest_hash()},
                                      {"program version", program_version}});
}

}  // namespace cubist
