#include "tools/interchange/torch_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "configs/loader.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/pickle.h"
#include "data_process/formats/torch_zip.h"
#include "google/protobuf/text_format.h"
#include "tools/interchange/hyper_parameters.h"
#include "tools/interchange/reference_names.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

constexpr char kTotalSteps[] = "epoch_loop.batch_loop.optimizer_loop.optim_progress";

std::optional<PickleValue> FindPath(PickleValue value, std::initializer_list<std::string_view> path) {
  for (const std::string_view key : path) {
    if (value.kind() != PickleKind::kDict) return std::nullopt;
    const std::optional<PickleValue> next = value.Find(key);
    if (!next.has_value()) return std::nullopt;
    value = *next;
  }
  return value;
}

std::optional<int64_t> FindInteger(const PickleValue& value, std::initializer_list<std::string_view> path) {
  const std::optional<PickleValue> found = FindPath(value, path);
  if (!found.has_value() || found->kind() != PickleKind::kInt || found->int_value() < 0) return std::nullopt;
  return found->int_value();
}

std::optional<std::string> FindText(const PickleValue& value, std::initializer_list<std::string_view> path) {
  const std::optional<PickleValue> found = FindPath(value, path);
  if (!found.has_value() || found->kind() != PickleKind::kString) return std::nullopt;
  return found->string();
}

class TorchCheckpoint : public AnyCheckpoint {
 public:
  static absl::StatusOr<std::unique_ptr<AnyCheckpoint>> Open(const std::string& path) {
    ASSIGN_OR_RETURN(TorchFile file, OpenTorchZipFile(path));
    auto opened = std::make_unique<TorchCheckpoint>(std::move(file));
    opened->description_.path = path;
    opened->description_.format = CheckpointFormat::kTorch;
    RETURN_IF_ERROR(opened->Describe());
    return opened;
  }

  explicit TorchCheckpoint(TorchFile file) : file_(std::move(file)) {}

  absl::StatusOr<HostTensor> Read(size_t i) const override {
    if (const auto* made = std::get_if<HostTensor>(&sources_[i])) return *made;
    absl::StatusOr<HostTensor> read = file_.Materialize(std::get<PickleTensor>(sources_[i]));
    if (read.ok()) return read;
    return NamingTensor(read.status(), i);
  }
  absl::Status Stream(size_t i, const ByteSink& sink) const override {
    if (std::holds_alternative<HostTensor>(sources_[i])) return AnyCheckpoint::Stream(i, sink);
    absl::Status of_sink;
    const absl::Status streamed = file_.Stream(std::get<PickleTensor>(sources_[i]),
                                               [&](std::string_view bytes) { return of_sink = sink(bytes); });
    return streamed.ok() || !of_sink.ok() ? streamed : NamingTensor(streamed, i);
  }
  absl::Status VerifyRest() const override { return file_.VerifyMembers(); }

 private:
  // Where a tensor comes from: the file, or numbers of it.
  using Source = std::variant<PickleTensor, HostTensor>;

  const std::string& path() const { return description_.path; }
  absl::Status NamingTensor(const absl::Status& status, size_t i) const {
    return WithMessage(status, absl::StrCat(status.message(), " (tensor ", Quoted(tensors()[i].name), ")"));
  }

  void Add(const std::string& group, const std::string& name, Source source) {
    ListedTensor tensor{group, name, DType::kFloat32, {}};
    if (const auto* made = std::get_if<HostTensor>(&source)) {
      tensor.dtype = made->dtype();
      tensor.shape = made->shape();
    } else {
      tensor.dtype = std::get<PickleTensor>(source).dtype;
      tensor.shape = std::get<PickleTensor>(source).shape;
    }
    listed_.push_back(std::move(tensor));
    sources_.push_back(std::move(source));
  }

  absl::Status Describe() {
    const PickleValue& root = file_.root();
    if (root.kind() != PickleKind::kDict) return DataError(absl::StrCat(path(), ": holds no state dict"));
    const std::optional<PickleValue> inner = root.Find("state_dict");
    const std::optional<std::string> version = FindText(root, {"pytorch-lightning_version"});
    description_.format_name = version.has_value() ? absl::StrCat("Lightning ", *version) : "torch state dict";
    description_.identity = Sha256Hex(file_.Directory());
    RETURN_IF_ERROR(ReadStateDict(inner.value_or(root)));
    if (inner.has_value()) {
      RETURN_IF_ERROR(ReadOwnAverages(root));
      // Weights are as good without an optimizer whose numbers cannot be told; damage is damage.
      description_.optimizer = ReadOptimizer(root);
      RETURN_IF_ERROR(ReadSteps());
      if (!description_.optimizer.ok()) {
        description_.remarks.push_back(
            absl::StrCat("the optimizer's state is left out: ", std::string(description_.optimizer.message())));
      }
      RETURN_IF_ERROR(ReadRun(root));
      RemarkOn(root);
    }
    RETURN_IF_ERROR(CheckExpansion());
    SetTensors(std::move(listed_));
    return absl::OkStatus();
  }

