#include "tools/interchange/lightning_file.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "configs/loader.h"
#include "data_process/formats/json.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip_writer.h"
#include "google/protobuf/text_format.h"
#include "tools/interchange/reference_names.h"
#include "tools/interchange/torch_checkpoint.h"
#include "tools/training/optimizer/learning_rate.h"

namespace cubist {
namespace {

constexpr char kLightningVersion[] = "1.9.4";

// The counters that Lightning keeps of how often something was done, in all and in the epoch at hand, which begins
// anew.
PythonValue Progress(int64_t total, int64_t current, const std::vector<const char*>& stages) {
  PythonValue progress = PythonValue::Dict();
  for (const auto& [scope, count] : {std::pair("total", total), std::pair("current", current)}) {
    PythonValue counts = PythonValue::Dict();
    for (const char* stage : stages) counts.Set(stage, PythonValue::Int(count));
    progress.Set(scope, std::move(counts));
  }
  return progress;
}

const std::vector<const char*> kTwoStages = {"ready", "completed"};
const std::vector<const char*> kThreeStages = {"ready", "completed", "started"};
const std::vector<const char*> kFourStages = {"ready", "completed", "started", "processed"};

PythonValue BatchProgress(int64_t total) {
  PythonValue progress = Progress(total, 0, kFourStages);
  progress.Set("is_last_batch", PythonValue::Bool(false));
  return progress;
}

PythonValue Empty() { return PythonValue::Dict(); }

PythonValue EvaluationLoop() {
  PythonValue loop = PythonValue::Dict();
  loop.Set("state_dict", Empty());
  loop.Set("dataloader_progress", Progress(0, 0, kTwoStages));
  loop.Set("epoch_loop.state_dict", Empty());
  loop.Set("epoch_loop.batch_progress", BatchProgress(0));
  return loop;
}

// The flat keys are Lightning 1.9.4's; restoring takes the step from optim_progress.
PythonValue Loops(int64_t epoch, int64_t step, int64_t batches) {
  PythonValue stepped = PythonValue::Dict();
  stepped.Set("_batches_that_stepped", PythonValue::Int(step));
  PythonValue optimizer = PythonValue::Dict();
  optimizer.Set("step", Progress(step, 0, kTwoStages));
  optimizer.Set("zero_grad", Progress(step, 0, kThreeStages));
  PythonValue optimizer_progress = PythonValue::Dict();
  optimizer_progress.Set("optimizer", std::move(optimizer));
  optimizer_progress.Set("optimizer_position", PythonValue::Int(0));
  PythonValue fit = PythonValue::Dict();
  fit.Set("state_dict", Empty());
  fit.Set("epoch_progress", Progress(epoch, epoch, kFourStages));
  fit.Set("epoch_loop.state_dict", std::move(stepped));
  fit.Set("epoch_loop.batch_progress", BatchProgress(batches));
  fit.Set("epoch_loop.scheduler_progress", Progress(step, 0, kTwoStages));
  fit.Set("epoch_loop.batch_loop.state_dict", Empty());
  fit.Set("epoch_loop.batch_loop.optimizer_loop.state_dict", Empty());
  fit.Set("epoch_loop.batch_loop.optimizer_loop.optim_progress", std::move(optimizer_progress));
  fit.Set("epoch_loop.batch_loop.manual_loop.state_dict", Empty());
  fit.Set("epoch_loop.batch_loop.manual_loop.optim_step_progress", Progress(0, 0, kTwoStages));
  fit.Set("epoch_loop.val_loop.state_dict", Empty());
  fit.Set("epoch_loop.val_loop.dataloader_progress", Progress(0, 0, kTwoStages));
  fit.Set("epoch_loop.val_loop.epoch_loop.state_dict", Empty());
  fit.Set("epoch_loop.val_loop.epoch_loop.batch_progress", BatchProgress(0));
  PythonValue loops = PythonValue::Dict();
  loops.Set("fit_loop", std::move(fit));
  for (const char* loop : {"validate_loop", "test_loop", "predict_loop"}) loops.Set(loop, EvaluationLoop());
  return loops;
}

PythonValue FromJson(const nlohmann::json& json) {
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return PythonValue::Bool(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
    case nlohmann::json::value_t::number_unsigned:
      return PythonValue::Int(json.get<int64_t>());
    case nlohmann::json::value_t::number_float:
      return PythonValue::Float(json.get<double>());
    case nlohmann::json::value_t::string:
      return PythonValue::String(json.get<std::string>());
    case nlohmann::json::value_t::array: {
      PythonValue list = PythonValue::List();
      for (const nlohmann::json& element : json) list.Append(FromJson(element));
      return list;
    }
    case nlohmann::json::value_t::object: {
      PythonValue dict = PythonValue::Dict();
      for (const auto& [key, value] : json.items()) dict.Set(key, FromJson(value));
      return dict;
    }
    default:
      return PythonValue::None();
  }
}

template <typename T>
HostTensor Scalar(T value) {
  return HostTensor::Of<T>({value}, {});
}

// Makes the tree of a file and lists its tensors as they come in it.
class Composer {
 public:
  Composer(const CheckpointDraft& draft, std::vector<std::string>* remarks) : draft_(draft), remarks_(*remarks) {
    for (const DraftTensor* tensor : draft.Group("model")) names_.push_back(tensor->tensor.name);
  }

