// Normal numbers for latents of 64^3 cells, beside LibTorch's (float32 arithmetic, and other numbers).
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <cstdio>
#include <string>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/random_normal/random_normal_torch.h"

int main() {
  using namespace cubist;  // NOLINT(google-build-using-namespace)
  Benchmark benchmark("random_normal");
  const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA);
  for (const int64_t batch : {1, 8, 32}) {
    const std::vector<int64_t> shape = {batch, 262144, 8};
    const at::Tensor draws = at::arange(batch, on_gpu.dtype(at::kLong));
    const auto numbers = [&](const at::Tensor& at_draws, int64_t samples) {
      return RandomNormal({samples, 262144, 8}, 42, RandomPurpose::kLatentNoise, at_draws);
    };
    // The first sample as a whole; a sample depends on nothing but its draw.
    const double error = RelativeError(numbers(draws, batch)[0], numbers(draws.slice(0, 0, 1).cpu(), 1)[0]);
    if (!(error < 1e-8)) {
      std::printf("verification failed: error %g\n", error);
      return 1;
    }
    const std::string name = std::to_string(batch) + " x 262144 x 8 f32";
    const double bytes = 4.0 * 262144 * 8 * static_cast<double>(batch);
    benchmark.Time("normal numbers", name, {0, bytes, error}, [&] { numbers(draws, batch); });
    at::Tensor theirs = at::empty(shape, on_gpu.dtype(at::kFloat));
    benchmark.Time("  LibTorch normal_", name, {0, bytes}, [&] { theirs.normal_(); });
    benchmark.Time("fill uniform", name, {0, bytes, 0}, [&] { FillUniform(theirs, 1, 2, 0.5); });
  }
}
