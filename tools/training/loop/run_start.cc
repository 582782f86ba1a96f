#include "tools/training/loop/run_start.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/resume_comparison.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_reference.h"
#include "tools/interchange/own_checkpoint.h"
#include "tools/interchange/weights_match.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/loop/optimizer_state.h"

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

// The checkpoint that a flag names.
absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenFor(const std::string& flag, const std::string& reference) {
  const absl::StatusOr<std::string> path = ResolveCheckpoint(reference);
  if (!path.ok()) return Annotate(path.status(), absl::StrCat(flag, " ", reference));
  return AnyCheckpoint::Open(*path);
}

// The moving averages start where the weights are.
void StartAverages(const FlatOptimizer& optimizer) {
  const std::vector<NamedTensor> model = optimizer.Group("model"), ema = optimizer.Group("ema");
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < ema.size(); ++i) ema[i].tensor.copy_(model[i].tensor);
}

absl::Status LoadWeights(const std::string& reference, const FlatOptimizer& optimizer,
                         const std::function<void(const std::string&)>& say) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> source, OpenFor("--init_from", reference));
  const std::vector<NamedTensor> model = optimizer.Group("model");
  std::vector<WantedTensor> wanted;
  for (const NamedTensor& tensor : model) wanted.push_back({tensor.name, tensor.tensor.sizes().vec()});
  ASSIGN_OR_RETURN(const auto match, MatchWeights(*source, wanted, KnownPrefixes()));
  for (const NamedTensor& tensor : model) {
    ASSIGN_OR_RETURN(const HostTensor value, source->Read(match.at(tensor.name)));
    RETURN_IF_ERROR(CopyInto(value, source->description().path, tensor));
  }
  StartAverages(optimizer);
  say(absl::StrCat("weights: all ", model.size(), " tensors from ", source->description().path));
  return absl::OkStatus();
}

// Says what changed since the checkpoint was written, or refuses to go on.
absl::Status CheckConfigAgainst(const CheckpointDescription& checkpoint, const ValidatedExperiment& experiment,
                                const std::function<void(const std::string&)>& say) {
  const std::string name = checkpoint.path + "/config.textproto";
  ASSIGN_OR_RETURN(const ValidatedExperiment stored, LoadExperimentText(checkpoint.config_text, name));
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
      ASSIGN_OR_RETURN(Checkpoint checkpoint, store_.Load(replay_from));
      return Resume(*AsAnyCheckpoint(std::move(checkpoint)));
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
      return Resume(*AsAnyCheckpoint(std::move(report->checkpoint)));
    }
    if (!options_.init_from.empty()) {
      RETURN_IF_ERROR(LoadWeights(options_.init_from, optimizer_, [this](const std::string& line) { Say(line); }));
    } else if (!options_.resume_from.empty()) {
      return ResumeElsewhere();
    }
    return NewState();
  }

  checkpoint::TrainingState NewState() const {
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

  absl::StatusOr<checkpoint::TrainingState> Resume(const AnyCheckpoint& checkpoint) {
    const CheckpointDescription& from = checkpoint.description();
    RETURN_IF_ERROR(CheckConfigAgainst(from, experiment_, [this](const std::string& line) { Say(line); }));
    checkpoint::TrainingState state = from.state;
    RETURN_IF_ERROR(CheckBatch(state));
    if (std::string& stored = (*state.mutable_texts())[kDataManifest]; stored != data_manifest_) {
      Say("warning: the clips of this run have changed since it was saved (their names, their tars' sizes, or which of "
          "them train): from here on it draws other samples than it would have");
      stored = data_manifest_;
    }
    RETURN_IF_ERROR(RestoreOptimizer(checkpoint, optimizer_));
    start_.checkpoint_sha256 = from.identity;
    Say(absl::StrCat("resuming after step ", state.step(), " from ", from.path));
    return state;
  }

  // From a checkpoint of the reference: it has weights, moments and a step, and no draws of ours.
  absl::StatusOr<checkpoint::TrainingState> ResumeReference(const AnyCheckpoint& checkpoint) {
    const CheckpointDescription& from = checkpoint.description();
    RETURN_IF_ERROR(from.optimizer);
    if (!checkpoint.HasGroup("optimizer") || !from.state.has_step()) {
      return ConfigError(absl::StrCat("--resume_from ", from.path, ": is no full state but weights alone (",
                                      from.format_name, "), which --init_from takes"));
    }
    if (from.config_text.empty()) {
      Say("warning: its hyper-parameters make no config of ours, so they are not compared with this run's");
    } else {
      RETURN_IF_ERROR(CheckConfigAgainst(from, experiment_, [this](const std::string& line) { Say(line); }));
    }
    for (const std::string& group : optimizer_.Groups()) {
      if (group != "ema" || checkpoint.HasGroup(group)) {
        RETURN_IF_ERROR(RestoreGroup(checkpoint, optimizer_, group));
      } else {
        StartAverages(optimizer_);
        Say("the file has no moving averages: they start at its weights");
      }
    }
    checkpoint::TrainingState state = NewState();
    state.set_step(from.state.step());
    state.set_samples_consumed(from.state.step() * shape_.global());
    start_.checkpoint_sha256 = from.identity;
    Say(absl::StrCat("resuming after step ", state.step(), " from ", from.path, " (", from.format_name,
                     "), as if each step had taken this run's ", shape_.global(), " samples"));
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
    ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> other, OpenFor("--resume_from", options_.resume_from));
    store_.SetParent(other->description().identity);
    if (other->description().format != CheckpointFormat::kCubist) return ResumeReference(*other);
    ASSIGN_OR_RETURN(checkpoint::TrainingState state, Resume(*other));
    state.mutable_texts()->erase(kWandbRunId);  // this is another run
    return state;
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
