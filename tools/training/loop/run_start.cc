#include "tools/training/loop/run_start.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/resume_comparison.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/loop/weights_source.h"

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
  Starter(const ValidatedExperiment& experiment, const StartOptions& options, CheckpointStore& store,
          const RunParts& parts)
      : experiment_(experiment),
        options_(options),
        store_(store),
        optimizer_(*parts.optimizer),
        shape_(parts.shape),
        data_manifest_(parts.data->clips().manifest_hash()) {}

  absl::StatusOr<RunStart> Start() {
    ASSIGN_OR_RETURN(start_.state, FindState());
    return std::move(start_);
  }

 private:
  absl::StatusOr<checkpoint::TrainingState> FindState() {
    const int64_t replay_from = options_.replay_from_step.value_or(0);
    if (replay_from > 0) {
      ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store_.List());
      const bool is_own = std::find(steps.begin(), steps.end(), replay_from) != steps.end();
      if (!is_own && !options_.resume_from.empty()) return ResumeElsewhere();
      ASSIGN_OR_RETURN(const Checkpoint checkpoint, store_.Load(replay_from));
      return Resume(checkpoint);
    }
    std::optional<LoadReport> report;
    if (!options_.replay_from_step.has_value()) {
      ASSIGN_OR_RETURN(report, store_.LoadLatest(options_.allow_fallback));
    }
    if (report.has_value()) {
      // The same command goes on after a stop: where the run began does not matter any more.
      if (!options_.init_from.empty() || !options_.resume_from.empty()) {
        Say("--init_from and --resume_from were for the start of this run, which has checkpoints by now; --fresh or "
            "--wname start another one");
      }
      start_.resumed_own = true;
      if (shape_.rank == 0) RETURN_IF_ERROR(store_.ResumeFrom(report->checkpoint));
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

  void Say(const std::string& line) { start_.lines.push_back(line); }

  absl::StatusOr<checkpoint::TrainingState> Resume(const Checkpoint& checkpoint) {
    RETURN_IF_ERROR(CheckConfigAgainst(checkpoint, experiment_, [this](const std::string& line) { Say(line); }));
    checkpoint::TrainingState state = checkpoint.state();
    RETURN_IF_ERROR(CheckBatch(state));
    if (std::string& stored = (*state.mutable_texts())[kDataManifest]; stored != data_manifest_) {
      Say("warning: the clips of this run have changed since it was saved (their names, their tars' sizes, or which of "
          "them train): from here on it draws other samples than it would have");
      stored = data_manifest_;
    }
    RETURN_IF_ERROR(RestoreOptimizer(checkpoint, optimizer_));
    start_.checkpoint_sha256 = checkpoint.manifest_sha256();
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
  const StartOptions& options_;
  CheckpointStore& store_;
  const FlatOptimizer& optimizer_;
  const BatchShape shape_;
  const std::string data_manifest_;
  RunStart start_;
};

}  // namespace

absl::StatusOr<RunStart> StartRun(const ValidatedExperiment& experiment, const StartOptions& options,
                                  CheckpointStore& store, const RunParts& parts) {
  return Starter(experiment, options, store, parts).Start();
}

}  // namespace cubist
