// Compiled without fused multiply-add (BUILD), so that elements get the bits that the host would give them; the passes
// wait for memory, not for arithmetic.
#include <algorithm>

#include "kernels/adamw/adamw_cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;
// Blocks of the first stage of a sum: the same on every card, so that its order is; a full wave of an H100.
constexpr int kSumBlocks = 1056;
// Packs of four floats that a thread of the sum has in flight.
constexpr int kSumPacks = 4;

struct StepState {
  AdamwFactors<float> factors;
  bool apply;
};

// The sum of all threads' values in a fixed order; in thread 0.
template <int kBlockThreads>
__device__ double BlockSum(double value) {
  __shared__ double warp_sums[kBlockThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xFFFFFFFFu, value, offset);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0) {
    for (const double warp_sum : warp_sums) sum += warp_sum;
  }
  return sum;
}

__device__ double Square(float value) { return static_cast<double>(value) * static_cast<double>(value); }

// Block sums of squares. The last size % 4 elements, and all of an unaligned array, are read one by one.
__global__ void __launch_bounds__(kThreads)
    SquareSums(const float* gradient, int64_t size, bool aligned, double* block_sums) {
  const int64_t packs = aligned ? size / 4 : 0;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  constexpr int64_t kStride = int64_t{kSumBlocks} * kThreads;
  double sums[4] = {};
  int64_t k = thread;
  for (; k + (kSumPacks - 1) * kStride < packs; k += kSumPacks * kStride) {
    Packed<float, 4> pack[kSumPacks];
    for (int j = 0; j < kSumPacks; ++j) pack[j] = LoadPacked<4>(gradient, 4 * (k + j * kStride));
    for (int j = 0; j < kSumPacks; ++j) {
      for (int lane = 0; lane < 4; ++lane) sums[lane] += Square(pack[j].value[lane]);
    }
  }
  for (; k < packs; k += kStride) {
    const Packed<float, 4> pack = LoadPacked<4>(gradient, 4 * k);
    for (int lane = 0; lane < 4; ++lane) sums[lane] += Square(pack.value[lane]);
  }
  for (int64_t i = 4 * packs + thread; i < size; i += kStride) sums[0] += Square(gradient[i]);
  const double sum = BlockSum<kThreads>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x == 0) block_sums[blockIdx.x] = sum;
}

// The squares of finite floats never add up to infinity in double, so the sum itself says whether all are finite.
template <typename Norm>
__global__ void __launch_bounds__(kThreads) FinishNorm(const double* block_sums, Norm* norm, bool* finite) {
  double sum = 0;
  for (int k = threadIdx.x; k < kSumBlocks; k += kThreads) sum += block_sums[k];
  sum = BlockSum<kThreads>(sum);
  if (threadIdx.x != 0) return;
  *norm = static_cast<Norm>(sqrt(sum));
  *finite = isfinite(sum);
}

__device__ float Clamp(float value, float limit) { return value > limit ? limit : (value < -limit ? -limit : value); }

// values[i] = change(values[i]) for all i.
template <typename Change>
__global__ void __launch_bounds__(kThreads) ChangeElements(float* values, int64_t size, bool aligned, Change change) {
  const int64_t packs = aligned ? size / 4 : 0;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  const auto apply = change.Get();
  for (int64_t k = thread; k < packs; k += stride) {
    Packed<float, 4> pack = LoadPacked<4>(values, 4 * k);
    for (float& value : pack.value) value = apply(value);
    StorePacked(values, 4 * k, pack);
  }
  for (int64_t i = 4 * packs + thread; i < size; i += stride) values[i] = apply(values[i]);
}

struct ClampTo {
  float limit;
  __device__ auto Get() const {
    return [limit = limit](float value) { return Clamp(value, limit); };
  }
};

struct ScaleBy {
  const double* factor;
  __device__ auto Get() const {
    return [scale = static_cast<float>(*factor)](float value) { return value * scale; };
  }
};

__global__ void PrepareStep(int64_t* step, const bool* predicate, AdamwOptions options, LearningRateSchedule schedule,
                            double ema_decay, StepState* state) {
  const bool apply = *predicate;
  state->apply = apply;
  if (!apply) return;
  state->factors = AdamwFactorsAt<float>(*step, options, schedule, ema_decay);
  ++*step;
}

