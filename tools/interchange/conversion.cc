#include "tools/interchange/conversion.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/loader.h"
#include "tools/interchange/lightning_file.h"
#include "tools/interchange/reference_names.h"

namespace cubist {
namespace {

bool IsTorchName(const std::string& path) {
  return absl::EndsWithIgnoreCase(path, ".ckpt") || absl::EndsWithIgnoreCase(path, ".pth") ||
         absl::EndsWithIgnoreCase(path, ".pt");
}

bool IsSafetensorsName(const std::string& path) { return absl::EndsWithIgnoreCase(path, ".safetensors"); }

// What a run of ours counts and a file of others does not say, as if one rank had trained by the config.
void AssumeProgress(const Experiment& experiment, checkpoint::TrainingState* state, std::vector<std::string>* remarks) {
  const Batch& batch = experiment.batch();
  const int64_t global = batch.has_global() ? batch.global() : int64_t{batch.per_gpu()} * batch.accumulate();
  auto& counters = *state->mutable_counters();
  if (counters.count("global_batch") == 0) {
    counters["global_batch"] = global;
    counters["per_gpu"] = batch.per_gpu();
  }
  if (!state->has_seed()) state->set_seed(static_cast<uint64_t>(experiment.training().seed()));
  if (state->has_samples_consumed()) return;
  state->set_samples_consumed(state->step() * global);
  if (state->step() > 0) {
    remarks->push_back(
        absl::StrCat("assumed: ", state->step(), " steps of ", global,
                     " samples (one rank); a run that goes on draws samples as ours does, not those that "
                     "the reference would have drawn"));
  }
}

}  // namespace

checkpoint::Parent ParentOf(const CheckpointDescription& description, std::string_view role) {
  checkpoint::Parent parent;
  parent.set_identity(description.identity);
  parent.set_format(description.format_name);
  if (description.state.has_step()) parent.set_step(description.state.step());
  if (!role.empty()) parent.set_role(std::string(role));
  return parent;
}

absl::StatusOr<CheckpointDraft> DraftOf(const AnyCheckpoint& source, const ConversionOptions& options,
                                        std::vector<std::string>* remarks) {
  const CheckpointDescription& from = source.description();
  remarks->insert(remarks->end(), from.remarks.begin(), from.remarks.end());
  CheckpointDraft draft;
  const bool weights_only = options.weights_only || options.averages;
  if (options.averages && !source.HasGroup("ema")) {
    return ConfigError(absl::StrCat(from.path, ": has no moving averages"));
  }
  if (!weights_only && !from.optimizer.ok()) {
    return Annotate(from.optimizer, "--weights_only converts this file without its optimizer's state");
  }
  int64_t without_average = 0;
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    DraftTensor tensor{source.tensors()[i], &source, i};
    if (tensor.tensor.group != "model" && weights_only) continue;
    if (options.averages) {
      const std::string& name = tensor.tensor.name;
      if (const std::optional<size_t> average = source.Find("ema", name)) {
        tensor.number = *average;
        tensor.tensor.dtype = source.tensors()[*average].dtype;
      } else if (!IsBuffer(name)) {
        // A frozen part has none; a trained one lacks its own.
        if (source.Find("optimizer", "exp_avg." + name)) {
          return DataError(absl::StrCat(from.path, ": \"", name, "\" is trained and has no moving average"));
        }
        ++without_average;
      }
    }
    draft.tensors.push_back(std::move(tensor));
  }
  if (without_average > 0) {
    remarks->push_back(absl::StrCat(without_average, " weights have no moving average and stay as they are"));
  }
  draft.state = from.state;
  if (weights_only) {
    // The step stays as a fact about the weights; what an optimizer would go on from does not.
    checkpoint::TrainingState state;
    if (from.state.has_step()) state.set_step(from.state.step());
    draft.state = std::move(state);
  }
  if (!draft.state.has_step()) draft.state.set_step(0);
  draft.config_text = from.config_text;
  draft.config_hash = from.config_hash;
  if (!options.config.empty()) {
    ASSIGN_OR_RETURN(const ValidatedExperiment config, LoadExperiment(options.config));
    draft.config_text = config.CanonicalText();
    draft.config_hash = config.Hash();
  }
  if (!draft.config_text.empty()) {
    ASSIGN_OR_RETURN(const ValidatedExperiment config, LoadExperimentText(draft.config_text, "config.textproto"));
    if (!weights_only) AssumeProgress(config.proto(), &draft.state, remarks);
  }
  draft.parents.push_back(ParentOf(from));
  draft.created = from.created.value_or(0);
  return draft;
}

absl::Status CheckOutput(const std::string& output, const std::vector<std::string>& sources, bool overwrite) {
  std::error_code error;
  for (const std::string& source : sources) {
    // Also within a checkpoint's folder: its files are what is read.
    for (std::filesystem::path at = output; at.has_relative_path(); at = at.parent_path()) {
      if (std::filesystem::equivalent(source, at, error)) {
        return ConfigError(absl::StrCat(output, ": is what is read, or part of it; name another output"));
      }
    }
  }
  if (!std::filesystem::exists(output, error)) return absl::OkStatus();
  if (std::filesystem::is_directory(output, error)) {
    return ConfigError(absl::StrCat(output, ": exists already; name a new folder"));
  }
  if (overwrite) return absl::OkStatus();
  return ConfigError(absl::StrCat(output, ": exists already; --overwrite replaces it"));
}

absl::Status WriteDraft(FileOps& ops, const std::string& output, const CheckpointDraft& draft,
                        const BytesProgress& progress, ConversionReport* report) {
  report->output = output;
  RETURN_IF_ERROR(MakeDirectories(ops, std::filesystem::path(output).parent_path().string()));
  if (IsTorchName(output)) {
    RETURN_IF_ERROR(WriteTorchDraft(ops, output, draft, progress, &report->remarks));
  } else if (IsSafetensorsName(output)) {
    RETURN_IF_ERROR(WriteSafetensorsDraft(ops, output, draft, progress));
  } else {
    ASSIGN_OR_RETURN(report->output, WriteRunFolder(ops, output, draft, progress));
    if (draft.config_text.empty()) {
      report->remarks.push_back("there is no config: --init_from takes the weights, but no run can go on from them");
    }
  }
  report->bytes = draft.TotalBytes();
  report->tensors = static_cast<int64_t>(draft.tensors.size());
  return absl::OkStatus();
}

absl::StatusOr<ConversionReport> ConvertCheckpoint(FileOps& ops, const AnyCheckpoint& source, const std::string& output,
                                                   const ConversionOptions& options, const BytesProgress& progress) {
  RETURN_IF_ERROR(CheckOutput(output, {source.description().path}, options.overwrite));
  ConversionReport report;
  ASSIGN_OR_RETURN(const CheckpointDraft draft, DraftOf(source, options, &report.remarks));
  RETURN_IF_ERROR(WriteDraft(ops, output, draft, progress, &report));
  return report;
}

}  // namespace cubist
