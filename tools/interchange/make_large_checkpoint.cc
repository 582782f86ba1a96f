// Writes a checkpoint that is larger than tests have it, for conversion_bench.sh:
//   make_large_checkpoint FILE.ckpt GIGABYTES TENSOR_MEGABYTES
// A state dict of random floats.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip_writer.h"

namespace cubist {
namespace {

absl::Status Write(const std::string& path, int64_t bytes, int64_t tensor_bytes) {
  const int64_t count = bytes / tensor_bytes, elements = tensor_bytes / 4;
  PythonValue state_dict = PythonValue::OrderedDict();
  for (int64_t i = 0; i < count; ++i) {
    state_dict.Set(absl::StrCat("encoder.mix_fc.", i, ".weight"),
                   PythonValue::Tensor(DType::kFloat32, {elements / 1024, 1024}));
  }
  PythonValue root = PythonValue::Dict();
  root.Set("state_dict", std::move(state_dict));
  ASSIGN_OR_RETURN(const auto writer, TorchZipWriter::Create(SystemFileOps(), path, root));
  HostTensor tensor(DType::kFloat32, {elements / 1024, 1024});
  uint64_t state = 88172645463325252u;
  for (int64_t i = 0; i < count; ++i) {
    // Marsaglia's xorshift: cheap, and nothing that a file system could pack.
    for (int64_t k = 0; k < tensor.size(); ++k) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      tensor.data<float>()[k] = static_cast<float>(static_cast<int64_t>(state) >> 40);
    }
    RETURN_IF_ERROR(writer->Append(tensor));
  }
  return writer->Finish();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const absl::Status status =
      cubist::Write(argv[1], std::atoll(argv[2]) * 1000000000, std::atoll(argv[3]) * 1000000 / 4096 * 4096);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
