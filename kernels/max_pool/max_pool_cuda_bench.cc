// Max pooling of as many voxels as a street scene has, beside LibTorch's scatter_reduce (amax).
#include <ATen/ops/arange.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <cstdio>
#include <string>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/max_pool/max_pool_torch.h"

namespace cubist {
namespace {

const at::TensorOptions kOnGpu = at::TensorOptions().device(at::kCUDA);

struct Results {
  at::Tensor y, dx;
};

Results Both(const at::Tensor& values, const at::Tensor& parent, const at::Tensor& dy) {
  const at::Tensor x = values.detach().requires_grad_();
  const at::Tensor y = MaxPool(x, parent, dy.size(0));
  y.backward(dy);
  return {y.detach(), x.grad()};
}

void Require(bool good, const char* what) {
  if (good) return;
  std::printf("verification failed: %s\n", what);
  std::exit(1);
}

// All of it equals the CPU twin (integers among the values: ties), and the values LibTorch's.
void Verify(const at::Tensor& values, const at::Tensor& parent, const at::Tensor& dy) {
  const Results ours = Both(values, parent, dy);
  const Results host = Both(values.cpu().to(at::kFloat), parent.cpu(), dy.cpu().to(at::kFloat));
  Require(ours.y.cpu().to(at::kFloat).equal(host.y), "maxima");
  Require(ours.dx.cpu().to(at::kFloat).equal(host.dx), "gradient");
  const at::Tensor theirs = at::zeros(dy.sizes(), values.options())
                                .scatter_reduce_(0, parent.unsqueeze(1).expand(values.sizes()), values, "amax", false);
  Require(ours.y.equal(theirs), "maxima, by scatter_reduce");
}

void Run(Benchmark& benchmark, int64_t fine, int64_t coarse, int64_t channels, at::ScalarType dtype) {
  const at::Tensor values = at::randn({fine, channels}, kOnGpu).mul_(8).round_().to(dtype);
  // Blocks of 2 x 2 x 2 voxels in a leaf's order: pairs of neighbours, beside those of the next block.
  const at::Tensor i = at::arange(fine, kOnGpu.dtype(at::kLong));
  const at::Tensor parent = i.div(256, "floor").mul(32).add(i.remainder(64).div(2, "floor")).remainder(coarse);
  const at::Tensor dy = at::randn({coarse, channels}, kOnGpu).to(dtype);
  Verify(values, parent, dy);
  const std::string shape = std::to_string(fine) + " to " + std::to_string(coarse) + " x " + std::to_string(channels) +
                            (dtype == at::kFloat ? " f32" : " bf16");
  const double element = static_cast<double>(values.element_size()), n = static_cast<double>(fine * channels);
  const double m = static_cast<double>(coarse * channels), index_bytes = 8.0 * static_cast<double>(fine);
  const at::Tensor x = values.detach().requires_grad_();
  benchmark.Time("max pool", shape, {0, element * (n + m) + 4 * m + index_bytes, 0},
                 [&] { MaxPool(x, parent, coarse); });
  benchmark.Time("  LibTorch scatter_reduce", shape, {0, element * (n + m) + index_bytes}, [&] {
    at::zeros(dy.sizes(), values.options())
        .scatter_reduce_(0, parent.unsqueeze(1).expand(values.sizes()), values, "amax", false);
  });
  const at::Tensor y = MaxPool(x, parent, coarse);
  benchmark.Time("  gradient", shape, {0, element * (n + m) + 4 * m + index_bytes, 0}, [&] {
    x.mutable_grad() = at::Tensor();
    y.backward(dy, /*retain_graph=*/true);
  });
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark benchmark("max_pool");
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    cubist::Run(benchmark, 786432, 98304, 64, dtype);
    cubist::Run(benchmark, 196608, 24576, 128, dtype);
  }
}
