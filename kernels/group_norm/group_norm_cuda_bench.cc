// Group normalisation with SiLU before or behind it on a GPU, forward and with gradients, beside LibTorch's group_norm
// and silu on the same values as [B, C, X] (the layout that they want).
//
// Before a shape is timed: with 1/64 of its rows, all of y, dx, dgamma and dbeta are compared with the CPU twin in
// double; at its full size, all entries of two seeded groups of each sample with the twin, and all entries of
// everything with LibTorch in float32. Exit code 1 if anything differs by more than its dtype's rounding.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/group_norm.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/silu.h"
#include "absl/strings/str_format.h"
#include "c10/core/GradMode.h"
#include "kernels/cuda/benchmark.h"
#include "kernels/group_norm/group_norm_torch.h"
#include "torch/csrc/autograd/autograd.h"

namespace cubist {
namespace {

struct Shape {
  int64_t samples, rows, channels, groups;
  GroupNormSilu silu;
  at::ScalarType dtype = at::kBFloat16;
};

const char* NameOf(GroupNormSilu silu) {
  if (silu == GroupNormSilu::kNone) return "";
  return silu == GroupNormSilu::kOfInput ? ", silu of x" : ", silu";
}

// Forward and gradients of x, gamma and beta.
struct Results {
  at::Tensor y, dx, dgamma, dbeta;
};

// ||got - wanted|| / ||wanted||, where both are.
double Compare(const at::Tensor& got, const at::Tensor& wanted, double tolerance, const char* what) {
  const at::Tensor there = got.to(wanted.device(), wanted.scalar_type());
  const double error = there.sub(wanted).norm().item().toDouble() / wanted.norm().item().toDouble();
  if (error <= tolerance) return error;  // not NaN
  std::fprintf(stderr, "%s: relative error %g\n", what, error);
  std::exit(1);
}

// Returns the largest error of y and dx.
double CompareAll(const Results& got, const Results& wanted, double tolerance, double parameter_tolerance,
                  const std::string& what) {
  const double error = Compare(got.y, wanted.y, tolerance, (what + ": y").c_str());
  Compare(got.dgamma, wanted.dgamma, parameter_tolerance, (what + ": dgamma").c_str());
  Compare(got.dbeta, wanted.dbeta, parameter_tolerance, (what + ": dbeta").c_str());
  return std::max(error, Compare(got.dx, wanted.dx, tolerance, (what + ": dx").c_str()));
}

class Problem {
 public:
  Problem(const Shape& shape, int64_t rows) : shape_(shape), rows_(rows) {
    for (int64_t b = 0; b <= shape.samples; ++b) offsets_.push_back(b * rows);
    const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);
    const std::vector<int64_t> size = {shape.samples * rows, shape.channels};
    x = at::randn(size, on_gpu).mul_(2.0).add_(0.5).to(shape.dtype).requires_grad_();
    dy = at::randn(size, on_gpu).add_(0.25).to(shape.dtype);
    gamma = at::randn({shape.channels}, on_gpu).mul_(0.5).add_(1.0).requires_grad_();
    beta = at::randn({shape.channels}, on_gpu).requires_grad_();
  }

  at::Tensor Forward() const { return GroupNorm(x, offsets_, gamma, beta, {shape_.groups, 1e-5, shape_.silu}); }
  Results Both() const { return WithGradients(Forward(), x, gamma, beta, dy); }

  // The same by LibTorch on [B, C, X].
  at::Tensor ForwardOfLibTorch(const at::Tensor& x_in, const at::Tensor& gamma_in, const at::Tensor& beta_in) const {
    const at::Tensor u = shape_.silu == GroupNormSilu::kOfInput ? at::silu(x_in) : x_in;
    const at::Tensor z = at::group_norm(u, shape_.groups, gamma_in, beta_in);
    return shape_.silu == GroupNormSilu::kOfOutput ? at::silu(z) : z;
  }
  at::Tensor ChannelsFirst(const at::Tensor& tensor) const {
    return tensor.detach().view({shape_.samples, rows_, shape_.channels}).transpose(1, 2).contiguous();
  }
  at::Tensor ChannelsLast(const at::Tensor& tensor) const {
    return tensor.transpose(1, 2).reshape({shape_.samples * rows_, shape_.channels});
  }
  Results BothOfLibTorch() const {
    const at::Tensor x_in = ChannelsFirst(x.detach().to(at::kFloat)).requires_grad_();
    const at::Tensor y = ForwardOfLibTorch(x_in, gamma, beta);
    Results results = WithGradients(y, x_in, gamma, beta, ChannelsFirst(dy.to(at::kFloat)));
    return {ChannelsLast(results.y), ChannelsLast(results.dx), results.dgamma, results.dbeta};
  }

