// What a model's data is: how samples become a batch on the device.
#ifndef CUBIST_TOOLS_TASKS_BATCH_MAKER_H_
#define CUBIST_TOOLS_TASKS_BATCH_MAKER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/scene_sample.h"

namespace cubist {

// Samples on the device, ready for the model. Each model derives its own.
struct TaskBatch {
  virtual ~TaskBatch() = default;
  int64_t size = 0;  // samples

  // What is in it, in a line.
  virtual std::string Describe() const = 0;
  // All that it holds, always in the same order.
  virtual std::vector<at::Tensor> Tensors() const = 0;
};

class BatchMaker {
 public:
  virtual ~BatchMaker() = default;

  // Called by loader threads, several at once. Errors: DataErrors that name clip and start frame.
  virtual absl::StatusOr<std::unique_ptr<TaskBatch>> MakeBatch(const std::vector<SceneSample>& samples) const = 0;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_BATCH_MAKER_H_