  struct Slot {
    const DraftTensor* tensor = nullptr;
    HostTensor made;  // where there is no tensor
  };
  const std::vector<Slot>& slots() const { return slots_; }

  absl::StatusOr<PythonValue> Compose() {
    std::optional<ValidatedExperiment> config;
    if (!draft_.config_text.empty()) {
      absl::StatusOr<ValidatedExperiment> loaded = LoadExperimentText(draft_.config_text, "config.textproto");
      if (!loaded.ok()) {
        return DataError(absl::StrCat("the checkpoint's config: ", std::string(loaded.status().message())));
      }
      config = *std::move(loaded);
    }
    PythonValue root = PythonValue::Dict();
    bool resumable = !draft_.Group("optimizer").empty();
    if (resumable && !config.has_value()) {
      remarks_.push_back("without a config the optimizer's learning rate is not known: its state is left out");
      resumable = false;
    }
    const int64_t step = draft_.state.step();
    if (resumable) {
      root.Set("epoch", PythonValue::Int(Counter(kEpochCounter)));
      root.Set("global_step", PythonValue::Int(step));
      root.Set("pytorch-lightning_version", PythonValue::String(kLightningVersion));
    }
    ASSIGN_OR_RETURN(PythonValue state_dict, StateDict(config));
    root.Set("state_dict", std::move(state_dict));
    if (resumable) {
      const Experiment& experiment = config->proto();
      const int64_t accumulate = experiment.batch().has_accumulate() ? experiment.batch().accumulate() : 1;
      root.Set("loops", Loops(Counter(kEpochCounter), step, step * accumulate));
      ASSIGN_OR_RETURN(PythonValue optimizer, OptimizerState(experiment));
      root.Set("optimizer_states", PythonValue::List({std::move(optimizer)}));
      root.Set("lr_schedulers", PythonValue::List({Scheduler(experiment)}));
      RETURN_IF_ERROR(AddHyperParameters(root));
    }
    AddOwn(root);
    return root;
  }

 private:
  bool AveragesAreTheirs() const { return ModelOfNames(names_) == ReferenceModel::kVoxelDiffusion; }

  int64_t Counter(const char* name) const {
    const auto found = draft_.state.counters().find(name);
    return found == draft_.state.counters().end() ? 0 : found->second;
  }

  PythonValue Tensor(const DraftTensor& tensor) {
    slots_.push_back({&tensor, HostTensor()});
    return PythonValue::Tensor(tensor.tensor.dtype, tensor.tensor.shape);
  }
  PythonValue Tensor(HostTensor made) {
    PythonValue value = PythonValue::Tensor(made.dtype(), made.shape());
    slots_.push_back({nullptr, std::move(made)});
    return value;
  }

