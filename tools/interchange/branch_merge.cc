#include "tools/interchange/branch_merge.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/loader.h"
#include "nlohmann/json.hpp"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/conversion.h"
#include "tools/interchange/lightning_file.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

constexpr char k3d[] = "branch_3d", k2d[] = "branch_2d", kBoth[] = "both";
constexpr size_t kListed = 20;

// What only one of the branches has.
constexpr std::string_view kOnly3d[] = {"backbone.backbone_3d.", "img_encoder.encoders.conv."};
constexpr std::string_view kOnly2d[] = {"backbone.backbone_2d.", "img_encoder.encoders.dav2."};
// The voxel branch's sky; the dual-branch model has the pixel branch's.
constexpr char kPanoramaSky[] = "skybox.skybox_net.";

bool HasPrefix(const AnyCheckpoint& checkpoint, std::string_view prefix) {
  return std::any_of(checkpoint.tensors().begin(), checkpoint.tensors().end(), [&](const ListedTensor& tensor) {
    return tensor.group == "model" && std::string_view(tensor.name).substr(0, prefix.size()) == prefix;
  });
}

template <size_t N>
absl::Status CheckBranch(const AnyCheckpoint& checkpoint, const char* role, const std::string_view (&needed)[N],
                         const std::string_view (&others)[N]) {
  for (const std::string_view prefix : needed) {
    if (HasPrefix(checkpoint, prefix)) continue;
    const bool swapped = HasPrefix(checkpoint, others[0]);
    return DataError(absl::StrCat(
        checkpoint.description().path, ": given as ", role, ", has no weights ", std::string(prefix), "*",
        swapped ? "; it holds the other branch: are the two swapped?" : ": it is no checkpoint of this branch"));
  }
  return absl::OkStatus();
}

std::string Shape(const ListedTensor& tensor) {
  return absl::StrCat(std::string(Name(tensor.dtype)), "[", absl::StrJoin(tensor.shape, ","), "]");
}

absl::StatusOr<bool> SameValues(const AnyCheckpoint& a, size_t i, const AnyCheckpoint& b, size_t k) {
  if (a.tensors()[i].dtype != b.tensors()[k].dtype || a.tensors()[i].shape != b.tensors()[k].shape) return false;
  std::string first;
  {
    ASSIGN_OR_RETURN(const HostTensor value, a.Read(i));
    first = Xxh3Hex(value.bytes(), value.byte_size());
  }
  ASSIGN_OR_RETURN(const HostTensor value, b.Read(k));
  return Xxh3Hex(value.bytes(), value.byte_size()) == first;
}

// The fields that the voxel branch alone reads, from its config. `fields` names those that changed.
void TakeVoxelFields(const Experiment& voxel, Experiment* dual, std::vector<std::string>* fields) {
  const auto note = [fields](const std::string& path, const std::string& before, const std::string& after) {
    if (before != after) fields->push_back(path);
  };
  Data& data = *dual->mutable_data();
  const Data& voxel_data = voxel.data();
  const auto text = [](const auto& values) { return absl::StrJoin(values, ","); };
  note("data.input_frame_offsets", text(data.input_frame_offsets()), text(voxel_data.input_frame_offsets()));
  *data.mutable_input_frame_offsets() = voxel_data.input_frame_offsets();
  note("data.supervision_frame_offsets", text(data.supervision_frame_offsets()),
       text(voxel_data.supervision_frame_offsets()));
  *data.mutable_supervision_frame_offsets() = voxel_data.supervision_frame_offsets();
  note("data.supervision_images_per_sample", absl::StrCat(data.supervision_images_per_sample()),
       absl::StrCat(voxel_data.supervision_images_per_sample()));
  data.set_supervision_images_per_sample(voxel_data.supervision_images_per_sample());

  GaussianReconstruction& model = *dual->mutable_gaussian_reconstruction();
  const GaussianReconstruction& voxel_model = voxel.gaussian_reconstruction();
  note("gaussian_reconstruction.convolution_encoder", CanonicalMessageText(model.convolution_encoder()),
       CanonicalMessageText(voxel_model.convolution_encoder()));
  *model.mutable_convolution_encoder() = voxel_model.convolution_encoder();
  note("gaussian_reconstruction.voxel_branch", CanonicalMessageText(model.voxel_branch()),
       CanonicalMessageText(voxel_model.voxel_branch()));
  *model.mutable_voxel_branch() = voxel_model.voxel_branch();
  model.set_branch(GaussianReconstruction::DUAL);
  fields->push_back("gaussian_reconstruction.branch: DUAL");
}

