// Parameters, gradients, moments and moving averages in flat storage, and AdamW over it.
//
// Each kind of number lies in one 1-D tensor; a parameter is a slice of it. The same few kernels then
// serve any model, gradients are reduced over ranks as one tensor, and a skip is a predicate on the
// device, not a decision of the host.
#ifndef CUBIST_TOOLS_TRAINING_OPTIMIZER_FLAT_OPTIMIZER_H_
#define CUBIST_TOOLS_TRAINING_OPTIMIZER_FLAT_OPTIMIZER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/adamw/adamw_torch.h"
#include "models/nn/module.h"

namespace cubist {

struct FlatOptimizerOptions {
  AdamwOptions adamw;
  LearningRateSchedule schedule;
  double ema_decay = 0;   // 0: no moving average
  double clip_value = 0;  // 0: no clamping
  bool clip_each_micro_batch = false;
};

// A named slice of flat storage in the parameter's shape.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

class FlatOptimizer {
 public:
  // Moves the parameters into flat storage of `dtype` (float32 or float64) on `device`; their values stay,
  // their handles too, and each one's gradient becomes a slice of gradient().
  FlatOptimizer(std::vector<Parameter> parameters, const FlatOptimizerOptions& options, at::ScalarType dtype,
                at::Device device);

  // The sum of gradients of the step at hand, [M]: backward adds to it, ranks reduce it.
  const at::Tensor& gradient() const { return gradient_; }
  void ZeroGradient();
  // To be called after the backward of each micro-batch of a step but the last. `rank_batch`: samples of
  // this rank in the step. Clamps the running sum when clip_each_micro_batch.
  void BetweenMicroBatches(int64_t rank_batch);
  // Divides gradient() by `samples` (float64 [1]), checks, clamps, and takes a step if all of it is finite and
  // `proceed` (bool [1]) is true. If not, no parameter, moment, average or step count changes by a bit. Decided
  // where the tensors live; the host waits for nothing.
  void Step(const at::Tensor& samples, const at::Tensor& proceed);

  // Of the last Step: Euclidean norm of the divided gradient before clamping, float64 [1], and whether the step
  // was taken, bool [1].
  const at::Tensor& gradient_norm() const { return norm_; }
  const at::Tensor& taken() const { return taken_; }
  // int64 [1]: steps taken. The learning rate follows it.
  const at::Tensor& steps() const { return step_; }
  // Of the step that follows `step` taken ones.
  double LearningRateOfStep(int64_t step) const { return LearningRateAt(options_.schedule, step); }

  // The parameters whose gradients gradient() holds, in order, with their slices of it.
  std::vector<NamedTensor> GradientSlices() const { return Slices(gradient_, ""); }

  // What a checkpoint holds. Groups: "model"; "optimizer" with exp_avg.NAME, exp_avg_sq.NAME,
  // max_exp_avg_sq.NAME (amsgrad) and "step"; "ema" with the moving averages, when there are any. The
  // tensors are the storage itself: writing to them restores the state.
  std::vector<NamedTensor> Group(const std::string& group) const;
  std::vector<std::string> Groups() const;

  int64_t parameter_count() const { return parameter_count_; }

 private:
  std::vector<NamedTensor> Slices(const at::Tensor& flat, const std::string& prefix) const;

  FlatOptimizerOptions options_;
  std::vector<Parameter> parameters_;
  std::vector<int64_t> offsets_;  // of each parameter's slice
  int64_t parameter_count_ = 0;
  at::Tensor value_, gradient_, exp_avg_, exp_avg_sq_, max_exp_avg_sq_, ema_;
  at::Tensor step_, norm_, taken_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_OPTIMIZER_FLAT_OPTIMIZER_H_
