// SiLU and the sum with another branch at the end of the voxel VAE's residual blocks, beside LibTorch's two operations.
// Verified against the twin in double and against LibTorch, all entries, before it is timed.
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "c10/core/GradMode.h"
#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/silu_add/silu_add_torch.h"

namespace cubist {
namespace {

at::Tensor Ours(const at::Tensor& x, const at::Tensor& residual) { return SiluAdd(x, residual); }
at::Tensor Theirs(const at::Tensor& x, const at::Tensor& residual) { return at::silu(x).add(residual); }

struct Results {
  at::Tensor y, dx, dresidual;
};

template <typename Operation>
Results All(const Operation& operation, const at::Tensor& x_in, const at::Tensor& residual_in, const at::Tensor& dy) {
  const at::Tensor x = x_in.detach().requires_grad_(), residual = residual_in.detach().requires_grad_();
  const at::Tensor y = operation(x, residual);
  const std::vector<at::Tensor> gradients = torch::autograd::grad({y}, {x, residual}, {dy});
  return {y.detach(), gradients[0], gradients[1]};
}

double Error(const Results& got, const Results& wanted) {
  return std::max({RelativeError(got.y, wanted.y), RelativeError(got.dx, wanted.dx),
                   RelativeError(got.dresidual, wanted.dresidual)});
}

void Run(Benchmark& benchmark, int64_t rows, int64_t channels, at::ScalarType dtype) {
  const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA);
  const auto numbers = [&] { return at::randn({rows, channels}, on_gpu).mul_(2).to(dtype); };
  const at::Tensor x = numbers(), residual = numbers(), dy = numbers();
  const Results ours = All(Ours, x, residual, dy);
  const auto on_host = [](const at::Tensor& tensor) { return tensor.cpu().to(at::kDouble); };
  const double error = Error(ours, All(Ours, on_host(x), on_host(residual), on_host(dy)));
  const double tolerance = dtype == at::kFloat ? 1e-6 : 4e-3;
  // LibTorch rounds once more, between its operations.
  const double of_peer = Error(ours, All(Theirs, x, residual, dy));
  if (!(error < tolerance && of_peer < 2 * tolerance)) {
    std::printf("verification failed: error %g, from LibTorch's %g\n", error, of_peer);
    std::exit(1);
  }
  const std::string shape =
      std::to_string(rows) + " x " + std::to_string(channels) + (dtype == at::kFloat ? " f32" : " bf16");
  const double array = static_cast<double>(x.numel() * x.element_size());
  const at::Tensor x_in = x.requires_grad_(), residual_in = residual.requires_grad_();
  const auto time = [&](const std::string& name, double error_of, const auto& operation) {
    {
      const at::NoGradGuard no_gradients;
      benchmark.Time(name + "forward", shape, {0, 3 * array, error_of}, [&] { operation(x_in, residual_in); });
    }
    benchmark.Time(name + "forward+backward", shape, {0, 6 * array, error_of}, [&] {
      torch::autograd::grad({operation(x_in, residual_in)}, {x_in, residual_in}, {dy});
    });
  };
  time("", error, Ours);
  time("LibTorch ", -1, Theirs);
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark benchmark("silu_add_cuda_bench");
  cubist::Run(benchmark, 262144, 256, at::kBFloat16);
  cubist::Run(benchmark, 196608, 64, at::kBFloat16);
  cubist::Run(benchmark, 262144, 64, at::kFloat);
}
