#include "tools/training/loop/run.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "configs/resume_comparison.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/tasks/task.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/run_logger.h"
#include "tools/training/loop/trainer.h"
#include "tools/training/loop/weights_source.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {
namespace {

// Keys of TrainingState's maps.
constexpr char kGlobalBatch[] = "global_batch";
constexpr char kPerGpu[] = "per_gpu";
constexpr char kDataManifest[] = "data_manifest";

// Where the reference keeps a model inside another one's checkpoint.
const std::vector<std::string>& KnownPrefixes() {
  static const auto* prefixes = new std::vector<std::string>{"vae."};
  return *prefixes;
}

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
  options.schedule.initial = experiment.learning_rate().initial();
  options.schedule.decay_factor = experiment.learning_rate().decay_factor();
  options.schedule.decay_samples = static_cast<double>(experiment.learning_rate().decay_samples());
  options.schedule.samples_per_step = experiment.learning_rate().samples_per_step();
  options.schedule.minimum = experiment.learning_rate().minimum();
  options.ema_decay = experiment.ema().decay();
  options.clip_value = experiment.gradient().clip_value();
  options.clip_each_micro_batch = experiment.gradient().clip_each_micro_batch();
  return options;
}

absl::Status CopyInto(const HostTensor& source, const std::string& from, const NamedTensor& target) {
  if (source.shape() != target.tensor.sizes().vec()) {
    return DataError(absl::StrCat(from, ": tensor ", target.name, " is ", source.Describe(), ", the model's is ",
                                  ToHost(target.tensor).Describe()));
  }
  const at::NoGradGuard no_gradients;
  target.tensor.copy_(FromHost(source, at::kCPU));
  return absl::OkStatus();
}

// Every tensor of the optimizer from the checkpoint, and none left over.
absl::Status Restore(const Checkpoint& checkpoint, const FlatOptimizer& optimizer) {
  for (const std::string& group : optimizer.Groups()) {
    const std::vector<NamedTensor> tensors = optimizer.Group(group);
    if (checkpoint.Tensors(group).size() != tensors.size()) {
      return StorageError(absl::StrCat(checkpoint.folder(), ": group ", group, " has ",
                                       checkpoint.Tensors(group).size(), " tensors, this model has ", tensors.size()));
    }
    for (const NamedTensor& tensor : tensors) {
      ASSIGN_OR_RETURN(const HostTensor value, checkpoint.Read(group, tensor.name));
      RETURN_IF_ERROR(CopyInto(value, checkpoint.folder(), tensor));
    }
  }
  return absl::OkStatus();
}

absl::Status LoadWeights(const std::string& reference, const FlatOptimizer& optimizer,
                         const std::function<void(const std::string&)>& say) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WeightsSource> source, WeightsSource::Open(reference));
  const std::vector<NamedTensor> model = optimizer.Group("model");
  std::vector<WantedTensor> wanted;
  for (const NamedTensor& tensor : model) wanted.push_back({tensor.name, tensor.tensor.sizes().vec()});
  ASSIGN_OR_RETURN(const auto match, MatchWeights(*source, wanted, KnownPrefixes()));
  for (const NamedTensor& tensor : model) {
    ASSIGN_OR_RETURN(const HostTensor value, source->Read(match.at(tensor.name)));
    RETURN_IF_ERROR(CopyInto(value, source->description(), tensor));
  }
  // The moving averages start where the weights do.
  const std::vector<NamedTensor> ema = optimizer.Group("ema");
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < ema.size(); ++i) ema[i].tensor.copy_(model[i].tensor);
  say(absl::StrCat("weights: all ", model.size(), " tensors from ", source->description()));
  return absl::OkStatus();
}

// Says what changed since the checkpoint was written, or refuses to go on.
absl::Status CheckConfigAgainst(const Checkpoint& checkpoint, const ValidatedExperiment& experiment,
                                const std::function<void(const std::string&)>& say) {
  const std::string name = checkpoint.folder() + "/config.textproto";
  ASSIGN_OR_RETURN(const ValidatedExperiment stored, LoadExperimentText(checkpoint.config_text(), name));
  const std::vector<FieldDifference> differences = CompareForResume(stored.proto(), experiment.proto());
  const std::string fatal = DescribeDifferences(differences, FATAL);
  if (!fatal.empty()) {
    return ConfigError(absl::StrCat("this run cannot go on with another config:\n", fatal,
                                    "\nSet the fields back, or start a new run with --fresh or --wname"));
  }
  const std::string warned = DescribeDifferences(differences, WARN);
  if (!warned.empty()) say(absl::StrCat("warning: the config changed since the run was started:\n", warned));
  return absl::OkStatus();
}

