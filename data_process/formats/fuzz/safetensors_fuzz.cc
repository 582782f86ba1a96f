#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/safetensors.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  const MemoryFile memory(bytes);
  SafetensorsLimits limits;
  limits.max_header_bytes = kFuzzBytes;
  limits.max_tensor_bytes = kFuzzBytes;
  const auto file = SafetensorsFile::Open(memory.path(), limits);
  if (!Accepted(file.status(), memory.path())) return false;
  uint64_t end = 0;
  for (const std::string& name : (*file)->names()) {
    const TensorInfo* const info = (*file)->Info(name);
    Require(info != nullptr && info->name == name, "a tensor is found by its name");
    Require(end == 0 || info->offset == end, "tensors follow each other");
    end = info->offset + info->size;
    const auto tensor = (*file)->Read(name);
    Require(tensor.ok(), "a tensor within the file is read");
    Walk(*tensor);
    Require(tensor->byte_size() == info->size && tensor->shape() == info->shape, "a tensor is as announced");
  }
  Require(end == 0 || end == bytes.size(), "the tensors fill the file");
  return true;
}

}  // namespace cubist
