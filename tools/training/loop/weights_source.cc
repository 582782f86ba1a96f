#include "tools/training/loop/weights_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "data_process/formats/torch_zip.h"
#include "tools/training/checkpoint/checkpoint_store.h"

namespace cubist {
namespace {

class CheckpointWeights : public WeightsSource {
 public:
  explicit CheckpointWeights(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {}
  const std::string& description() const override { return checkpoint_.folder(); }
  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    for (const CheckpointTensor& tensor : checkpoint_.Tensors("model")) names.push_back(tensor.name);
    return names;
  }
  absl::StatusOr<HostTensor> Read(const std::string& name) const override { return checkpoint_.Read("model", name); }

 private:
  Checkpoint checkpoint_;
};

class SafetensorsWeights : public WeightsSource {
 public:
  explicit SafetensorsWeights(std::unique_ptr<SafetensorsFile> file) : file_(std::move(file)) {}
  const std::string& description() const override { return file_->path(); }
  std::vector<std::string> Names() const override { return file_->names(); }
  absl::StatusOr<HostTensor> Read(const std::string& name) const override { return file_->Read(name); }

 private:
  std::unique_ptr<SafetensorsFile> file_;
};

class TorchWeights : public WeightsSource {
 public:
  static absl::StatusOr<std::unique_ptr<WeightsSource>> Open(const std::string& path) {
    ASSIGN_OR_RETURN(TorchFile file, OpenTorchZipFile(path));
    PickleValue dict = file.root();
    if (dict.kind() == PickleKind::kDict) {
      if (std::optional<PickleValue> state_dict = dict.Find("state_dict")) dict = *state_dict;
    }
    if (dict.kind() != PickleKind::kDict) return DataError(absl::StrCat(path, ": holds no state dict"));
    auto weights = std::make_unique<TorchWeights>(path, std::move(file));
    for (size_t i = 0; i < dict.pair_count(); ++i) {
      const PickleValue key = dict.key(i), value = dict.value(i);
      if (key.kind() != PickleKind::kString || value.kind() != PickleKind::kTensor) continue;
      weights->tensors_.emplace(key.string(), value.tensor());
    }
    return weights;
  }
  TorchWeights(std::string path, TorchFile file) : path_(std::move(path)), file_(std::move(file)) {}
  const std::string& description() const override { return path_; }
  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  absl::StatusOr<HostTensor> Read(const std::string& name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return InternalError(absl::StrCat(path_, ": asked for a tensor it lacks: ", name));
    return file_.Materialize(found->second);
  }

 private:
  std::string path_;
  TorchFile file_;
  std::map<std::string, PickleTensor> tensors_;
};

std::string ListSome(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  const auto shown = std::vector<std::string>(names.begin(), names.begin() + std::min(kShown, names.size()));
  return absl::StrCat(absl::StrJoin(shown, ", "),
                      names.size() > kShown ? absl::StrCat(" and ", names.size() - kShown, " more") : "");
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightsSource>> WeightsSource::Open(const std::string& reference) {
  if (::access(reference.c_str(), R_OK) != 0) {
    return ConfigError(absl::StrCat("--init_from ", reference, ": ", ErrnoText(errno),
                                    "; it takes a run's folder, a checkpoint, or a .safetensors, .ckpt or .pth file"));
  }
  if (IsDirectory(reference + "/checkpoints")) {
    const CheckpointStore store(SystemFileOps(), reference + "/checkpoints");
    ASSIGN_OR_RETURN(const std::optional<int64_t> latest, store.Latest());
    if (!latest.has_value()) return DataError(absl::StrCat(reference, ": this run has saved no checkpoint yet"));
    ASSIGN_OR_RETURN(Checkpoint checkpoint, store.Load(*latest));
    return std::make_unique<CheckpointWeights>(std::move(checkpoint));
  }
  if (IsDirectory(reference)) {
    ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(reference));
    return std::make_unique<CheckpointWeights>(std::move(checkpoint));
  }
  if (absl::EndsWith(reference, ".safetensors")) {
    ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::Open(reference));
    return std::make_unique<SafetensorsWeights>(std::move(file));
  }
  return TorchWeights::Open(reference);
}

absl::StatusOr<std::map<std::string, std::string>> MatchWeights(const WeightsSource& source,
                                                                const std::vector<WantedTensor>& wanted,
                                                                const std::vector<std::string>& prefixes) {
  const std::vector<std::string> all = source.Names();
  const std::set<std::string> names(all.begin(), all.end());
  std::string prefix;
  for (const std::string& candidate : prefixes) {
    if (!wanted.empty() && names.count(wanted[0].name) == 0 && names.count(candidate + wanted[0].name) > 0) {
      prefix = candidate;
    }
  }
  std::map<std::string, std::string> match;
  std::vector<std::string> missing, left_over;
  std::set<std::string> used;
  for (const WantedTensor& tensor : wanted) {
    const std::string name = prefix + tensor.name;
    if (names.count(name) == 0) {
      missing.push_back(tensor.name);
    } else {
      match[tensor.name] = name;
      used.insert(name);
    }
  }
  for (const std::string& name : names) {
    if (absl::StartsWith(name, prefix) && used.count(name) == 0) left_over.push_back(name);
  }
  if (missing.empty() && left_over.empty()) return match;
  return DataError(absl::StrCat(source.description(), ": these are not the weights of this model: ", match.size(),
                                " of ", wanted.size(), " tensors are there",
                                missing.empty() ? "" : absl::StrCat("; missing: ", ListSome(missing)),
                                left_over.empty() ? "" : absl::StrCat("; left over: ", ListSome(left_over)),
                                ". Start with the config that they were trained with"));
}

}  // namespace cubist
