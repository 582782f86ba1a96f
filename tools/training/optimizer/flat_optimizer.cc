#include "tools/training/optimizer/flat_optimizer.h"

#include <ATen/ops/logical_and.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/zeros.h>

#include <optional>
#include <utility>

namespace cubist {
namespace {

// Slices start at multiples of 64 bytes of float32: vector loads need no special first elements.
constexpr int64_t kAlignment = 16;

}  // namespace

FlatOptimizer::FlatOptimizer(std::vector<Parameter> parameters, const FlatOptimizerOptions& options,
                             at::ScalarType dtype, at::Device device)
    : options_(options), parameters_(std::move(parameters)) {
  options_.adamw.clip_value = options_.clip_value;
  int64_t size = 0;
  for (const Parameter& parameter : parameters_) {
    offsets_.push_back(size);
    parameter_count_ += parameter.value.numel();
    size += (parameter.value.numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  const at::TensorOptions number = at::TensorOptions().dtype(dtype).device(device);
  value_ = at::zeros({size}, number);
  gradient_ = at::zeros({size}, number);
  exp_avg_ = at::zeros({size}, number);
  exp_avg_sq_ = at::zeros({size}, number);
  max_exp_avg_sq_ = at::zeros({options_.adamw.amsgrad ? size : 0}, number);
  if (options_.ema_decay > 0) ema_ = at::zeros({size}, number);
  step_ = at::zeros({1}, number.dtype(at::kLong));
  norm_ = at::zeros({1}, number.dtype(at::kDouble));
  taken_ = at::zeros({1}, number.dtype(at::kBool));

  const std::vector<NamedTensor> values = Slices(value_, ""), gradients = Slices(gradient_, "");
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].value;
    values[i].tensor.copy_(parameter.detach());
    parameter.set_data(values[i].tensor);
    parameter.mutable_grad() = gradients[i].tensor;
  }
  if (ema_.defined()) ema_.copy_(value_);
}

std::vector<NamedTensor> FlatOptimizer::Slices(const at::Tensor& flat, const std::string& prefix) const {
  std::vector<NamedTensor> slices;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].value;
    slices.push_back(
        {prefix + parameters_[i].name, flat.narrow(0, offsets_[i], parameter.numel()).view(parameter.sizes())});
  }
  return slices;
}

void FlatOptimizer::ZeroGradient() { gradient_.zero_(); }

void FlatOptimizer::BetweenMicroBatches(int64_t rank_batch) {
  if (!options_.clip_each_micro_batch || options_.clip_value <= 0) return;
  // The reference clamps the running sum of batch means over accumulations; ours is a sum over samples.
  ClampGradient(gradient_, options_.clip_value * static_cast<double>(rank_batch));
}

void FlatOptimizer::Step(const at::Tensor& samples, const at::Tensor& proceed) {
  ScaleGradient(gradient_, samples.reciprocal());
  GradientFiniteAndNorm(gradient_, norm_, taken_);
  taken_.logical_and_(proceed);
  AdamwStep(value_, gradient_, exp_avg_, exp_avg_sq_, max_exp_avg_sq_,
            ema_.defined() ? std::optional<at::Tensor>(ema_) : std::nullopt, step_, taken_, options_.adamw,
            options_.schedule, options_.ema_decay);
}

std::vector<std::string> FlatOptimizer::Groups() const {
  std::vector<std::string> groups = {"model", "optimizer"};
  if (ema_.defined()) groups.push_back("ema");
  return groups;
}

std::vector<NamedTensor> FlatOptimizer::Group(const std::string& group) const {
  if (group == "model") return Slices(value_, "");
  if (group == "ema") return ema_.defined() ? Slices(ema_, "") : std::vector<NamedTensor>();
  std::vector<NamedTensor> tensors = Slices(exp_avg_, "exp_avg.");
  const auto append = [&tensors](std::vector<NamedTensor> more) {
    tensors.insert(tensors.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  append(Slices(exp_avg_sq_, "exp_avg_sq."));
  if (options_.adamw.amsgrad) append(Slices(max_exp_avg_sq_, "max_exp_avg_sq."));
  tensors.push_back({"step", step_});
  return tensors;
}

}  // namespace cubist
