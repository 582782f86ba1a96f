#include "tools/interchange/testing/sample_files.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/safetensors.h"
#include "data_process/formats/torch_zip_writer.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {

std::map<std::string, std::map<std::string, HostTensor>> SampleTensors(int64_t step) {
  std::map<std::string, std::map<std::string, HostTensor>> groups;
  std::map<std::string, HostTensor>& model = groups["model"];
  for (int layer = 0; layer < 3; ++layer) {
    std::vector<float> weight;
    for (int i = 0; i < 6; ++i) weight.push_back(static_cast<float>(step + layer) + static_cast<float>(i) / 2);
    model[absl::StrCat("layer.", layer, ".weight")] = HostTensor::Of<float>(weight, {2, 3});
    model[absl::StrCat("layer.", layer, ".bias")] = HostTensor::Of<float>({0, 0}, {2});
  }
  model["head.weight"] = HostTensor::Of<float>({1, NAN, 0, -1}, {4});
  model["scale"] = HostTensor::Of<double>({0.25}, {});
  groups["optimizer"]["step"] = HostTensor::Of<int64_t>({step}, {});
  return groups;
}

absl::StatusOr<SaveReport> SaveSample(CheckpointStore& store, int64_t step, const std::string& config_text,
                                      const std::string& config_hash) {
  const auto groups = SampleTensors(step);
  CheckpointContents contents;
  for (const auto& [group, tensors] : groups) {
    contents.groups.push_back({group, {}});
    for (const auto& [name, tensor] : tensors) {
      contents.groups.back().tensors.push_back({name, tensor.dtype(), tensor.shape(), tensor.bytes()});
    }
  }
  contents.state.set_step(step);
  contents.state.set_samples_consumed(8 * step);
  (*contents.state.mutable_best_metrics())["val_loss"] = 1.0 / static_cast<double>(step);
  (*contents.state.mutable_best_steps())["val_loss"] = step;
  contents.config_text = config_text;
  contents.config_hash = config_hash;
  contents.program_version = "cubist 0.1 (build of a test)";
  return store.Save(contents);
}

absl::Status WriteTorchSample(const std::string& path, int64_t step) {
  const auto tensors = SampleTensors(step).at("model");
  PythonValue state = PythonValue::OrderedDict();
  for (const auto& [name, tensor] : tensors) state.Set(name, PythonValue::Tensor(tensor.dtype(), tensor.shape()));
  PythonValue root = PythonValue::Dict();
  root.Set("state_dict", std::move(state));
  ASSIGN_OR_RETURN(const auto writer, TorchZipWriter::Create(UnsyncedFileOps(), path, root));
  for (const auto& [name, tensor] : tensors) RETURN_IF_ERROR(writer->Append(tensor));
  return writer->Finish();
}

absl::Status WriteSafetensorsSample(const std::string& path, int64_t step) {
  const auto tensors = SampleTensors(step).at("model");
  std::vector<NamedTensorView> views;
  for (const auto& [name, tensor] : tensors) views.push_back({name, tensor.dtype(), tensor.shape(), tensor.bytes()});
  return WriteSafetensors(UnsyncedFileOps(), path, views, {{"format", "pt"}});
}

}  // namespace cubist