  // A stride of 0 repeats elements: a few bytes may stand for more than any memory or disk holds.
  absl::Status CheckExpansion() const {
    constexpr uint64_t kOfOne = uint64_t{1} << 30, kOfAll = uint64_t{64} << 30;
    uint64_t all = 0, stored = 0;
    for (size_t i = 0; i < listed_.size(); ++i) {
      const auto* tensor = std::get_if<PickleTensor>(&sources_[i]);
      if (tensor == nullptr) continue;
      const uint64_t storage = CheckedByteSize(tensor->dtype, {tensor->storage_size}).value_or(0);
      const uint64_t dense = listed_[i].bytes();
      all += dense;
      stored += std::min(dense, storage);
      if (dense > storage && (dense > kOfOne || all - stored > kOfAll)) {
        return DataError(absl::StrCat(path(), ": ", Quoted(listed_[i].name), " makes ", dense, " bytes of ", storage,
                                      " by repeating them, more than is taken for weights"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadStateDict(const PickleValue& state_dict) {
    if (state_dict.kind() != PickleKind::kDict) return DataError(absl::StrCat(path(), ": state_dict is no dict"));
    std::vector<std::pair<std::string, PickleTensor>> tensors, averages;
    std::vector<std::string> others;
    std::set<std::string> seen;
    for (size_t i = 0; i < state_dict.pair_count(); ++i) {
      const PickleValue key = state_dict.key(i), value = state_dict.value(i);
      const std::string name = key.kind() == PickleKind::kString ? key.string() : absl::StrCat("key number ", i);
      if (value.kind() == PickleKind::kObject || value.kind() == PickleKind::kPersistentId) {
        return DataError(absl::StrCat(path(), ": ", Quoted(name), " of the state dict is ",
                                      value.kind() == PickleKind::kObject ? value.class_name() : "a storage",
                                      ", which is not read: of tensors, dense ones of the usual types are"));
      }
      if (key.kind() != PickleKind::kString || value.kind() != PickleKind::kTensor) {
        others.push_back(name);
        continue;
      }
      if (!seen.insert(name).second) return DataError(absl::StrCat(path(), ": holds \"", name, "\" twice"));
      (absl::StartsWith(name, kEmaPrefix) ? averages : tensors).emplace_back(name, value.tensor());
      if (!absl::StartsWith(name, kEmaPrefix)) names_.push_back(name);
    }
    if (tensors.empty()) return DataError(absl::StrCat(path(), ": holds no state dict: no tensor has a name"));
    if (!others.empty()) {
      description_.remarks.push_back(
          absl::StrCat("entries of the state dict that are no tensors: ",
                       absl::StrJoin(others.begin(), others.begin() + std::min<size_t>(5, others.size()), ", "),
                       others.size() > 5 ? ", ..." : ""));
    }
    for (auto& [name, tensor] : tensors) {
      shapes_[name] = tensor.shape;
      Add("model", name, std::move(tensor));
    }
    return ReadAverages(averages);
  }

  absl::Status ReadAverages(const std::vector<std::pair<std::string, PickleTensor>>& averages) {
    if (averages.empty()) return absl::OkStatus();
    const auto parameters = EmaNames(names_);
    if (!parameters.ok()) return DataError(absl::StrCat(path(), ": ", std::string(parameters.status().message())));
    for (const auto& [name, tensor] : averages) {
      if (name == kEmaDecay || name == kEmaUpdates) {
        ASSIGN_OR_RETURN(const double number, Number(tensor, name));
        if (name == kEmaUpdates) {
          (*description_.state.mutable_counters())[kEmaUpdatesCounter] = static_cast<int64_t>(number);
        } else {
          (*description_.state.mutable_numbers())[kEmaDecayNumber] = number;
        }
        continue;
      }
      const auto parameter = parameters->find(name);
      if (parameter == parameters->end()) {
        return DataError(absl::StrCat(path(), ": \"", name, "\" is the average of no parameter of this file"));
      }
      if (tensor.shape != shapes_.at(parameter->second)) {
        return DataError(absl::StrCat(path(), ": \"", name, "\" has another shape than \"", parameter->second,
                                      "\", whose average it is"));
      }
      Add("ema", parameter->second, tensor);
    }
    return absl::OkStatus();
  }

  absl::Status ReadOwnAverages(const PickleValue& root) {
    const std::optional<PickleValue> averages = FindPath(root, {kOwnKey, kOwnAverages});
    if (!averages.has_value() || averages->kind() != PickleKind::kDict) return absl::OkStatus();
    std::set<std::string> seen;
    for (size_t i = 0; i < averages->pair_count(); ++i) {
      const PickleValue key = averages->key(i), value = averages->value(i);
      if (key.kind() != PickleKind::kString || value.kind() != PickleKind::kTensor ||
          shapes_.count(key.string()) == 0 || value.tensor().shape != shapes_.at(key.string()) ||
          !seen.insert(key.string()).second) {
        return DataError(absl::StrCat(path(), ": ", kOwnKey, ".", kOwnAverages, " are no averages of this file"));
      }
      Add("ema", key.string(), value.tensor());
    }
    return absl::OkStatus();
  }

  // The one element of a tensor.
  absl::StatusOr<double> Number(const PickleTensor& tensor, const std::string& what) const {
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    if (count != 1) return DataError(absl::StrCat(path(), ": ", what, " must be a single number"));
    ASSIGN_OR_RETURN(const HostTensor value, file_.Materialize(tensor));
    const double number = value.Cast(DType::kFloat64).data<double>()[0];
    if (!(number >= 0 && number < 9e15)) return DataError(absl::StrCat(path(), ": ", what, " is ", number));
    return number;
  }

  absl::Status ReadOptimizer(const PickleValue& root) {
    const std::optional<PickleValue> states = root.Find("optimizer_states");
    if (!states.has_value() || states->kind() != PickleKind::kList || states->size() == 0) return absl::OkStatus();
    const PickleValue first = states->item(0);
    const std::optional<PickleValue> state = FindPath(first, {"state"}), groups = FindPath(first, {"param_groups"});
    if (!state.has_value() || state->kind() != PickleKind::kDict || !groups.has_value() ||
        groups->kind() != PickleKind::kList) {
      return DataError(absl::StrCat(path(), ": optimizer_states[0] is no state of a torch optimizer"));
    }
    if (states->size() > 1) description_.remarks.push_back("optimizers after the first are left out");
    if (state->pair_count() == 0) return absl::OkStatus();
    const std::optional<PickleValue> numbers =
        groups->size() == 1 ? FindPath(groups->item(0), {"params"}) : std::optional<PickleValue>();
    if (!numbers.has_value() || numbers->kind() != PickleKind::kList) {
      return DataError(absl::StrCat(path(), ": the optimizer has ", groups->size(),
                                    " groups of parameters: which number is which is told for one"));
    }
    const auto order = OptimizerOrder(names_, static_cast<int64_t>(numbers->size()));
    if (!order.ok()) return DataError(absl::StrCat(path(), ": ", std::string(order.status().message())));
    const auto unsaved = std::count(order->begin(), order->end(), "");
    if (unsaved > 0) (*description_.state.mutable_counters())[kUnsavedCounter] = unsaved;
    for (size_t i = 0; i < state->pair_count(); ++i) {
      RETURN_IF_ERROR(ReadMoments(*order, state->key(i), state->value(i)));
    }
    for (const char* moment : kMoments) {
      for (auto& [index, tensor] : moments_[moment]) {
        Add("optimizer", absl::StrCat(moment, ".", (*order)[static_cast<size_t>(index)]), std::move(tensor));
      }
    }
    return absl::OkStatus();
  }

  // The number of steps: each parameter has its own, ours has one.
  absl::Status ReadSteps() {
    if (!description_.optimizer.ok() || steps_.empty()) return absl::OkStatus();
    int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
    for (const auto& [what, step] : steps_) {
      int64_t steps = 0;
      if (step.kind() == PickleKind::kTensor) {
        ASSIGN_OR_RETURN(const double value, Number(step.tensor(), what));
        steps = static_cast<int64_t>(value);
      } else {
        steps = step.int_value();
      }
      least = std::min(least, steps);
      most = std::max(most, steps);
    }
    if (least != most) {
      description_.remarks.push_back(absl::StrCat("parameters have taken from ", least, " to ", most,
                                                  " optimizer steps; ours counts one number, the larger"));
    }
    Add("optimizer", "step", HostTensor::Of<int64_t>({most}, {1}));
    return absl::OkStatus();
  }

  absl::Status ReadMoments(const std::vector<std::string>& order, const PickleValue& number,
                           const PickleValue& moments) {
    const int64_t index = number.kind() == PickleKind::kInt ? number.int_value() : -1;
    if (index < 0 || index >= static_cast<int64_t>(order.size())) {
      return DataError(absl::StrCat(path(), ": the optimizer has state of a parameter that there is not"));
    }
    const std::string& name = order[static_cast<size_t>(index)];
    if (name.empty()) {
      return DataError(absl::StrCat(path(), ": the optimizer has state of parameter number ", index,
                                    ", which the state dict lacks"));
    }
    for (const char* moment : kMoments) {
      const std::optional<PickleValue> tensor = FindPath(moments, {moment});
      if (!tensor.has_value() && std::string_view(moment) == kMoments[2]) continue;  // without AMSGrad
      if (!tensor.has_value() || tensor->kind() != PickleKind::kTensor || tensor->tensor().shape != shapes_.at(name)) {
        return DataError(absl::StrCat(path(), ": ", moment, " of optimizer parameter number ", index,
                                      " has not the shape of \"", name, "\", which has this number here"));
      }
      moments_[moment][index] = tensor->tensor();
    }
    const std::optional<PickleValue> step = FindPath(moments, {"step"});
    if (!step.has_value() || (step->kind() != PickleKind::kTensor && step->kind() != PickleKind::kInt)) {
      return DataError(absl::StrCat(path(), ": the optimizer's state of \"", name, "\" lacks its step"));
    }
    steps_.emplace_back(absl::StrCat("the step of \"", name, "\""), *step);
    return absl::OkStatus();
  }

  absl::Status ReadRun(const PickleValue& root) {
    checkpoint::TrainingState& state = description_.state;
    std::optional<int64_t> step =
        FindInteger(root, {"loops", "fit_loop", kTotalSteps, "optimizer", "step", "total", "completed"});
    if (!step.has_value()) step = FindInteger(root, {"global_step"});
    if (step.has_value()) state.set_step(*step);
    if (const auto epoch = FindInteger(root, {"epoch"})) (*state.mutable_counters())[kEpochCounter] = *epoch;

    const std::optional<PickleValue> hyper_parameters = root.Find("hyper_parameters");
    if (hyper_parameters.has_value() && !hyper_parameters->is_none()) {
      const absl::StatusOr<YamlValue> values = ReadHyperParameters(*hyper_parameters, path());
      if (!values.ok()) {
        description_.remarks.push_back(
            absl::StrCat("the hyper-parameters are left out: ", std::string(values.status().message())));
      } else {
        (*state.mutable_texts())[kHyperParametersText] = HyperParametersJson(*values);
      }
      if (values.ok() && !root.Find(kOwnKey).has_value()) {
        ImportedConfig config = ImportHyperParameters(*values, std::filesystem::path(path()).stem().string());
        description_.config_text = std::move(config.text);
        description_.config_hash = std::move(config.hash);
        description_.remarks.insert(description_.remarks.end(), config.remarks.begin(), config.remarks.end());
      }
    }
    if (const auto text = FindText(root, {kOwnKey, kOwnState})) {
      checkpoint::TrainingState own;
      if (!google::protobuf::TextFormat::ParseFromString(*text, &own) || own.step() < 0 || own.samples_consumed() < 0) {
        return DataError(absl::StrCat(path(), ": ", kOwnKey, ".", kOwnState, " cannot be parsed"));
      }
      state = std::move(own);
    }
    if (const auto text = FindText(root, {kOwnKey, kOwnConfig})) {
      const auto config = LoadExperimentText(*text, "config.textproto");
      if (config.ok()) {
        description_.config_text = config->CanonicalText();
        description_.config_hash = config->Hash();
      } else {
        // As of a newer program.
        description_.remarks.push_back(
            absl::StrCat("the config in it is left out: ", std::string(config.status().message())));
      }
    }
    return absl::OkStatus();
  }

  // Keys that nothing above read.
  void RemarkOn(const PickleValue& root) {
    static const std::set<std::string>* const kRead = new std::set<std::string>(
        {"state_dict", "optimizer_states", "epoch", "global_step", "pytorch-lightning_version", "loops",
         "hyper_parameters", "hparams_name", "hparams_type", "lr_schedulers", kOwnKey});
    std::vector<std::string> left_out;
    for (size_t i = 0; i < root.pair_count(); ++i) {
      const PickleValue key = root.key(i);
      if (key.kind() != PickleKind::kString) continue;
      if (kRead->count(key.string()) == 0) left_out.push_back(key.string());
    }
    if (left_out.empty()) return;
    description_.remarks.push_back(
        absl::StrCat("left out, with no counterpart in ours: ", absl::StrJoin(left_out, ", ")));
  }

  TorchFile file_;
  std::vector<std::string> names_;                      // of the state dict, without averages
  std::map<std::string, std::vector<int64_t>> shapes_;  // of these
  std::vector<std::pair<std::string, PickleValue>> steps_;
  std::map<std::string, std::map<int64_t, PickleTensor>> moments_;  // by name, then by number of the parameter
  std::vector<ListedTensor> listed_;
  std::vector<Source> sources_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenTorchCheckpoint(const std::string& path) {
  return TorchCheckpoint::Open(path);
}

}  // namespace cubist