// This rank's state, from the run's own latest checkpoint, from elsewhere, or new.
class Starter {
 public:
  Starter(const ValidatedExperiment& experiment, const RunOptions& options, CheckpointStore& store,
          const FlatOptimizer& optimizer, const BatchShape& shape, const RunData& data)
      : experiment_(experiment),
        options_(options),
        store_(store),
        optimizer_(optimizer),
        shape_(shape),
        data_manifest_(data.clips().manifest_hash()),
        is_first_rank_(shape.rank == 0) {}

  absl::StatusOr<checkpoint::TrainingState> Start() {
    ASSIGN_OR_RETURN(std::optional<LoadReport> report, store_.LoadLatest(options_.allow_fallback));
    if (report.has_value()) {
      // The same command goes on after a stop: where the run began does not matter any more.
      if (!options_.init_from.empty() || !options_.resume_from.empty()) {
        Say(
            absl::StrCat("--init_from and --resume_from were for the start of this run, which has checkpoints by now; "
                         "--fresh or --wname start another one"));
      }
      resumed_own_ = true;
      if (is_first_rank_) RETURN_IF_ERROR(store_.ResumeFrom(report->checkpoint));
      return Resume(report->checkpoint);
    }
    if (!options_.init_from.empty()) {
      RETURN_IF_ERROR(LoadWeights(options_.init_from, optimizer_, [this](const std::string& line) { Say(line); }));
    } else if (!options_.resume_from.empty()) {
      return ResumeElsewhere();
    }
    checkpoint::TrainingState state;
    state.set_step(0);
    state.set_samples_consumed(0);
    state.set_seed(static_cast<uint64_t>(experiment_.proto().training().seed()));
    (*state.mutable_counters())[kGlobalBatch] = shape_.global();
    (*state.mutable_counters())[kPerGpu] = shape_.per_gpu;
    (*state.mutable_texts())[kDataManifest] = data_manifest_;
    return state;
  }

  // Whether the run's own folder holds a checkpoint of the step that Start() returned.
  bool resumed_own() const { return resumed_own_; }
  // For the logger, which is made when it is known where the run starts.
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void Say(const std::string& line) { lines_.push_back(line); }

  absl::StatusOr<checkpoint::TrainingState> Resume(const Checkpoint& checkpoint) {
    RETURN_IF_ERROR(CheckConfigAgainst(checkpoint, experiment_, [this](const std::string& line) { Say(line); }));
    checkpoint::TrainingState state = checkpoint.state();
    RETURN_IF_ERROR(CheckBatch(state));
    if (std::string& stored = (*state.mutable_texts())[kDataManifest]; stored != data_manifest_) {
      Say("warning: the clips of this run have changed since it was saved (their names, their tars' sizes, or which of "
          "them train): from here on it draws other samples than it would have");
      stored = data_manifest_;
    }
    RETURN_IF_ERROR(Restore(checkpoint, optimizer_));
    Say(absl::StrCat("resuming after step ", checkpoint.step(), " from ", checkpoint.folder()));
    return state;
  }

