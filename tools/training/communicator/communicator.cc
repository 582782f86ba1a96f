#include "tools/training/communicator/communicator.h"

#include <ATen/ops/copy.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

absl::Status CheckContiguous(const at::Tensor& tensor, const char* what) {
  if (!tensor.defined()) return InternalError(absl::StrCat(what, " is not a tensor"));
  if (!tensor.is_contiguous()) return InternalError(absl::StrCat(what, " is not contiguous"));
  return absl::OkStatus();
}

absl::Status CheckSizes(const at::Tensor& small, const at::Tensor& large, int world_size, const char* small_name,
                        const char* large_name) {
  RETURN_IF_ERROR(CheckContiguous(small, small_name));
  RETURN_IF_ERROR(CheckContiguous(large, large_name));
  if (small.scalar_type() != large.scalar_type()) {
    return InternalError(absl::StrCat(small_name, " is ", c10::toString(small.scalar_type()), ", ", large_name, " is ",
                                      c10::toString(large.scalar_type())));
  }
  if (small.numel() * world_size != large.numel()) {
    return InternalError(absl::StrCat(large_name, " has ", large.numel(), " elements, not ", world_size, " times the ",
                                      small.numel(), " of ", small_name));
  }
  return absl::OkStatus();
}

// Operations of a world of one: what remains is to check and to copy.
class SingleProcessCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }

  absl::Status AllReduceSum(const at::Tensor& tensor) override { return Check(tensor, Reduction::kSum); }
  absl::Status AllReduceMin(const at::Tensor& tensor) override { return Check(tensor, Reduction::kMin); }
  absl::Status AllReduceMax(const at::Tensor& tensor) override { return Check(tensor, Reduction::kMax); }

  absl::Status ReduceScatterSum(const at::Tensor& input, const at::Tensor& output) override {
    RETURN_IF_ERROR(aborted_);
    RETURN_IF_ERROR(CheckReduceScatter(input, output, 1));
    output.copy_(input.view(output.sizes()));
    return absl::OkStatus();
  }
  absl::Status AllGather(const at::Tensor& input, const at::Tensor& output) override {
    RETURN_IF_ERROR(aborted_);
    RETURN_IF_ERROR(CheckAllGather(input, output, 1));
    output.copy_(input.view(output.sizes()));
    return absl::OkStatus();
  }
  absl::Status Broadcast(const at::Tensor& tensor, int root) override {
    RETURN_IF_ERROR(aborted_);
    return CheckBroadcast(tensor, root, 1);
  }
  absl::Status Barrier() override { return aborted_; }
  void Abort(std::string_view reason) override {
    aborted_ = PeerLostError(absl::StrCat("rank 0 left: ", std::string(reason)));
  }

 private:
  absl::Status Check(const at::Tensor& tensor, Reduction reduction) {
    RETURN_IF_ERROR(aborted_);
    return CheckReducible(tensor, reduction);
  }

  absl::Status aborted_;
};

}  // namespace

std::unique_ptr<Communicator> MakeSingleProcessCommunicator() { return std::make_unique<SingleProcessCommunicator>(); }

absl::Status CheckReducible(const at::Tensor& tensor, Reduction reduction) {
  RETURN_IF_ERROR(CheckContiguous(tensor, "the tensor to reduce"));
  switch (tensor.scalar_type()) {
    case at::kFloat:
    case at::kDouble:
    case at::kInt:
    case at::kLong:
      return absl::OkStatus();
    case at::kBool:
      if (reduction != Reduction::kSum) return absl::OkStatus();
      [[fallthrough]];
    default:
      return InternalError(absl::StrCat("a tensor of ", c10::toString(tensor.scalar_type()), " cannot be ",
                                        reduction == Reduction::kSum ? "summed" : "compared", " over ranks"));
  }
}

absl::Status CheckReduceScatter(const at::Tensor& input, const at::Tensor& output, int world_size) {
  RETURN_IF_ERROR(CheckSizes(output, input, world_size, "output", "input"));
  return CheckReducible(input, Reduction::kSum);
}

absl::Status CheckAllGather(const at::Tensor& input, const at::Tensor& output, int world_size) {
  return CheckSizes(input, output, world_size, "input", "output");
}

absl::Status CheckBroadcast(const at::Tensor& tensor, int root, int world_size) {
  RETURN_IF_ERROR(CheckContiguous(tensor, "the tensor to broadcast"));
  if (root < 0 || root >= world_size) {
    return InternalError(absl::StrCat("broadcast from rank ", root, " in a world of ", world_size));
  }
  return absl::OkStatus();
}

}  // namespace cubist
