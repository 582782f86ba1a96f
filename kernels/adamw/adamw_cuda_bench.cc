// The optimizer's step and reduction over 19.6 M parameters (the voxel VAE) and 812 M (the reference's diffusion UNet),
// beside what LibTorch needs for the same: clamp_, its fused AdamW with amsgrad, lerp_ and a conversion.
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>
#include <vector>

#include "kernels/adamw/adamw_torch.h"
#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"

namespace cubist {
namespace {

constexpr double kClip = 0.5, kRate = 1e-4, kEmaDecay = 0.9999;

const at::TensorOptions kOnGpu = at::TensorOptions().device(at::kCUDA).dtype(at::kFloat);

// parameter, exp_avg, exp_avg_sq, max_exp_avg_sq, ema, bfloat16 copy, step; after `steps` steps.
using State = std::vector<at::Tensor>;

State RandomState(int64_t size, int64_t steps) {
  State state = {at::randn({size}, kOnGpu), at::randn({size}, kOnGpu).mul_(0.1), at::rand({size}, kOnGpu).mul_(0.01)};
  state.push_back(state[2].mul(1.5));
  state.push_back(state[0].clone());
  state.push_back(at::zeros({size}, kOnGpu.dtype(at::kBFloat16)));
  state.push_back(at::full({1}, steps, kOnGpu.dtype(at::kLong)));
  return state;
}

void OurStep(const State& state, const at::Tensor& gradient, const at::Tensor& predicate) {
  AdamwOptions options;
  options.clip_value = kClip;
  AdamwStep(state[0], gradient, state[1], state[2], state[3], state[4], state[6], predicate, options,
            {kRate, 1.0, 1, 1, 0}, kEmaDecay, state[5]);
}

void TheirStep(const State& state, const at::Tensor& gradient, const at::Tensor& count) {
  const int64_t steps = 101;
  gradient.clamp_(-kClip, kClip);
  at::_fused_adamw_({state[0]}, {gradient}, {state[1]}, {state[2]}, {state[3]}, {count}, kRate, 0.9, 0.999, 0.0, 1e-8,
                    /*amsgrad=*/true, /*maximize=*/false);
  state[4].lerp_(state[0], 1.0 - EmaDecayAt(kEmaDecay, steps));
  state[5].copy_(state[0]);
}

// Against the CPU twin on `entries` seeded elements (all when 0), and as a whole against LibTorch. Returns the larger
// error of the second comparison; exits when one is too large.
double Verify(int64_t size, int64_t entries) {
  const State state = RandomState(size, 100);
  const at::Tensor gradient = at::randn({size}, kOnGpu), yes = at::full({1}, true, kOnGpu.dtype(at::kBool));
  const at::Tensor chosen =
      entries == 0 ? at::arange(size, kOnGpu.dtype(at::kLong)) : at::randint(size, {entries}, kOnGpu.dtype(at::kLong));
  State twin, theirs;
  for (int k = 0; k < 6; ++k) twin.push_back(state[k].index_select(0, chosen).cpu());
  twin.push_back(state[6].cpu());
  for (const at::Tensor& tensor : state) theirs.push_back(tensor.clone());
  OurStep(twin, gradient.index_select(0, chosen).cpu(), yes.cpu());
  OurStep(state, gradient, yes);
  double error = 0;
  bool good = true;
  for (int k = 0; k < 6; ++k) good = good && SameBits(state[k].index_select(0, chosen), twin[k]);
  TheirStep(theirs, gradient, at::full({}, 101.0, kOnGpu));
  for (int k = 0; k < 6; ++k) {
    // On the GPU, where 812 M elements are compared in a moment.
    const double norm = theirs[k].norm(2, at::kDouble).item<double>();
    const double difference = state[k].to(at::kFloat).sub_(theirs[k]).norm(2, at::kDouble).item<double>() / norm;
    good = good && difference < (k == 5 ? 1e-3 : 1e-6);
    if (k < 5) error = std::max(error, difference);
  }
  if (!good) {
    std::printf("verification failed at %lld elements: error %g\n", static_cast<long long>(size), error);
    std::exit(1);
  }
  return error;
}

void Run(Benchmark& benchmark, int64_t size) {
  const std::string shape = std::to_string(size) + " parameters";
  const double error = Verify(size, 1 << 16);
  const State state = RandomState(size, 100);
  const at::Tensor gradient = at::randn({size}, kOnGpu), yes = at::full({1}, true, kOnGpu.dtype(at::kBool));
  const at::Tensor no = at::full({1}, false, kOnGpu.dtype(at::kBool)), count = at::full({}, 101.0, kOnGpu);
  const double n = static_cast<double>(size);
  const double ours =
      benchmark.Time("step, clip, EMA, bf16 copy", shape, {0, 46 * n, error}, [&] { OurStep(state, gradient, yes); });
  benchmark.Time("  the same, predicate false", shape, {}, [&] { OurStep(state, gradient, no); });
  // What is counted is what it needs, not what its passes move.
  const double theirs = benchmark.Time("  LibTorch: clamp, fused, lerp, copy", shape, {0, 46 * n},
                                       [&] { TheirStep(state, gradient, count); });
  const at::Tensor norm = at::zeros({1}, kOnGpu.dtype(at::kDouble)), finite = yes.clone();
  GradientFiniteAndNorm(gradient, norm, finite);
  const double wanted = gradient.norm(2, at::kDouble).item<double>();
  const double norm_error = std::abs(norm.item<double>() / wanted - 1);
  if (!(norm_error < 1e-9) || !finite.item<bool>()) {
    std::printf("verification failed: norm %.17g, not %.17g\n", norm.item<double>(), wanted);
    std::exit(1);
  }
  const double reduction = benchmark.Time("finite and norm", shape, {0, 4 * n, norm_error},
                                          [&] { GradientFiniteAndNorm(gradient, norm, finite); });
  const double their_reduction = benchmark.Time("  LibTorch: norm, isfinite.all", shape, {0, 4 * n}, [&] {
    const at::Tensor their_norm = gradient.norm(2, at::kDouble), all = at::isfinite(gradient).all();
  });
  const at::Tensor one = at::full({1}, 1.0, kOnGpu.dtype(at::kDouble));
  const at::Tensor changed = gradient.clone();
  ClampGradient(changed, kClip);
  ScaleGradient(changed, one.mul(0.5));
  if (!changed.equal(gradient.clamp(-kClip, kClip).mul(0.5))) {
    std::printf("verification failed: clamped and scaled\n");
    std::exit(1);
  }
  benchmark.Time("clamp in place", shape, {0, 8 * n, 0}, [&] { ClampGradient(gradient, 10.0); });
  benchmark.Time("scale in place", shape, {0, 8 * n, 0}, [&] { ScaleGradient(gradient, one); });
  std::printf("%s: step %.2f times, finite and norm %.2f times as fast as LibTorch\n", shape.c_str(), theirs / ours,
              their_reduction / reduction);
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark benchmark("adamw");
  cubist::Verify(100003, 0);
  cubist::Run(benchmark, 19593024);
  cubist::Run(benchmark, 812000000);
}