  // By the CPU twin in double for `count` channels (whole groups) from `first` on.
  Results Twin(int64_t first, int64_t count) const {
    const auto part = [&](const at::Tensor& tensor) {
      const at::Tensor channels = tensor.detach().narrow(tensor.dim() - 1, first, count);
      return channels.contiguous().to(at::kCPU).to(at::kDouble).requires_grad_();
    };
    const at::Tensor x_in = part(x), gamma_in = part(gamma), beta_in = part(beta);
    const int64_t groups = count / (shape_.channels / shape_.groups);
    const at::Tensor y = GroupNorm(x_in, offsets_, gamma_in, beta_in, {groups, 1e-5, shape_.silu});
    return WithGradients(y, x_in, gamma_in, beta_in, part(dy).detach());
  }

  static Results WithGradients(const at::Tensor& y, const at::Tensor& x, const at::Tensor& gamma,
                               const at::Tensor& beta, const at::Tensor& dy) {
    const std::vector<at::Tensor> gradients = torch::autograd::grad({y}, {x, gamma, beta}, {dy});
    return {y.detach(), gradients[0], gradients[1], gradients[2]};
  }

  // Exits where GroupNorm with `inputs` differs from its formula in float32 by LibTorch's operations; else returns the
  // error of y. With x handed on, dy is the gradient of both.
  double CompareWithFormula(const std::vector<int64_t>& offsets, const GroupNormInputs& inputs, bool backward,
                            bool and_input, const std::string& what) const {
    const std::vector<int64_t> split = {shape_.samples, rows_, shape_.groups, shape_.channels / shape_.groups};
    const std::vector<int64_t> of_sample = {shape_.samples, 1, -1};
    const at::Tensor values = x.detach().to(at::kFloat).requires_grad_();
    at::Tensor away = (shape_.silu == GroupNormSilu::kOfInput ? at::silu(values) : values).view(split);
    away = away - away.mean({1, 3}, /*keepdim=*/true);
    const at::Tensor xhat = away / (away.square().mean({1, 3}, /*keepdim=*/true) + 1e-5).sqrt();
    at::Tensor z = xhat.view({shape_.samples, rows_, shape_.channels}) * gamma + beta;
    if (inputs.scale.defined()) z = z * (inputs.scale.view(of_sample) + 1) + inputs.shift.view(of_sample);
    z = (shape_.silu == GroupNormSilu::kOfOutput ? at::silu(z) : z).view({-1, shape_.channels});
    if (inputs.residual.defined()) z = z + inputs.residual;
    if (!backward) return Compare(Run(offsets, inputs), z, 1e-2, (what + ": y").c_str());
    Results wanted = WithGradients(z, values, gamma, beta, dy.to(at::kFloat));
    if (and_input) wanted.dx = wanted.dx + dy;
    return CompareAll(RunBoth(offsets, inputs, and_input), wanted, 1e-2, 1e-3, what);
  }

  at::Tensor Run(const std::vector<int64_t>& offsets, const GroupNormInputs& inputs) const {
    return GroupNorm(x, offsets, gamma, beta, {shape_.groups, 1e-5, shape_.silu}, inputs);
  }
  Results RunBoth(const std::vector<int64_t>& offsets, const GroupNormInputs& inputs, bool and_input) const {
    if (!and_input) return WithGradients(Run(offsets, inputs), x, gamma, beta, dy);
    const auto [y, again] = GroupNormAndInput(x, offsets, gamma, beta, {shape_.groups, 1e-5, shape_.silu}, inputs);
    const std::vector<at::Tensor> gradients = torch::autograd::grad({y, again}, {x, gamma, beta}, {dy, dy});
    return {y.detach(), gradients[0], gradients[1], gradients[2]};
  }

  at::Tensor x, dy, gamma, beta;