absl::StatusOr<std::optional<ValidatedExperiment>> DualConfig(const CheckpointDescription& voxel,
                                                              const CheckpointDescription& pixel, const Merge& options,
                                                              MergeReport* report) {
  if (!options.config().empty()) {
    ASSIGN_OR_RETURN(ValidatedExperiment config, LoadExperiment(options.config()));
    if (config.proto().gaussian_reconstruction().branch() != GaussianReconstruction::DUAL) {
      return ConfigError(absl::StrCat(options.config(), ": gaussian_reconstruction.branch must be DUAL"));
    }
    return config;
  }
  for (const CheckpointDescription* branch : {&voxel, &pixel}) {
    if (!branch->config_text.empty()) continue;
    report->remarks.push_back(absl::StrCat(branch->path, " has no config, so none is made for the result; --config ",
                                           "names one, such as the dual-branch recipe"));
    // Among them why.
    for (const std::string& remark : branch->remarks)
      report->remarks.push_back(absl::StrCat(branch->path, ": ", remark));
    return std::optional<ValidatedExperiment>();
  }
  ASSIGN_OR_RETURN(const ValidatedExperiment voxel_config, LoadExperimentText(voxel.config_text, k3d));
  ASSIGN_OR_RETURN(const ValidatedExperiment pixel_config, LoadExperimentText(pixel.config_text, k2d));
  if (!voxel_config.proto().has_gaussian_reconstruction() || !pixel_config.proto().has_gaussian_reconstruction()) {
    return DataError("the checkpoints' configs are of other models than their weights");
  }
  Experiment dual = pixel_config.proto();
  TakeVoxelFields(voxel_config.proto(), &dual, &report->config_fields);
  dual.set_name(std::filesystem::path(options.output()).stem().string());
  absl::StatusOr<ValidatedExperiment> config = LoadExperimentText(CanonicalMessageText(dual), "the merged config");
  if (config.ok()) return std::optional<ValidatedExperiment>(*std::move(config));
  report->remarks.push_back(absl::StrCat("the branches' configs make no dual-branch config; --config names one. ",
                                         std::string(config.status().message())));
  return std::optional<ValidatedExperiment>();
}

std::string ListSome(const std::vector<std::string>& names) {
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(kListed, names.size()));
  return absl::StrCat(absl::StrJoin(names.begin(), end, "\n  "),
                      names.size() > kListed ? absl::StrCat("\n  and ", names.size() - kListed, " more") : "");
}

}  // namespace

