// Rows gathered as the voxel VAE's decoder does (each parent's row for its children), and as an embedding does (few
// rows many times), beside LibTorch's index_select and its gradient (index_add, which is not deterministic).
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/gather_rows/gather_rows_torch.h"

namespace cubist {
namespace {

const at::TensorOptions kOnGpu = at::TensorOptions().device(at::kCUDA);

struct Gradients {
  at::Tensor y, dx;
};

Gradients Both(const at::Tensor& values, const at::Tensor& index, const at::Tensor& dy) {
  const at::Tensor x = values.detach().requires_grad_();
  const at::Tensor y = GatherRows(x, index);
  y.backward(dy);
  return {y.detach(), x.grad()};
}

// Against the CPU twin (when small) and LibTorch's path. Returns the gradient's error; exits when it is too large.
double Verify(const at::Tensor& values, const at::Tensor& index, const at::Tensor& dy) {
  const Gradients ours = Both(values, index, dy);
  const at::Tensor y = at::index_select(values, 0, index.clamp_min(0)).mul_(index.ge(0).unsqueeze(1));
  const at::Tensor dx = at::zeros(values.sizes(), kOnGpu.dtype(at::kFloat))
                            .index_add_(0, index.clamp_min(0), dy.to(at::kFloat).mul_(index.ge(0).unsqueeze(1)));
  double error = ours.dx.to(at::kFloat).sub(dx).norm().item<double>() / dx.norm().item<double>();
  bool good = ours.y.equal(y);
  if (index.size(0) < 100000) {
    const Gradients host = Both(values.cpu().to(at::kDouble), index.cpu(), dy.cpu().to(at::kDouble));
    error = std::max(error, RelativeError(ours.dx, host.dx));
    good = good && ours.y.cpu().to(at::kDouble).equal(host.y);
  } else {
    // 8,192 rows of the gradient against the twin: all that was picked of those.
    const at::Tensor rows = at::randint(values.size(0), {8192}, kOnGpu.dtype(at::kLong));
    const at::Tensor wanted = at::zeros({values.size(0)}, kOnGpu.dtype(at::kBool)).index_fill_(0, rows, 1);
    const at::Tensor used = wanted.index_select(0, index.clamp_min(0)).logical_and_(index.ge(0)).nonzero().select(1, 0);
    const Gradients host = Both(values.cpu().to(at::kDouble), index.index_select(0, used).cpu(),
                                dy.index_select(0, used).cpu().to(at::kDouble));
    error = std::max(error, RelativeError(ours.dx.index_select(0, rows), host.dx.index_select(0, rows.cpu())));
  }
  good = good && error < (values.scalar_type() == at::kFloat ? 1e-5 : 4e-3);
  if (!good) {
    std::printf("verification failed: error %g\n", error);
    std::exit(1);
  }
  return error;
}

void Run(Benchmark& benchmark, const std::string& name, const at::Tensor& index, int64_t rows, int64_t channels,
         at::ScalarType dtype) {
  const at::Tensor values = at::randn({rows, channels}, kOnGpu).to(dtype);
  const int64_t picked = index.size(0);
  const at::Tensor dy = at::randn({picked, channels}, kOnGpu).to(dtype);
  const double error = Verify(values, index, dy);
  const std::string shape = std::to_string(picked) + " of " + std::to_string(rows) + " x " + std::to_string(channels) +
                            (dtype == at::kFloat ? " f32" : " bf16");
  const double element = static_cast<double>(values.element_size());
  const double bytes = element * static_cast<double>((rows + picked) * channels) + 8.0 * static_cast<double>(picked);
  benchmark.Time(name, shape, {0, bytes, 0}, [&] { GatherRows(values, index); });
  const at::Tensor good_index = index.clamp_min(0);
  benchmark.Time("  LibTorch index_select", shape, {0, bytes}, [&] { at::index_select(values, 0, good_index); });
  const at::Tensor x = values.detach().requires_grad_();
  const at::Tensor y = GatherRows(x, index);
  benchmark.Time("  gradient", shape, {0, bytes, error}, [&] {
    x.mutable_grad() = at::Tensor();
    y.backward(dy, /*retain_graph=*/true);
  });
  benchmark.Time("  LibTorch index_add", shape, {0, bytes},
                 [&] { at::zeros(values.sizes(), values.options()).index_add_(0, good_index, dy); });
}

}  // namespace
}  // namespace cubist

int main() {
  using namespace cubist;  // NOLINT(google-build-using-namespace)
  Benchmark benchmark("gather_rows");
  const at::TensorOptions long_on_gpu = kOnGpu.dtype(at::kLong);
  // Children in the order of voxels: a parent's come in four pairs, each beside those of its neighbours.
  const auto children = [&](int64_t parents) {
    const at::Tensor i = at::arange(8 * parents, long_on_gpu);
    return i.div(256, "floor").mul(32).add(i.remainder(64).div(2, "floor"));
  };
  Verify(at::randn({2000, 128}, kOnGpu).to(at::kBFloat16), children(2000).clamp_max(1999),
         at::randn({16000, 128}, kOnGpu).to(at::kBFloat16));
  Verify(at::randn({23, 32}, kOnGpu), at::randint(-1, 23, {50000}, long_on_gpu), at::randn({50000, 32}, kOnGpu));
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    Run(benchmark, "subdivide", children(98304), 98304, 128, dtype);
    const at::Tensor kept = at::randint(2, {786432}, long_on_gpu).nonzero().select(1, 0).contiguous();
    Run(benchmark, "prune", kept, 786432, 64, dtype);
  }
  Run(benchmark, "embedding", at::randint(23, {196608}, long_on_gpu), 23, 32, at::kFloat);
  at::Tensor fill = at::full({262144}, -1, long_on_gpu);
  fill.slice(0, 0, 262144, 6).copy_(at::arange(43691, long_on_gpu));
  Run(benchmark, "fill the neck", fill, 43691, 256, at::kBFloat16);
}
