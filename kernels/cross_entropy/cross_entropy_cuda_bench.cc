// Structure losses (2 classes) and semantic losses (23), beside LibTorch's cross_entropy_loss.
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"

namespace cubist {
namespace {

const at::TensorOptions kOnGpu = at::TensorOptions().device(at::kCUDA);

at::Tensor Theirs(const at::Tensor& logits, const at::Tensor& target) {
  return at::cross_entropy_loss(logits, target, /*weight=*/std::nullopt, at::Reduction::None);
}

struct Results {
  at::Tensor value, dlogits;
};

template <typename Operation>
Results Both(const Operation& operation, const at::Tensor& logits, const at::Tensor& target, const at::Tensor& u) {
  const at::Tensor x = logits.detach().requires_grad_();
  const at::Tensor value = operation(x, target);
  value.backward(u.to(value.scalar_type()));
  return {value.detach(), x.grad()};
}

double Verify(const at::Tensor& logits, const at::Tensor& target, const at::Tensor& u) {
  const Results ours = Both(CrossEntropy, logits, target, u);
  const Results host = Both(CrossEntropy, logits.cpu().to(at::kDouble), target.cpu(), u.cpu());
  const Results theirs = Both(Theirs, logits.to(at::kFloat), target, u);
  const double error = std::max({RelativeError(ours.value, host.value), RelativeError(ours.dlogits, host.dlogits),
                                 RelativeError(ours.value, theirs.value), RelativeError(ours.dlogits, theirs.dlogits)});
  if (!(error < (logits.scalar_type() == at::kFloat ? 1e-5 : 4e-3))) {
    std::printf("verification failed: error %g\n", error);
    std::exit(1);
  }
  return error;
}

void Run(Benchmark& benchmark, int64_t rows, int64_t classes, at::ScalarType dtype) {
  const at::Tensor logits = at::randn({rows, classes}, kOnGpu).mul_(3).to(dtype);
  const at::Tensor target = at::randint(classes, {rows}, kOnGpu.dtype(at::kLong)), u = at::randn({rows}, kOnGpu);
  const double error = Verify(logits, target, u);
  const std::string shape =
      std::to_string(rows) + " x " + std::to_string(classes) + (dtype == at::kFloat ? " f32" : " bf16");
  const double n = static_cast<double>(rows), logit_bytes = n * static_cast<double>(classes * logits.element_size());
  const at::Tensor x = logits.detach().requires_grad_();
  const auto gradient_of = [&](const at::Tensor& value) {
    return [&x, value, upstream = u.to(value.scalar_type())] {
      x.mutable_grad() = at::Tensor();
      value.backward(upstream, /*retain_graph=*/true);
    };
  };
  benchmark.Time("cross entropy", shape, {0, logit_bytes + 12 * n, error}, [&] { CrossEntropy(x, target); });
  benchmark.Time("  LibTorch", shape, {0, logit_bytes + 12 * n}, [&] { Theirs(x, target); });
  benchmark.Time("  gradient", shape, {0, 2 * logit_bytes + 12 * n, error}, gradient_of(CrossEntropy(x, target)));
  benchmark.Time("  LibTorch gradient", shape, {0, 2 * logit_bytes + 12 * n}, gradient_of(Theirs(x, target)));
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark benchmark("cross_entropy");
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    cubist::Run(benchmark, 2000003, 2, dtype);
    cubist::Run(benchmark, 1000003, 23, dtype);
  }
}