absl::StatusOr<CheckpointDraft> MergeBranches(const AnyCheckpoint& branch_3d, const AnyCheckpoint& branch_2d,
                                              const Merge& options, MergeReport* report) {
  report->branch_3d = branch_3d.description();
  report->branch_2d = branch_2d.description();
  report->on_conflict = options.on_conflict();
  RETURN_IF_ERROR(CheckBranch(branch_3d, k3d, kOnly3d, kOnly2d));
  RETURN_IF_ERROR(CheckBranch(branch_2d, k2d, kOnly2d, kOnly3d));

  struct Choice {
    DraftTensor tensor;
    std::string from;
    bool conflict = false;
  };
  std::map<std::string, Choice> chosen;
  std::vector<std::string> conflicts;
  for (size_t i = 0; i < branch_3d.tensors().size(); ++i) {
    const ListedTensor& tensor = branch_3d.tensors()[i];
    if (tensor.group == "model") chosen[tensor.name] = {{tensor, &branch_3d, i}, k3d};
  }
  for (size_t i = 0; i < branch_2d.tensors().size(); ++i) {
    const ListedTensor& tensor = branch_2d.tensors()[i];
    if (tensor.group != "model") continue;
    const auto [at, is_new] = chosen.try_emplace(tensor.name, Choice{{tensor, &branch_2d, i}, k2d});
    if (is_new) continue;
    ASSIGN_OR_RETURN(const bool same, SameValues(branch_3d, at->second.tensor.number, branch_2d, i));
    if (same) {
      at->second.from = kBoth;
      continue;
    }
    const ListedTensor& other = at->second.tensor.tensor;
    conflicts.push_back(Shape(other) == Shape(tensor)
                            ? Escaped(tensor.name)
                            : absl::StrCat(Escaped(tensor.name), " (", Shape(other), " and ", Shape(tensor), ")"));
    at->second.conflict = true;
    if (options.on_conflict() == Merge::PREFER_2D) at->second = {{tensor, &branch_2d, i}, k2d, true};
  }
  if (!conflicts.empty() && options.on_conflict() == Merge::FAIL) {
    return DataError(
        absl::StrCat(conflicts.size(), " tensors are in both branches with different values:\n  ", ListSome(conflicts),
                     "\n--on_conflict prefer_2d takes the pixel branch's, as the reference does, prefer_3d the "
                     "voxel branch's"));
  }

  CheckpointDraft draft;
  size_t unused = 0;
  for (auto& [name, choice] : chosen) {
    if (absl::StartsWith(name, kPanoramaSky)) {
      ++unused;
      if (options.drop_unused()) {
        report->dropped.push_back(name);
        continue;
      }
    }
    report->tensors.push_back({choice.tensor.tensor, choice.from, choice.conflict});
    draft.tensors.push_back(std::move(choice.tensor));
  }
  if (unused > 0 && !options.drop_unused()) {
    report->remarks.push_back(
        absl::StrCat(unused, " tensors ", kPanoramaSky,
                     "* are the voxel branch's panorama sky, which the dual-branch model does not "
                     "read; --drop_unused leaves them out"));
  }
  ASSIGN_OR_RETURN(const std::optional<ValidatedExperiment> config,
                   DualConfig(branch_3d.description(), branch_2d.description(), options, report));
  if (config.has_value()) {
    draft.config_text = config->CanonicalText();
    draft.config_hash = config->Hash();
    report->config_name = config->proto().name();
  }
  draft.state.set_step(0);
  draft.parents = {ParentOf(branch_3d.description(), k3d), ParentOf(branch_2d.description(), k2d)};
  draft.created = std::max(branch_3d.description().created.value_or(0), branch_2d.description().created.value_or(0));
  return draft;
}

std::string MergeReportText(const MergeReport& report) {
  std::map<std::string, std::pair<int64_t, uint64_t>> by_origin;
  // Tensors by the modules that they belong to: two names deep.
  std::map<std::string, std::map<std::string, int64_t>> by_module;
  std::vector<std::string> conflicts;
  for (const MergeReport::Tensor& tensor : report.tensors) {
    auto& [count, bytes] = by_origin[tensor.from];
    ++count;
    bytes += tensor.tensor.bytes();
    const size_t dot = tensor.tensor.name.find('.'), next = tensor.tensor.name.find('.', dot + 1);
    ++by_module[tensor.tensor.name.substr(0, std::min(next, tensor.tensor.name.size()))][tensor.from];
    if (tensor.conflict) conflicts.push_back(absl::StrCat(Escaped(tensor.tensor.name), " from ", tensor.from));
  }
  const auto branch = [](const char* role, const CheckpointDescription& from) {
    return absl::StrCat(role, "  ", from.path, "\n           ", Escaped(from.format_name),
                        from.state.has_step() ? absl::StrCat(", step ", from.state.step()) : "", ", ",
                        from.identity.substr(0, 12), "\n");
  };
  std::string text = absl::StrCat(branch(k3d, report.branch_3d), branch(k2d, report.branch_2d), "\n");
  for (const auto& [from, sum] : by_origin) {
    absl::StrAppend(&text, absl::StrFormat("%6d tensors, %8.1f MB from %s\n", sum.first,
                                           static_cast<double>(sum.second) * 1e-6, from));
  }
  absl::StrAppend(&text, "\nmodule                                 branch_3d  branch_2d       both\n");
  for (const auto& [module, counts] : by_module) {
    const auto of = [&counts = counts](const char* from) {
      const auto found = counts.find(from);
      return found == counts.end() ? int64_t{0} : found->second;
    };
    absl::StrAppend(&text, absl::StrFormat("%-36s %11d %10d %10d\n", Escaped(module), of(k3d), of(k2d), of(kBoth)));
  }
  if (!conflicts.empty()) {
    absl::StrAppend(&text, "\nin both with different values:\n  ", absl::StrJoin(conflicts, "\n  "), "\n");
  }
  if (!report.dropped.empty()) {
    absl::StrAppend(&text, "\nleft out:\n");
    for (const std::string& name : report.dropped) absl::StrAppend(&text, "  ", Escaped(name), "\n");
  }
  if (!report.config_fields.empty()) {
    absl::StrAppend(&text, "\nconfig ", report.config_name, ": that of branch_2d, with branch_3d's\n  ",
                    absl::StrJoin(report.config_fields, "\n  "), "\n");
  }
  for (const std::string& remark : report.remarks) absl::StrAppend(&text, "\n", Escaped(remark), "\n");
  return text;
}

