#include "tools/interchange/checkpoint_draft.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/program_version.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "google/protobuf/text_format.h"
#include "tools/interchange/safetensors_checkpoint.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

std::string TextOf(const checkpoint::TrainingState& state) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(state, &text);
  return text;
}

absl::Status FillRunFolder(FileOps& ops, const std::string& folder, const CheckpointDraft& draft,
                           const BytesProgress& progress) {
  ASSIGN_OR_RETURN(const RunFolder run, RunFolder::Create(ops, folder));
  if (!draft.config_text.empty()) RETURN_IF_ERROR(run.WriteConfig(ops, draft.config_text));
  ByteCounter counted(static_cast<int64_t>(draft.TotalBytes()), progress);
  CheckpointContents contents;
  for (const DraftTensor& tensor : draft.tensors) {
    if (contents.groups.empty() || contents.groups.back().name != tensor.tensor.group) {
      contents.groups.push_back({tensor.tensor.group, {}});
    }
    TensorSource source{tensor.tensor.name, tensor.tensor.dtype, tensor.tensor.shape};
    source.stream = [&tensor, &counted](const ByteSink& sink) { return tensor.Stream(counted.Through(sink)); };
    contents.groups.back().tensors.push_back(std::move(source));
  }
  contents.state = draft.state;
  contents.config_text = draft.config_text;
  contents.config_hash = draft.config_hash;
  contents.program_version = std::string(ProgramVersion());
  contents.parents = draft.parents;
  contents.created = draft.created;
  CheckpointStore store(ops, run.checkpoints_path());
  return store.Save(contents).status();
}

}  // namespace

ByteSink ByteCounter::Through(ByteSink sink) {
  return [this, sink = std::move(sink)](std::string_view bytes) -> absl::Status {
    RETURN_IF_ERROR(sink(bytes));
    done_ += static_cast<int64_t>(bytes.size());
    return progress_ ? progress_(done_, total_) : absl::OkStatus();
  };
}

std::vector<const DraftTensor*> CheckpointDraft::Group(std::string_view group) const {
  std::vector<const DraftTensor*> found;
  for (const DraftTensor& tensor : tensors) {
    if (tensor.tensor.group == group) found.push_back(&tensor);
  }
  return found;
}

uint64_t CheckpointDraft::TotalBytes() const {
  uint64_t bytes = 0;
  for (const DraftTensor& tensor : tensors) bytes += tensor.tensor.bytes();
  return bytes;
}

absl::StatusOr<std::string> WriteRunFolder(FileOps& ops, const std::string& folder, const CheckpointDraft& draft,
                                           const BytesProgress& progress,
                                           const std::map<std::string, std::string>& more) {
  RETURN_IF_ERROR(MakeFolderAtomically(ops, folder, [&](const std::string& temporary) -> absl::Status {
    RETURN_IF_ERROR(FillRunFolder(ops, temporary, draft, progress));
    for (const auto& [name, contents] : more) {
      RETURN_IF_ERROR(WriteFileAtomically(ops, absl::StrCat(temporary, "/", name), contents));
    }
    return absl::OkStatus();
  }));
  return CheckpointStore(ops, RunFolder(folder).checkpoints_path()).FolderOf(draft.state.step());
}

absl::Status WriteSafetensorsDraft(FileOps& ops, const std::string& path, const CheckpointDraft& draft,
                                   const BytesProgress& progress) {
  // Weights are what everybody reads: they go first.
  std::vector<const DraftTensor*> order = draft.Group("model");
  for (const DraftTensor& tensor : draft.tensors) {
    if (tensor.tensor.group != "model") order.push_back(&tensor);
  }
  const bool weights_only = order.size() == draft.Group("model").size();
  std::vector<TensorInfo> infos;
  for (const DraftTensor* tensor : order) {
    TensorInfo info;
    info.name = tensor->tensor.group == "model"
                    ? tensor->tensor.name
                    : absl::StrCat(kGroupPrefix, tensor->tensor.group, "/", tensor->tensor.name);
    info.dtype = tensor->tensor.dtype;
    info.shape = tensor->tensor.shape;
    infos.push_back(std::move(info));
  }
  // What PyTorch's readers of the format expect to find.
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (!weights_only) {
    metadata[kStateMetadata] = TextOf(draft.state);
    if (!draft.config_text.empty()) metadata[kConfigMetadata] = draft.config_text;
  }
  return ReplaceFileAtomically(ops, path, [&](const std::string& temporary) -> absl::Status {
    ASSIGN_OR_RETURN(const auto writer, SafetensorsWriter::Create(ops, temporary, infos, metadata));
    ByteCounter counted(static_cast<int64_t>(draft.TotalBytes()), progress);
    for (const DraftTensor* tensor : order) {
      RETURN_IF_ERROR(tensor->Stream(
          counted.Through([&](std::string_view bytes) { return writer->Append(bytes.data(), bytes.size()); })));
    }
    return writer->Finish();
  });
}

}  // namespace cubist
