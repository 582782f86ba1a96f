// The latent of the voxel VAE (64^3 cells, 8 channels), beside the same by LibTorch's operations.
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/latent_sample/latent_sample_torch.h"

namespace cubist {
namespace {

const at::TensorOptions kOnGpu = at::TensorOptions().device(at::kCUDA);

std::pair<at::Tensor, at::Tensor> Ours(const at::Tensor& moments, const at::Tensor& noise) {
  return LatentSample(moments, noise);
}

std::pair<at::Tensor, at::Tensor> Theirs(const at::Tensor& moments, const at::Tensor& noise) {
  const int64_t channels = noise.size(1);
  const at::Tensor all = moments.to(at::kFloat);
  const at::Tensor mean = all.narrow(1, 0, channels), log_variance = all.narrow(1, channels, channels);
  return {log_variance.mul(0.5).exp().mul(noise).add(mean),
          log_variance.exp().add(mean.square()).sub(1).sub(log_variance).sum(1).mul(0.5)};
}

struct Results {
  at::Tensor z, divergence, dmoments;
};

template <typename Operation>
Results All(const Operation& operation, const at::Tensor& moments, const at::Tensor& noise, const at::Tensor& dz,
            const at::Tensor& u) {
  const at::Tensor x = moments.detach().requires_grad_();
  const auto [z, divergence] = operation(x, noise);
  z.mul(dz).sum().add(divergence.mul(u).sum()).backward();
  return {z.detach(), divergence.detach(), x.grad()};
}

void Run(Benchmark& benchmark, int64_t cells, at::ScalarType dtype) {
  const int64_t channels = 8;
  const at::Tensor moments = at::randn({cells, 2 * channels}, kOnGpu).to(dtype);
  const at::Tensor noise = at::randn({cells, channels}, kOnGpu), dz = at::randn({cells, channels}, kOnGpu).to(dtype);
  const at::Tensor u = at::randn({cells}, kOnGpu);
  const Results ours = All(Ours, moments, noise, dz, u);
  const auto on_host = [](const at::Tensor& tensor) { return tensor.cpu().to(at::kDouble); };
  const Results host = All(Ours, on_host(moments), on_host(noise), on_host(dz), on_host(u));
  const Results theirs = All(Theirs, moments, noise, dz, u);
  const double error =
      std::max({RelativeError(ours.z, host.z), RelativeError(ours.divergence, host.divergence),
                RelativeError(ours.dmoments, host.dmoments), RelativeError(ours.z, theirs.z),
                RelativeError(ours.divergence, theirs.divergence), RelativeError(ours.dmoments, theirs.dmoments)});
  if (!(error < (dtype == at::kFloat ? 1e-5 : 4e-3))) {
    std::printf("verification failed: error %g\n", error);
    std::exit(1);
  }
  const std::string shape = std::to_string(cells) + " x 8" + (dtype == at::kFloat ? " f32" : " bf16");
  const double n = static_cast<double>(cells * channels), element = static_cast<double>(moments.element_size());
  const double forward_bytes = n * (3 * element + 4) + 4.0 * static_cast<double>(cells);
  const double gradient_bytes = n * (5 * element + 4) + 4.0 * static_cast<double>(cells);
  const at::Tensor x = moments.detach().requires_grad_();
  benchmark.Time("latent sample", shape, {0, forward_bytes, error}, [&] { Ours(x, noise); });
  benchmark.Time("  LibTorch", shape, {0, forward_bytes}, [&] { Theirs(x, noise); });
  // Both results' gradients at once.
  const auto both = [&](const auto& operation) {
    return [&] {
      x.mutable_grad() = at::Tensor();
      const auto [z, divergence] = operation(x, noise);
      torch::autograd::backward({z, divergence}, {dz.to(z.scalar_type()), u});
    };
  };
  benchmark.Time("  forward and gradient", shape, {0, forward_bytes + gradient_bytes, error}, both(Ours));
  benchmark.Time("  LibTorch forward and gradient", shape, {0, forward_bytes + gradient_bytes}, both(Theirs));
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark benchmark("latent_sample");
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    cubist::Run(benchmark, 262144, dtype);
    cubist::Run(benchmark, 2097152, dtype);
  }
}
