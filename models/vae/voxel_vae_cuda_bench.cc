// One training micro-step of the voxel VAE's full recipe on a GPU:
//   voxel_vae_cuda_bench [VOXELS]
// VOXELS: int32 rows (sample, i, j, k) of level 0 of one scene, as tests/peers makes them; else a made-up street.
// First the loss in BF16 and TF32 is held against strict FP32 on the same scene; then forward and backward are timed,
// with the decoder's masks forced to the ground truth, free ones at random initialisation, and masks that fill level 0
// up to the limit of candidates.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/current_stream.h"
#include "models/vae/testing/vae_scene.h"
#include "models/vae/voxel_vae_loss.h"

namespace cubist {
namespace {

constexpr uint32_t kSeed = 0;
constexpr int kRepetitions = 10;

at::Tensor ReadVoxels(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  TORCH_CHECK(!bytes.empty() && bytes.size() % 16 == 0, path, " has no rows of four int32");
  at::Tensor rows = at::empty({static_cast<int64_t>(bytes.size() / 16), 4}, at::kInt);
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(rows.mutable_data_ptr()));
  return rows.narrow(1, 1, 3).contiguous();
}

// Points in a micro-step between which time is taken.
constexpr const char* kParts[] = {"encode", "decode", "loss", "backward", "metrics"};
constexpr int kNumParts = 5;

class MicroStep {
 public:
  MicroStep(const VoxelVaeOptions& options, const at::Tensor& voxels)
      : options_(options),
        network_(options),
        scene_(MakeVaeScene(options, voxels, kSeed, at::kFloat, at::kCUDA)),
        stream_(CurrentStream(scene_.noise)) {
    InitializeParameters(network_, kSeed);
    for (const Parameter& parameter : network_.Parameters()) {
      at::Tensor handle = parameter.value;
      handle.set_data(handle.detach().to(at::kCUDA));
      handle.mutable_grad() = at::zeros_like(handle);
    }
    for (cudaEvent_t& event : events_) CheckCuda(cudaEventCreate(&event), "MicroStep");
  }
  ~MicroStep() {
    for (cudaEvent_t& event : events_) (void)cudaEventDestroy(event);
  }

  // What the decoder keeps when it predicts the scene.
  const std::vector<at::Tensor>& truth() const { return scene_.occupied; }

  // `occupied`: as in VoxelVaeNetwork::Decode(). Returns the loss.
  at::Tensor Run(const std::vector<at::Tensor>& occupied) {
    Mark(0);
    const Latent latent = *network_.Encode(scene_.voxels, scene_.labels, scene_.noise);
    Mark(1);
    const Reconstruction reconstruction = *network_.Decode(latent.sample, 1, occupied);
    Mark(2);
    const VoxelVaeLoss loss = *ComputeVoxelVaeLoss({}, scene_.voxels, scene_.labels, latent, reconstruction);
    Mark(3);
    loss.total.backward();
    Mark(4);
    (void)loss.metrics();
    Mark(5);
    sizes_.clear();
    for (const StructureLevel& structure : reconstruction.structure) sizes_.push_back(structure.candidates.rows());
    sizes_.push_back(reconstruction.grid.num_voxels());
    return loss.total.detach();
  }

  // Prints a table of the parts' medians.
  void PrintParts(const std::vector<at::Tensor>& occupied) {
    std::vector<float> times[kNumParts];
    for (int i = -2; i < kRepetitions; ++i) {
      (void)Run(occupied);
      CheckCuda(cudaEventSynchronize(events_[kNumParts]), "MicroStep");
      for (int part = 0; part < kNumParts; ++part) {
        float time = 0;
        CheckCuda(cudaEventElapsedTime(&time, events_[part], events_[part + 1]), "MicroStep");
        if (i >= 0) times[part].push_back(time);
      }
    }
    for (int part = 0; part < kNumParts; ++part) {
      std::nth_element(times[part].begin(), times[part].begin() + kRepetitions / 2, times[part].end());
      std::printf("  %-10s %8.2f ms\n", kParts[part], times[part][kRepetitions / 2]);
    }
  }

  // Candidates of each level, coarse to fine, and voxels kept at the end.
  std::string Sizes() const {
    std::string text;
    for (const int64_t size : sizes_) text += (text.empty() ? "" : ", ") + std::to_string(size);
    return text;
  }
  int64_t voxels() const { return scene_.voxels.grids[0].num_voxels(); }

 private:
  void Mark(int place) { CheckCuda(cudaEventRecord(events_[place], stream_), "MicroStep"); }