  absl::StatusOr<PythonValue> StateDict(const std::optional<ValidatedExperiment>& config) {
    PythonValue state_dict = PythonValue::OrderedDict();
    for (const DraftTensor* tensor : draft_.Group("model")) state_dict.Set(tensor->tensor.name, Tensor(*tensor));
    const std::vector<const DraftTensor*> averages = draft_.Group("ema");
    if (averages.empty()) return state_dict;
    if (!AveragesAreTheirs()) {
      remarks_.push_back(
          "of these models the reference has moving averages for voxel diffusion only: they lie where it does not "
          "look; "
          "--ema writes them in the place of the weights");
      return state_dict;
    }
    ASSIGN_OR_RETURN(const auto parameters, EmaNames(names_));
    std::map<std::string, std::string> names;
    for (const auto& [average, parameter] : parameters) names[parameter] = average;
    const auto kept = draft_.state.numbers().find(kEmaDecayNumber);
    const double decay = kept != draft_.state.numbers().end() ? kept->second
                         : config.has_value()                 ? config->proto().ema().decay()
                                                              : 0.9999;  // the reference's
    const int64_t updates = Counter(kEmaUpdatesCounter);
    if (updates > std::numeric_limits<int32_t>::max()) {
      return DataError(absl::StrCat(updates, " updates of the averages are more than the reference's 32 bits hold"));
    }
    state_dict.Set(kEmaDecay, Tensor(Scalar(static_cast<float>(decay))));
    state_dict.Set(kEmaUpdates, Tensor(Scalar(static_cast<int32_t>(updates))));
    for (const DraftTensor* tensor : averages) {
      const auto name = names.find(tensor->tensor.name);
      if (name == names.end()) {
        return DataError(absl::StrCat("the moving average of \"", tensor->tensor.name, "\" belongs to no weight"));
      }
      state_dict.Set(name->second, Tensor(*tensor));
    }
    return state_dict;
  }

  // {"state": {number: moments}, "param_groups": [...]} as torch.optim.AdamW has it.
  absl::StatusOr<PythonValue> OptimizerState(const Experiment& experiment) {
    int64_t parameters = Counter(kUnsavedCounter), steps = 0;
    for (const std::string& name : names_) parameters += IsBuffer(name) ? 0 : 1;
    ASSIGN_OR_RETURN(const std::vector<std::string> order, OptimizerOrder(names_, parameters));
    std::map<std::string, const DraftTensor*> moments;
    for (const DraftTensor* tensor : draft_.Group("optimizer")) {
      if (tensor->tensor.name != "step") {
        moments[tensor->tensor.name] = tensor;
        continue;
      }
      ASSIGN_OR_RETURN(const HostTensor value, tensor->source->Read(tensor->number));
      if (value.size() == 1) steps = value.Cast(DType::kInt64).data<int64_t>()[0];
    }
    PythonValue state = PythonValue::Dict();
    PythonValue numbers = PythonValue::List();
    size_t used = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      numbers.Append(PythonValue::Int(static_cast<int64_t>(i)));
      if (moments.count(absl::StrCat(kMoments[0], ".", order[i])) == 0) continue;
      PythonValue entry = PythonValue::Dict();
      entry.Set("step", Tensor(Scalar(static_cast<float>(steps))));
      for (const char* moment : kMoments) {
        const auto found = moments.find(absl::StrCat(moment, ".", order[i]));
        if (found == moments.end()) continue;
        ++used;
        entry.Set(moment, Tensor(*found->second));
      }
      state.Set(PythonValue::Int(static_cast<int64_t>(i)), std::move(entry));
    }
    if (used != moments.size()) {
      return DataError(absl::StrCat(moments.size() - used, " tensors of the optimizer belong to no weight"));
    }
    const LearningRateSchedule schedule = ScheduleOf(experiment.learning_rate());
    const Optimizer& adamw = experiment.optimizer();
    PythonValue group = PythonValue::Dict();
    group.Set("lr", PythonValue::Float(LearningRateAt(schedule, steps)));
    group.Set("betas", PythonValue::Tuple({PythonValue::Float(adamw.beta1()), PythonValue::Float(adamw.beta2())}));
    group.Set("eps", PythonValue::Float(adamw.epsilon()));
    group.Set("weight_decay", PythonValue::Float(adamw.weight_decay()));
    group.Set("amsgrad", PythonValue::Bool(adamw.amsgrad()));
    group.Set("foreach", PythonValue::None());
    for (const char* off : {"maximize", "capturable", "differentiable"}) group.Set(off, PythonValue::Bool(false));
    group.Set("fused", PythonValue::None());
    group.Set("initial_lr", PythonValue::Float(schedule.initial));
    group.Set("params", std::move(numbers));
    PythonValue optimizer = PythonValue::Dict();
    optimizer.Set("state", std::move(state));
    optimizer.Set("param_groups", PythonValue::List({std::move(group)}));
    return optimizer;
  }