std::string MergeReportJson(const MergeReport& report) {
  using Json = nlohmann::ordered_json;
  const auto branch = [](const CheckpointDescription& from) {
    Json json = {{"path", from.path}, {"format", from.format_name}, {"identity", from.identity}};
    if (from.state.has_step()) json["step"] = from.state.step();
    return json;
  };
  Json json = {{k3d, branch(report.branch_3d)},
               {k2d, branch(report.branch_2d)},
               {"on_conflict", Merge::OnConflict_Name(report.on_conflict)},
               {"config", report.config_name},
               {"config_fields_of_branch_3d", report.config_fields},
               {"left_out", report.dropped},
               {"remarks", report.remarks},
               {"tensors", Json::array()}};
  for (const MergeReport::Tensor& tensor : report.tensors) {
    Json entry = {{"name", tensor.tensor.name},
                  {"dtype", std::string(Name(tensor.tensor.dtype))},
                  {"shape", tensor.tensor.shape},
                  {"from", tensor.from}};
    if (tensor.conflict) entry["conflict"] = true;
    json["tensors"].push_back(std::move(entry));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<MergeReport> RunMerge(FileOps& ops, const Merge& options, const BytesProgress& progress,
                                     const CheckpointResolver& resolve) {
  for (const auto& [flag, value] :
       {std::pair("branch_3d", &options.branch_3d()), std::pair("branch_2d", &options.branch_2d()),
        std::pair("output", &options.output())}) {
    if (value->empty()) return ConfigError(absl::StrCat("--", flag, " (", flag, ") is not set"));
  }
  MergeReport report;
  report.folder = options.output();
  if (absl::EndsWithIgnoreCase(report.folder, ".ckpt")) report.folder.resize(report.folder.size() - 5);
  report.file = report.folder + ".ckpt";
  for (const char* other : {".safetensors", ".pth", ".pt"}) {
    if (absl::EndsWithIgnoreCase(report.folder, other)) {
      return ConfigError(absl::StrCat("--output ", options.output(),
                                      ": a merge writes a .ckpt and a run's folder; checkpoint ",
                                      "convert makes other files of them"));
    }
  }

  ASSIGN_OR_RETURN(const std::string path_3d, resolve(options.branch_3d()));
  ASSIGN_OR_RETURN(const std::string path_2d, resolve(options.branch_2d()));
  RETURN_IF_ERROR(CheckOutput(report.file, {path_3d, path_2d}, options.overwrite()));
  RETURN_IF_ERROR(CheckOutput(report.folder, {path_3d, path_2d}, options.overwrite()));
  ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> branch_3d, AnyCheckpoint::Open(path_3d));
  ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> branch_2d, AnyCheckpoint::Open(path_2d));
  ASSIGN_OR_RETURN(CheckpointDraft draft, MergeBranches(*branch_3d, *branch_2d, options, &report));

  // The folder takes all bytes once, the file twice (WriteTorchDraft).
  const auto total = static_cast<int64_t>(3 * draft.TotalBytes());
  int64_t before = 0;
  const BytesProgress both = [&](int64_t done, int64_t) {
    return progress ? progress(before + done, total) : absl::OkStatus();
  };
  RETURN_IF_ERROR(
      WriteRunFolder(ops, report.folder, draft, both,
                     {{"merge_report.txt", MergeReportText(report)}, {"merge_report.json", MergeReportJson(report)}})
          .status());
  before = total / 3;
  // Last, for it may replace a file.
  if (const absl::Status written = WriteTorchDraft(ops, report.file, draft, both, &report.remarks); !written.ok()) {
    RemoveTree(ops, report.folder).IgnoreError();
    return written;
  }
  return report;
}

}  // namespace cubist
