#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/fuzz/pickle_walk.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  TorchLimits limits;
  limits.max_storage_bytes = kFuzzBytes;
  limits.max_tensor_bytes = kFuzzBytes;
  limits.max_members = 1000;
  limits.pickle = FuzzPickleLimits();
  const auto file = OpenTorchZip(bytes, kFuzzName, limits);
  if (!Accepted(file.status())) return false;
  Require(!file->root_folder().empty(), "a torch file has a root folder");
  const std::vector<PickleTensor> tensors = WalkPickle(file->root());
  // A pickle can name one storage many times; a few show what the rest do.
  for (size_t i = 0; i < tensors.size() && i < 16; ++i) {
    const auto tensor = file->Materialize(tensors[i]);
    if (!Accepted(tensor.status())) continue;
    Walk(*tensor);
    Require(tensor->dtype() == tensors[i].dtype && tensor->shape() == tensors[i].shape, "a tensor is as announced");
  }
  const auto dict = ReadTorchTensors(bytes, kFuzzName, limits);
  if (!Accepted(dict.status())) return false;
  const auto written = FormatTorchZip({dict->begin(), dict->end()});
  Require(written.ok(), "tensors that were read can be written");
  const auto again = ReadTorchTensors(*written, kFuzzName);
  Require(again.ok() && again->size() == dict->size(), "tensors that are written are read again");
  for (const auto& [name, tensor] : *dict) Require(SameArray(again->at(name), tensor), "a tensor comes back");
  return true;
}

}  // namespace cubist