  const VoxelVaeOptions options_;
  const VoxelVaeNetwork network_;
  const VaeScene scene_;
  const cudaStream_t stream_;
  cudaEvent_t events_[kNumParts + 1] = {};
  std::vector<int64_t> sizes_;
};

// Forward multiplications and additions of the convolutions over all neck cells; sparse ones are some 7 % more.
double NeckOperations(const VoxelVaeOptions& options) {
  const VoxelVaeNetwork network(options);
  const double cells = static_cast<double>(network.NeckCells()), c = 256, latent = 8;
  return 2 * 27 * cells * (8 * c * c + c * 2 * latent + latent * c);
}

// Masks that keep on each level as many cells, evenly spread, as may have children, and on level 0 all.
std::vector<at::Tensor> MasksAtTheLimit(const VoxelVaeOptions& options) {
  std::vector<at::Tensor> masks;
  int64_t cells = VoxelVaeNetwork(options).NeckCells();
  for (int level = options.num_levels - 1; level >= 0; --level) {
    const std::array<int, 3> factor = level == 0 ? std::array<int, 3>{1, 1, 1} : options.PoolingFactor(level);
    const int64_t children = int64_t{factor[0]} * factor[1] * factor[2];
    const int64_t kept = std::min(cells, options.max_candidates / children);
    const at::Tensor before =  // cells kept of those before each
        at::arange(cells + 1, at::TensorOptions().dtype(at::kLong).device(at::kCUDA)).mul(kept).div(cells, "floor");
    masks.push_back(before.narrow(0, 1, cells).ne(before.narrow(0, 0, cells)));
    cells = kept * children;
  }
  return masks;
}

// The neck's convolution in BF16 alone, held against FP32's. Returns whether it is near.
bool TimeNeckConvolution(const VoxelVaeOptions& options, Benchmark& benchmark) {
  const VoxelVaeNetwork network(options);
  const VoxelDomain neck(1, network.NeckDims(), at::kCUDA);
  const int64_t channels = options.ChannelsAt(options.num_levels - 1);
  const at::TensorOptions on_gpu = at::TensorOptions().dtype(at::kFloat).device(at::kCUDA);
  const at::Tensor x = at::randn({neck.rows(), channels}, on_gpu).to(at::kBFloat16).requires_grad_();
  const at::Tensor weight = at::randn({channels, channels, 3, 3, 3}, on_gpu).requires_grad_();
  BenchmarkWork work;
  {
    const at::NoGradGuard no_gradients;
    const at::Tensor wanted = neck.Convolve(x.to(at::kFloat), weight, at::Tensor());
    const at::Tensor difference = neck.Convolve(x, weight, at::Tensor()).to(at::kFloat).sub(wanted);
    work.relative_error = difference.norm().item<double>() / wanted.norm().item<double>();
  }
  work.operations = 2.0 * 27 * static_cast<double>(neck.rows() * channels * channels);
  const std::string shape = std::to_string(neck.rows()) + " x " + std::to_string(channels) + ", bf16";
  benchmark.Time("neck convolution, forward", shape, work, [&] {
    const at::NoGradGuard no_gradients;
    (void)neck.Convolve(x, weight, at::Tensor());
  });
  const at::Tensor dy = at::randn({neck.rows(), channels}, on_gpu).to(at::kBFloat16);
  const bool good = work.relative_error < 1e-2;
  work.operations *= 3;
  work.relative_error = -1;
  benchmark.Time("neck convolution, with backward", shape, work, [&] {
    x.mutable_grad() = weight.mutable_grad() = at::Tensor();
    neck.Convolve(x, weight, at::Tensor()).backward(dy);
  });
  if (!good) std::printf("FAILED: the neck's convolution in BF16\n");
  return good;
}

double LossOf(const VoxelVaeOptions& options, const at::Tensor& voxels) {
  MicroStep step(options, voxels);
  return step.Run(step.truth()).item<double>();
}

int Main(int argc, char** argv) {
  VoxelVaeOptions options;
  const at::Tensor voxels = argc > 1 ? ReadVoxels(argv[1]) : StreetVoxels(options);
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(true);
  context.setAllowTF32CuDNN(false);
  const double truth = LossOf(options, voxels);
  bool good = std::isfinite(truth);
  Benchmark benchmark("voxel_vae_cuda_bench");
  good = TimeNeckConvolution(options, benchmark) && good;
  for (const char* precision : {"BF16", "TF32"}) {
    const bool bfloat16 = std::string(precision) == "BF16";
    options.bfloat16_features = bfloat16;
    context.setAllowTF32CuDNN(!bfloat16);
    const double error = std::abs(LossOf(options, voxels) / truth - 1);
    if (!(error < (bfloat16 ? 2e-2 : 1e-2))) {
      std::printf("FAILED: the loss in %s is off by %.2e\n", precision, error);
      good = false;
    }
    for (const std::string masks : {"forced", "free", "most"}) {
      if (masks == "most" && !bfloat16) continue;
      c10::cuda::CUDACachingAllocator::emptyCache();
      c10::cuda::CUDACachingAllocator::resetPeakStats(0);
      MicroStep step(options, voxels);
      BenchmarkWork work;
      work.operations = 3 * NeckOperations(options);
      work.relative_error = masks == "forced" ? error : -1;
      const std::vector<at::Tensor> occupied = masks == "forced" ? step.truth()
                                               : masks == "most" ? MasksAtTheLimit(options)
                                                                 : std::vector<at::Tensor>();
      (void)step.Run(occupied);
      benchmark.TimeInARow(
          "micro-step, " + masks + " masks, " + precision, std::to_string(step.voxels()) + " voxels", work,
          [&] { (void)step.Run(occupied); }, kRepetitions);
      step.PrintParts(occupied);
      const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
      std::printf("  candidates and voxels: %s; peak memory %.1f GiB\n", step.Sizes().c_str(),
                  static_cast<double>(stats.allocated_bytes[0].peak) / (1 << 30));
    }
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
