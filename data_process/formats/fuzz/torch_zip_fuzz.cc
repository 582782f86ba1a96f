#include "base/status.h"
#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/fuzz/pickle_walk.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/formats/torch_zip_writer.h"

namespace cubist {
namespace {

// Whatever is plain data and dense tensors of kFuzzBytes at most goes through the writer and comes back.
void WriteAgain(const TorchFile& file) {
  std::vector<PickleTensor> tensors;
  const auto root = PythonValueOf(file.root(), kFuzzName, &tensors);
  if (!Accepted(root.status())) return;
  uint64_t bytes = 0;
  for (const PickleTensor& tensor : tensors) {
    if (DenseBytes(tensor) > kFuzzBytes - bytes) return;
    bytes += DenseBytes(tensor);
  }
  std::string archive;
  const auto writer = TorchZipWriter::CreateFor(AppendTo(archive), *root, file.root_folder());
  if (!writer.ok())
    return Require(ExitCodeOf(writer.status()) == ExitCode::kData, "what cannot be written is an error");
  std::vector<HostTensor> elements;
  for (const PickleTensor& tensor : tensors) {
    const auto read = file.Materialize(tensor);
    if (!Accepted(read.status())) return;
    Require((*writer)->Append(*read).ok(), "tensors come as they were announced");
    elements.push_back(*read);
  }
  Require((*writer)->Finish().ok(), "a file can be finished");
  const auto again = OpenTorchZip(archive, kFuzzName);
  Require(again.ok() && again->root_folder() == file.root_folder(), "what is written is read again");
  std::vector<PickleTensor> tensors_again;
  const auto root_again = PythonValueOf(again->root(), kFuzzName, &tensors_again);
  Require(root_again.ok() && FormatPickle(*root_again)->bytes == FormatPickle(*root)->bytes, "values come back");
  for (size_t i = 0; i < elements.size(); ++i) {
    const auto tensor = again->Materialize(tensors_again[i]);
    Require(tensor.ok() && SameArray(*tensor, elements[i]), "elements come back");
  }
}

}  // namespace

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
  WriteAgain(*file);
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