 private:
  Shape shape_;
  int64_t rows_;
  std::vector<int64_t> offsets_;
};

// Returns the largest error of y and dx against the twin.
double Verify(const Shape& shape, const Problem& problem) {
  const bool exact = shape.dtype == at::kFloat;
  const double tolerance = exact ? 1e-5 : 1e-2;
  const Problem small(shape, shape.rows / 64);
  double error = CompareAll(small.Both(), small.Twin(0, shape.channels), tolerance, 1e-5, "1/64 of the rows");
  const Results got = problem.Both();
  const int64_t group_size = shape.channels / shape.groups;
  for (int k = 0; k < 2; ++k) {
    const int64_t first = (7 + 5 * k) % shape.groups * group_size;
    const auto part = [&](const at::Tensor& tensor) { return tensor.narrow(tensor.dim() - 1, first, group_size); };
    error = std::max(error, CompareAll({part(got.y), part(got.dx), part(got.dgamma), part(got.dbeta)},
                                       problem.Twin(first, group_size), tolerance, 1e-5, "a group"));
  }
  // LibTorch adds up in float32 in another order.
  CompareAll(got, problem.BothOfLibTorch(), exact ? 1e-4 : tolerance, 1e-3, "LibTorch");
  return error;
}

void Time(Benchmark& benchmark, const Shape& shape) {
  const Problem problem(shape, shape.rows);
  BenchmarkWork forward, both;
  both.relative_error = forward.relative_error = Verify(shape, problem);
  const double array = static_cast<double>(problem.x.numel() * problem.x.element_size());
  forward.bytes = 2 * array;  // x, y
  both.bytes = 5 * array;     // and x, dy, dx
  const std::string name =
      absl::StrFormat("[%d, %d, %d], %d groups%s %s", shape.samples, shape.rows, shape.channels, shape.groups,
                      NameOf(shape.silu), shape.dtype == at::kFloat ? "fp32" : "bf16");
  {
    const at::NoGradGuard no_gradients;
    benchmark.Time("forward", name, forward, [&] { problem.Forward(); });
  }
  benchmark.Time("forward+backward", name, both, [&] { problem.Both(); });

  const at::Tensor x = problem.ChannelsFirst(problem.x).requires_grad_(), dy = problem.ChannelsFirst(problem.dy);
  const at::Tensor gamma = problem.gamma.detach().to(shape.dtype).requires_grad_();
  const at::Tensor beta = problem.beta.detach().to(shape.dtype).requires_grad_();
  {
    const at::NoGradGuard no_gradients;
    benchmark.Time("LibTorch forward", name, {0, forward.bytes}, [&] { problem.ForwardOfLibTorch(x, gamma, beta); });
  }
  benchmark.Time("LibTorch forward+backward", name, {0, both.bytes},
                 [&] { Problem::WithGradients(problem.ForwardOfLibTorch(x, gamma, beta), x, gamma, beta, dy); });
}

// What the diffusion model's blocks and sums with another branch add: modulation, residual, and the gradient of x's
// other use.
void TimeInputs(Benchmark& benchmark, const Shape& shape) {
  const Problem problem(shape, shape.rows);
  std::vector<int64_t> offsets;
  for (int64_t b = 0; b <= shape.samples; ++b) offsets.push_back(b * shape.rows);
  const at::TensorOptions on_gpu = problem.gamma.options().requires_grad(false);
  GroupNormInputs modulation, residual;
  modulation.scale = at::randn({shape.samples, shape.channels}, on_gpu);
  modulation.shift = at::randn({shape.samples, shape.channels}, on_gpu);
  residual.residual = problem.dy;
  const double array = static_cast<double>(problem.x.numel() * problem.x.element_size());
  const std::string name = absl::StrFormat("[%d, %d, %d], %d groups%s", shape.samples, shape.rows, shape.channels,
                                           shape.groups, NameOf(shape.silu));
  const auto time = [&](const char* operation, const GroupNormInputs& inputs, double arrays, bool backward,
                        bool and_input = false) {
    BenchmarkWork work;
    work.bytes = arrays * array;
    const at::AutoGradMode mode(backward);
    work.relative_error = problem.CompareWithFormula(offsets, inputs, backward, and_input, operation);
    benchmark.Time(operation, name, work, [&] {
      if (backward) {
        problem.RunBoth(offsets, inputs, and_input);
      } else {
        problem.Run(offsets, inputs);
      }
    });
  };
  time("modulated, forward", modulation, 2, false);
  time("modulated, forward+backward", modulation, 5, true);
  time("residual, forward", residual, 3, false);
  time("x used twice, forward+backward", {}, 6, true, /*and_input=*/true);
}

int Main() {
  Benchmark benchmark("group_norm_cuda_bench");
  constexpr GroupNormSilu kNone = GroupNormSilu::kNone, kOfInput = GroupNormSilu::kOfInput;
  constexpr GroupNormSilu kOfOutput = GroupNormSilu::kOfOutput;
  for (const Shape& shape :
       {Shape{2, 262144, 192, 32, kOfOutput}, Shape{2, 262144, 192, 32, kOfOutput, at::kFloat},
        Shape{1, 262144, 256, 8, kOfOutput}, Shape{1, 262144, 256, 8, kOfInput}, Shape{1, 262144, 256, 8, kNone},
        Shape{1, 196608, 64, 8, kNone}, Shape{1, 83000, 128, 8, kNone}}) {
    Time(benchmark, shape);
  }
  TimeInputs(benchmark, {2, 262144, 192, 32, kOfOutput});
  TimeInputs(benchmark, {1, 262144, 256, 8, kNone});
  return 0;
}

}  // namespace
}  // namespace cubist

int main() { return cubist::Main(); }
