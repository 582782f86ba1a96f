// How the ranks of a run talk to each other: collective operations over tensors.
//
// Every rank calls the same operations in the same order. Each operation blocks until it is done on
// this rank and has a deadline; an error means that the run cannot go on with these ranks. The status
// is then a PeerLostError that names the operation, its sequence number, this rank and, where that is
// known, the ranks that did not answer and why. After an error every further call returns it again.
//
// Reductions give bit-equal results on all ranks, and the same result each time for the same inputs
// and number of ranks.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_COMMUNICATOR_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_COMMUNICATOR_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <string_view>

#include "absl/status/status.h"

namespace cubist {

// Used from one thread at a time. Tensors are contiguous; an InternalError says which is not.
// "numbers" below: float32, float64, int32 or int64. An operation on no elements is done at once.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // Replaces `tensor` (numbers, any shape, the same shape on all ranks) by the sum over all ranks.
  virtual absl::Status AllReduceSum(const at::Tensor& tensor) = 0;

  // The same with the smallest and the largest value: numbers, or bool as false < true, so that the
  // minimum is "true on all ranks" and the maximum "true on any".
  virtual absl::Status AllReduceMin(const at::Tensor& tensor) = 0;
  virtual absl::Status AllReduceMax(const at::Tensor& tensor) = 0;

  // Splits `input` (numbers, world_size * n elements) into world_size parts in order and writes into
  // `output` (n elements, same dtype) the sum over all ranks of part `rank`. `input` keeps its values.
  virtual absl::Status ReduceScatterSum(const at::Tensor& input, const at::Tensor& output) = 0;

  // Writes into `output` (world_size * n elements) the `input` (n elements, same dtype, any dtype) of
  // every rank, in the order of ranks.
  virtual absl::Status AllGather(const at::Tensor& input, const at::Tensor& output) = 0;

  // Replaces `tensor` (any dtype) by that of rank `root`.
  virtual absl::Status Broadcast(const at::Tensor& tensor, int root) = 0;

  // Returns once all ranks have come here.
  virtual absl::Status Barrier() = 0;

  // Tells the other ranks that this one leaves because of `reason`, so that they need not wait for
  // their deadline: their current or next operation fails and names this rank and the reason.
  virtual void Abort(std::string_view reason) = 0;
};

// A world of one rank: every operation checks its tensors and is done.
std::unique_ptr<Communicator> MakeSingleProcessCommunicator();

// What every implementation checks of the tensors it is given.
enum class Reduction { kSum, kMin, kMax };
absl::Status CheckReducible(const at::Tensor& tensor, Reduction reduction);
absl::Status CheckReduceScatter(const at::Tensor& input, const at::Tensor& output, int world_size);
absl::Status CheckAllGather(const at::Tensor& input, const at::Tensor& output, int world_size);
absl::Status CheckBroadcast(const at::Tensor& tensor, int root, int world_size);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_COMMUNICATOR_H_
