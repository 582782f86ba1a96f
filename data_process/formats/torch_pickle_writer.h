// The pickle of a dict of tensors as torch.save writes it.
#ifndef CUBIST_DATA_PROCESS_FORMATS_TORCH_PICKLE_WRITER_H_
#define CUBIST_DATA_PROCESS_FORMATS_TORCH_PICKLE_WRITER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

// data.pkl of {name: tensor, ...}: protocol 2; the storage key of tensor i is its number in decimal; every tensor is
// dense and on the CPU. Errors: DataError for a dtype without a torch storage class (uint16, uint32, uint64).
absl::StatusOr<std::string> FormatTorchPickle(const std::vector<std::pair<std::string, HostTensor>>& tensors);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_TORCH_PICKLE_WRITER_H_