template <int kWidth, bool kAmsgrad, bool kEma, bool kCopy>
__device__ void StepElements(const AdamwFactors<float>& f, const AdamwArrays<float>& arrays, int64_t i) {
  Packed<float, kWidth> gradient = LoadPacked<kWidth>(arrays.gradient, i);
  Packed<float, kWidth> exp_avg = LoadPacked<kWidth>(arrays.exp_avg, i);
  Packed<float, kWidth> exp_avg_sq = LoadPacked<kWidth>(arrays.exp_avg_sq, i);
  Packed<float, kWidth> parameter = LoadPacked<kWidth>(arrays.parameter, i);
  Packed<float, kWidth> largest, ema;
  if constexpr (kAmsgrad) largest = LoadPacked<kWidth>(arrays.max_exp_avg_sq, i);
  if constexpr (kEma) ema = LoadPacked<kWidth>(arrays.ema, i);
  Packed<__nv_bfloat16, kWidth> copy;
  for (int j = 0; j < kWidth; ++j) {
    const float g = Clamp(gradient.value[j], f.limit);
    const float m = f.beta1 * exp_avg.value[j] + f.rest1 * g;
    const float v = f.beta2 * exp_avg_sq.value[j] + f.rest2 * (g * g);
    exp_avg.value[j] = m;
    exp_avg_sq.value[j] = v;
    float second = v;
    if constexpr (kAmsgrad) {
      second = largest.value[j] > v ? largest.value[j] : v;
      largest.value[j] = second;
    }
    const float p = parameter.value[j] * f.keep - f.rate * (m / (sqrtf(second) * f.root + f.epsilon));
    parameter.value[j] = p;
    if constexpr (kEma) ema.value[j] = ema.value[j] - f.ema_rest * (ema.value[j] - p);
    if constexpr (kCopy) copy.value[j] = __float2bfloat16_rn(p);
  }
  StorePacked(arrays.parameter, i, parameter);
  StorePacked(arrays.exp_avg, i, exp_avg);
  StorePacked(arrays.exp_avg_sq, i, exp_avg_sq);
  if constexpr (kAmsgrad) StorePacked(arrays.max_exp_avg_sq, i, largest);
  if constexpr (kEma) StorePacked(arrays.ema, i, ema);
  if constexpr (kCopy) StorePacked(reinterpret_cast<__nv_bfloat16*>(arrays.bfloat16_copy), i, copy);
}

template <bool kAmsgrad, bool kEma, bool kCopy>
__global__ void __launch_bounds__(kThreads) Step(AdamwArrays<float> arrays, const StepState* state, bool aligned) {
  if (!state->apply) return;
  const AdamwFactors<float> factors = state->factors;
  const int64_t packs = aligned ? arrays.size / 4 : 0;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t k = thread; k < packs; k += stride) {
    StepElements<4, kAmsgrad, kEma, kCopy>(factors, arrays, 4 * k);
  }
  for (int64_t i = 4 * packs + thread; i < arrays.size; i += stride) {
    StepElements<1, kAmsgrad, kEma, kCopy>(factors, arrays, i);
  }
}

// Blocks for packs of four of `size` elements, a pack a thread; none for no elements.
int64_t BlocksFor(int64_t size) { return std::min<int64_t>(CeilDivide<int64_t>(size, 4 * kThreads), 1 << 20); }

template <typename Change>
cudaError_t LaunchChange(View<float, 1> values, Change change, cudaStream_t stream) {
  const int64_t size = values.shape[0];
  if (size == 0) return cudaSuccess;
  ChangeElements<<<BlocksFor(size), kThreads, 0, stream>>>(values.data, size, IsAligned(16, values.data), change);
  return cudaGetLastError();
}

}  // namespace

size_t GradientNormWorkspaceBytes() { return kSumBlocks * sizeof(double); }
size_t AdamwStepWorkspaceBytes() { return sizeof(StepState); }

template <typename Norm>
cudaError_t GradientFiniteAndNormCuda(View<const float, 1> gradient, Norm* norm, bool* finite, void* workspace,
                                      cudaStream_t stream) {
  double* const block_sums = static_cast<double*>(workspace);
  SquareSums<<<kSumBlocks, kThreads, 0, stream>>>(gradient.data, gradient.shape[0], IsAligned(16, gradient.data),
                                                  block_sums);
  FinishNorm<<<1, kThreads, 0, stream>>>(block_sums, norm, finite);
  return cudaGetLastError();
}
template cudaError_t GradientFiniteAndNormCuda<float>(View<const float, 1>, float*, bool*, void*, cudaStream_t);
template cudaError_t GradientFiniteAndNormCuda<double>(View<const float, 1>, double*, bool*, void*, cudaStream_t);

cudaError_t ClampGradientCuda(View<float, 1> gradient, double limit, cudaStream_t stream) {
  return LaunchChange(gradient, ClampTo{static_cast<float>(limit)}, stream);
}

cudaError_t ScaleGradientCuda(View<float, 1> gradient, const double* factor, cudaStream_t stream) {
  return LaunchChange(gradient, ScaleBy{factor}, stream);
}

cudaError_t AdamwStepCuda(const AdamwArrays<float>& arrays, int64_t* step, const bool* predicate,
                          const AdamwOptions& options, const LearningRateSchedule& schedule, double ema_decay,
                          void* workspace, cudaStream_t stream) {
  StepState* const state = static_cast<StepState*>(workspace);
  PrepareStep<<<1, 1, 0, stream>>>(step, predicate, options, schedule, ema_decay, state);
  if (arrays.size == 0) return cudaGetLastError();
  const bool aligned = IsAligned(16, arrays.parameter, arrays.gradient, arrays.exp_avg, arrays.exp_avg_sq,
                                 arrays.max_exp_avg_sq, arrays.ema) &&
                       IsAligned(8, arrays.bfloat16_copy);
  constexpr decltype(&Step<true, true, true>) kSteps[2][2][2] = {
      {{Step<false, false, false>, Step<false, false, true>}, {Step<false, true, false>, Step<false, true, true>}},
      {{Step<true, false, false>, Step<true, false, true>}, {Step<true, true, false>, Step<true, true, true>}}};
  auto* const kernel = kSteps[arrays.max_exp_avg_sq != nullptr][arrays.ema != nullptr][arrays.bfloat16_copy != nullptr];
  kernel<<<BlocksFor(arrays.size), kThreads, 0, stream>>>(arrays, state, aligned);
  return cudaGetLastError();
}

}  // namespace cubist