  PythonValue Scheduler(const Experiment& experiment) const {
    const LearningRateSchedule schedule = ScheduleOf(experiment.learning_rate());
    const int64_t step = draft_.state.step();
    PythonValue scheduler = PythonValue::Dict();
    scheduler.Set("base_lrs", PythonValue::List({PythonValue::Float(schedule.initial)}));
    scheduler.Set("last_epoch", PythonValue::Int(step));
    scheduler.Set("verbose", PythonValue::Bool(false));
    scheduler.Set("_step_count", PythonValue::Int(step + 1));
    scheduler.Set("_get_lr_called_within_step", PythonValue::Bool(false));
    scheduler.Set("_last_lr", PythonValue::List({PythonValue::Float(LearningRateAt(schedule, step))}));
    scheduler.Set("lr_lambdas", PythonValue::List({Empty()}));
    return scheduler;
  }

  absl::Status AddHyperParameters(PythonValue& root) {
    const auto text = draft_.state.texts().find(kHyperParametersText);
    if (text == draft_.state.texts().end()) {
      remarks_.push_back(
          "no hyper_parameters are written: give the reference its YAML when it loads the file, as its own programs "
          "do");
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(text->second, "the checkpoint's hyper-parameters"));
    root.Set("hparams_name", PythonValue::String("hparams"));
    root.Set("hyper_parameters", FromJson(json));
    return absl::OkStatus();
  }

  void AddOwn(PythonValue& root) {
    google::protobuf::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    std::string state;
    printer.PrintToString(draft_.state, &state);
    PythonValue own = PythonValue::Dict();
    own.Set(kOwnState, PythonValue::String(state));
    if (!draft_.config_text.empty()) own.Set(kOwnConfig, PythonValue::String(draft_.config_text));
    if (!AveragesAreTheirs()) {
      PythonValue averages = PythonValue::OrderedDict();
      for (const DraftTensor* tensor : draft_.Group("ema")) averages.Set(tensor->tensor.name, Tensor(*tensor));
      if (!averages.items.empty()) own.Set(kOwnAverages, std::move(averages));
    }
    root.Set(kOwnKey, std::move(own));
  }

  const CheckpointDraft& draft_;
  std::vector<std::string>& remarks_;
  std::vector<std::string> names_;  // of the group "model"
  std::vector<Slot> slots_;
};

}  // namespace

absl::Status WriteTorchDraft(FileOps& ops, const std::string& path, const CheckpointDraft& draft,
                             const BytesProgress& progress, std::vector<std::string>* remarks) {
  Composer composer(draft, remarks);
  ASSIGN_OR_RETURN(const PythonValue root, composer.Compose());
  int64_t total = 0;
  for (const Composer::Slot& slot : composer.slots()) {
    if (slot.tensor != nullptr) total += static_cast<int64_t>(2 * slot.tensor->tensor.bytes());
  }
  return ReplaceFileAtomically(ops, path, [&](const std::string& temporary) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<TorchZipWriter> writer, TorchZipWriter::Create(ops, temporary, root));
    // The writer takes everything twice, first for the checksum that stands before it.
    ByteCounter counted(total, progress);
    for (const Composer::Slot& slot : composer.slots()) {
      if (slot.tensor == nullptr) {
        RETURN_IF_ERROR(writer->Append(slot.made));
        continue;
      }
      RETURN_IF_ERROR(
          writer->AppendStream(slot.tensor->tensor.dtype, slot.tensor->tensor.shape,
                               [&](const ByteSink& sink) { return slot.tensor->Stream(counted.Through(sink)); }));
    }
    return writer->Finish();
  });
}

}  // namespace cubist