  // A step must take as many samples as before. How they are shared out may change, unless the reference's
  // order makes it part of the mathematics.
  absl::Status CheckBatch(const checkpoint::TrainingState& state) const {
    const auto stored = [&state](const char* key) {
      const auto found = state.counters().find(key);
      return found == state.counters().end() ? int64_t{-1} : found->second;
    };
    if (const int64_t global = stored(kGlobalBatch); global != shape_.global()) {
      return ConfigError(absl::StrCat(
          "a step of this run takes ", global, " samples over all ranks; with batch.per_gpu ", shape_.per_gpu,
          ", accumulation ", shape_.accumulate, " and ", shape_.world_size, " rank(s) it would take ", shape_.global(),
          ". Change them so that their product is ", global, ", or start a new run with --fresh"));
    }
    const Gradient& gradient = experiment_.proto().gradient();
    const bool split_counts = gradient.clip_each_micro_batch() || gradient.batch_mean_over_voxels();
    const int64_t per_gpu = stored(kPerGpu);
    if (split_counts && per_gpu != shape_.per_gpu) {
      return ConfigError(absl::StrCat("batch.per_gpu was ", per_gpu, " when the run started and is ", shape_.per_gpu,
                                      " now; with gradient.clip_each_micro_batch or gradient.batch_mean_over_voxels "
                                      "(compat: REFERENCE) it has to stay"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<checkpoint::TrainingState> ResumeElsewhere() {
    std::string folder = options_.resume_from;
    if (!IsDirectory(folder)) {
      return ConfigError(absl::StrCat("--resume_from ", folder,
                                      ": no such folder; it takes a run's folder or one of its checkpoints. The "
                                      "weights alone of a .ckpt or .safetensors file are taken by --init_from"));
    }
    const CheckpointStore other(SystemFileOps(), folder + "/checkpoints");
    ASSIGN_OR_RETURN(const std::vector<int64_t> steps, other.List());
    if (!steps.empty()) folder = other.FolderOf(steps.back());
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(folder));
    store_.SetParent(checkpoint.manifest_sha256());
    return Resume(checkpoint);
  }

  const ValidatedExperiment& experiment_;
  const RunOptions& options_;
  CheckpointStore& store_;
  const FlatOptimizer& optimizer_;
  const BatchShape shape_;
  const std::string data_manifest_;
  const bool is_first_rank_;
  std::vector<std::string> lines_;
  bool resumed_own_ = false;
};

// The cores of this machine, shared by its ranks.
void ShareCores(int ranks) {
  const int threads = std::max(1, ParallelThreads() / ranks);
  SetParallelThreads(threads);
  at::set_num_threads(threads);
}

absl::Status Run(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator) {
  const Experiment& config = experiment.proto();
  const at::Device device(options.device);
  ShareCores(options.local_world_size);
  // Our own kernels are deterministic on a CPU as they are.
  at::globalContext().setDeterministicAlgorithms(config.training().deterministic(), /*warn_only=*/false);
  ASSIGN_OR_RETURN(const at::ScalarType dtype, ParameterType(config.training().precision(), device));
  ASSIGN_OR_RETURN(const BatchShape shape,
                   MakeBatchShape(config.batch(), communicator.rank(), communicator.world_size()));

  ASSIGN_OR_RETURN(const std::unique_ptr<Task> task, MakeTask(experiment, dtype, device));
  InitializeParameters(task->module(), static_cast<uint32_t>(config.training().seed()));
  FlatOptimizer optimizer(task->module().Parameters(), OptimizerOptions(config), dtype, device);
  ASSIGN_OR_RETURN(const std::unique_ptr<RunData> data, RunData::Open(config, *task, shape));

  const bool is_first_rank = communicator.rank() == 0;
  FileOps& ops = SystemFileOps();
  const RunFolder folder(options.run_directory);
  CheckpointStore store(ops, folder.checkpoints_path(),
                        {config.checkpoints().keep_last(), config.checkpoints().keep_every()});
  if (is_first_rank) RETURN_IF_ERROR(store.Clean());
  RETURN_IF_ERROR(communicator.Barrier());
  Starter starter(experiment, options, store, optimizer, shape, *data);
  ASSIGN_OR_RETURN(checkpoint::TrainingState state, starter.Start());
  RETURN_IF_ERROR(communicator.Barrier());  // nobody saves while another one reads
  if (is_first_rank) RETURN_IF_ERROR(folder.WriteConfig(ops, experiment.CanonicalText()));

  std::unique_ptr<RunLogger> logger;
  if (is_first_rank) {
    const std::optional<int64_t> resumed = state.step() > 0 ? std::optional<int64_t>(state.step()) : std::nullopt;
    logger = std::make_unique<RunLogger>(ops, folder, resumed);
    for (const std::string& warning : data->clips().warnings()) logger->Message("warning: " + warning);
    for (const std::string& line : starter.lines()) logger->Message(line);
    logger->Message(absl::StrCat(config.name(), ": ", optimizer.parameter_count(), " parameters; ",
                                 data->clips().train_clips().size(), " clips to train on, ",
                                 data->clips().validation_clips().size(), " to validate on; ", shape.global(),
                                 " samples a step on ", shape.world_size, " rank(s) of ", options.device));
  }
  TrainerParts parts{experiment,
                     *task,
                     *data,
                     shape,
                     optimizer,
                     communicator,
                     is_first_rank ? &store : nullptr,
                     logger.get(),
                     options.program_version,
                     options.stop_requested};
  const absl::Status status = Trainer(parts, std::move(state)).Run();
  if (logger != nullptr) logger->Finish();
  return status;
}

}  // namespace

absl::Status RunTraining(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator) {
  try {
    return Run(experiment, options, communicator);
  } catch (const c10::Error& error) {
    return InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return InternalError(error.what());
  }
}

}  // namespace cubist
