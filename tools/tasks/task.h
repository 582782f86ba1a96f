// What the training loop knows of a model: how samples become a batch, what a batch says about the
// parameters, and what to draw.
#ifndef CUBIST_TOOLS_TASKS_TASK_H_
#define CUBIST_TOOLS_TASKS_TASK_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "configs/loader.h"
#include "models/nn/metric_table.h"
#include "models/nn/module.h"
#include "tools/tasks/batch_maker.h"

namespace cubist {

struct Evaluation {
  at::Tensor loss;  // scalar with gradient: the sum of the samples' losses
  // Where there is a backward() to do, it comes first: what it has the device do is not to wait for these.
  std::function<MetricTable()> metrics;
};

class Task : public BatchMaker {
 public:
  // Parameters are float32 on the CPU until a FlatOptimizer takes them over.
  virtual const Module& module() const = 0;

  // `step`: optimizer steps done. `training`: latents are sampled; validation takes their means and is
  // called without gradients.
  virtual absl::StatusOr<Evaluation> Evaluate(const TaskBatch& batch, int64_t step, bool training) const = 0;

  // The batch's first sample beside what the model makes of it: uint8 [H, W, 3].
  virtual absl::StatusOr<HostTensor> Picture(const TaskBatch& batch, int64_t step) const = 0;
};

// The task of an experiment. ConfigError for models that are not built (built_models.h). `dtype`: float32 or float64,
// that of the parameters.
absl::StatusOr<std::unique_ptr<Task>> MakeTask(const ValidatedExperiment& experiment, at::ScalarType dtype,
                                               at::Device device);

// What makes its batches, also for models that are not built. Arguments as above.
absl::StatusOr<std::unique_ptr<BatchMaker>> MakeBatchMaker(const ValidatedExperiment& experiment, at::ScalarType dtype,
                                                           at::Device device);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_TASK_H_
