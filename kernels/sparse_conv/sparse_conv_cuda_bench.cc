// Sparse convolution on a GPU, in bfloat16: forward, input gradient, weight gradient, and forward with backward as
// autograd runs them. Checks them first (completely against the CPU twin on a smaller level; at the timed size on
// seeded entries against plain loops, and on the whole against a gather, a matrix product and a scatter a tap), exits
// with 1 if one fails. Only neighbours that exist are counted as operations.
//   sparse_conv_cuda_bench [--index FILE]...   FILE: int32 [N, 4] of (sample, i, j, k), raw little-endian
#include <cuda_bf16.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/nonzero.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/str_format.h"
#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/sparse_conv_cuda.h"
#include "kernels/sparse_conv/sparse_conv_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

constexpr double kGatherBandwidth = 5.5e12;  // byte/s of rows read from the second-level cache

bool failed = false;

// The canonical order of rows: sample, root tile, upper child, lower child, voxel (kernels/voxel_grid/leaf_table.h).
std::array<int64_t, 7> OrderKey(const std::array<int, 4>& voxel) {
  const auto [b, i, j, k] = voxel;
  const auto bits = [&](int low, int count) {
    const int mask = (1 << count) - 1;
    return (((i >> low & mask) << count | (j >> low & mask)) << count) | (k >> low & mask);
  };
  return {b, i >> 12, j >> 12, k >> 12, bits(7, 5), bits(3, 4), bits(0, 3)};
}

void SortCanonically(TestVoxels& voxels) {
  std::sort(voxels.begin(), voxels.end(), [](const auto& a, const auto& b) { return OrderKey(a) < OrderKey(b); });
}

// A street's surface of extent^2 columns, each of its voxels refined into a full block, as a decoder's candidates are.
TestVoxels Street(int extent, int factor_xy, int factor_z) {
  TestVoxels voxels;
  for (const auto& [b, x, y, z] : SurfaceTestVoxels(extent)) {
    for (int i = 0; i < factor_xy; ++i) {
      for (int j = 0; j < factor_xy; ++j) {
        for (int k = 0; k < factor_z; ++k) {
          voxels.push_back({b, x * factor_xy + i, y * factor_xy + j, z * factor_z + k});
        }
      }
    }
  }
  SortCanonically(voxels);
  return voxels;
}

TestVoxels ReadIndex(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || bytes.empty() || bytes.size() % 16 != 0) {
    std::fprintf(stderr, "%s cannot be read, or is no int32 [N, 4]\n", path.c_str());
    std::exit(2);
  }
  TestVoxels voxels(bytes.size() / 16);
  std::memcpy(voxels.data(), bytes.data(), bytes.size());
  SortCanonically(voxels);
  return voxels;
}

// TestNeighborMap, by hashing: levels here have hundreds of thousands of rows.
std::vector<int32_t> HashedNeighborMap(const TestVoxels& voxels) {
  const auto key = [](int b, int i, int j, int k) {
    const auto part = [](int x) { return static_cast<uint64_t>(x) & 0x3ffff; };
    return static_cast<uint64_t>(b) << 54 | part(i) << 36 | part(j) << 18 | part(k);
  };
  const size_t rows = voxels.size();
  std::unordered_map<uint64_t, int32_t> row_of;
  row_of.reserve(2 * rows);
  for (size_t row = 0; row < rows; ++row) {
    const auto [b, i, j, k] = voxels[row];
    row_of[key(b, i, j, k)] = static_cast<int32_t>(row);
  }
  std::vector<int32_t> neighbor_map(27 * rows, -1);
  for (size_t row = 0; row < rows; ++row) {
    const auto [b, i, j, k] = voxels[row];
    for (int tap = 0; tap < 27; ++tap) {
      const auto found = row_of.find(key(b, i + tap / 9 - 1, j + tap / 3 % 3 - 1, k + tap % 3 - 1));
      if (found != row_of.end()) neighbor_map[tap * rows + row] = found->second;
    }
  }
  return neighbor_map;
}

void Expect(const std::string& what, double error, double limit) {
  if (error <= limit) return;  // NaN fails
  std::printf("FAILED: %s is off by %g, %g at most was expected\n", what.c_str(), error, limit);
  failed = true;
}

struct Problem {
  Problem(const TestVoxels& voxels, int64_t ci_in, int64_t co_in) : ci(ci_in), co(co_in) {
    rows = static_cast<int64_t>(voxels.size());
    host_map = HashedNeighborMap(voxels);
    pairs = static_cast<int64_t>(host_map.size()) - std::count(host_map.begin(), host_map.end(), -1);
    map = TensorOf<int32_t>(host_map, {27, rows}).cuda();
    const auto numbers = [](at::IntArrayRef shape, int64_t count, uint32_t seed) {
      return TensorOf(TestNumbers<float>(count, seed), shape);
    };
    // On the host in float32, of the values that the GPU has in bfloat16.
    host_x = numbers({rows, ci}, rows * ci, 1).to(at::kBFloat16).to(at::kFloat);
    host_dy = numbers({rows, co}, rows * co, 2).to(at::kBFloat16).to(at::kFloat);
    host_weight = numbers({co, ci, 3, 3, 3}, co * ci * 27, 3);
    x = host_x.to(at::kBFloat16).cuda();
    dy = host_dy.to(at::kBFloat16).cuda();
    weight = host_weight.cuda();
    y = at::empty({rows, co}, x.options());
    dx = at::empty({rows, ci}, x.options());
    dweight = at::empty(weight.sizes(), weight.options());
  }

  at::Tensor Memory(int64_t bytes) const { return at::empty({bytes}, x.options().dtype(at::kByte)); }

  SparseConvWeights Layout(SparseConvPath path, bool for_gradient) const {
    SparseConvWeights layout;
    layout.path = path;
    layout.inputs = for_gradient ? co : ci;
    layout.outputs = for_gradient ? ci : co;
    return layout;
  }

  // With the packing of the weights.
  void Convolve(SparseConvPath path, bool for_gradient) {
    const SparseConvWeights layout = Layout(path, for_gradient);
    const at::Tensor packed = Memory(layout.Bytes());
    const cudaStream_t stream = CurrentStream(x);
    CheckCuda(PackSparseConvWeightsCuda(ViewOf<const float, 5>(weight), for_gradient, layout, packed.mutable_data_ptr(),
                                        stream),
              "Pack");
    CheckCuda(SparseConvCuda<__nv_bfloat16>(ViewAs<const __nv_bfloat16, 2>(for_gradient ? dy : x), layout,
                                            packed.const_data_ptr(), ViewOf<const int32_t, 2>(map), nullptr,
                                            ViewAs<__nv_bfloat16, 2>(for_gradient ? dx : y), stream),
              "Convolve");
  }

  void WeightGradient(SparseConvPath path) {
    const at::Tensor workspace =
        Memory(SparseConvWeightGradientWorkspace(SparseConvMath::kBfloat16, path, rows, ci, co));
    CheckCuda(
        SparseConvWeightGradientCuda<__nv_bfloat16>(
            SparseConvMath::kBfloat16, path, ViewAs<const __nv_bfloat16, 2>(x), ViewAs<const __nv_bfloat16, 2>(dy),
            ViewOf<const int32_t, 2>(map), workspace.mutable_data_ptr(), ViewOf<float, 5>(dweight), CurrentStream(x)),
        "WeightGradient");
  }

  void RunAll(SparseConvPath path) {
    y.fill_(std::nan(""));
    dx.fill_(std::nan(""));
    dweight.fill_(std::nan(""));
    Convolve(path, false);
    Convolve(path, true);
    WeightGradient(path);
  }

  // All results against the CPU twin in float32.
  void CheckAgainstTwin(const std::string& name) {
    at::Tensor wanted_y = at::empty({rows, co}, at::kFloat), wanted_dx = at::empty({rows, ci}, at::kFloat);
    at::Tensor wanted_dweight = at::empty(host_weight.sizes(), at::kFloat);
    const View<const int32_t, 2> map_view(host_map.data(), {27, rows});
    SparseConvForwardCpu<float>(ViewOf<const float, 2>(host_x), ViewOf<const float, 5>(host_weight), map_view, nullptr,
                                ViewOf<float, 2>(wanted_y));
    SparseConvInputGradientCpu<float>(ViewOf<const float, 2>(host_dy), ViewOf<const float, 5>(host_weight), map_view,
                                      ViewOf<float, 2>(wanted_dx));
    SparseConvWeightGradientCpu<float>(ViewOf<const float, 2>(host_x), ViewOf<const float, 2>(host_dy), map_view,
                                       ViewOf<float, 5>(wanted_dweight));
    Expect(name + " y against the twin", RelativeError(y, wanted_y), 1e-2);
    Expect(name + " dx against the twin", RelativeError(dx, wanted_dx), 1e-2);
    Expect(name + " dweight against the twin", RelativeError(dweight, wanted_dweight), 1e-2);
  }

  // 4,104 entries of each result against the definition in double.
  void CheckEntries(const std::string& name) const {
    constexpr int kEntries = 4104;  // 152 a tap
    const PhiloxKey key(7, RandomPurpose::kSynthesis);
    const float *xs = host_x.const_data_ptr<float>(), *dys = host_dy.const_data_ptr<float>();
    const View<const float, 5> w = ViewOf<const float, 5>(host_weight);
    const auto relative = [](const std::vector<double>& got, const std::vector<double>& wanted) {
      double difference = 0, norm = 0;
      for (size_t k = 0; k < got.size(); ++k) {
        difference += (got[k] - wanted[k]) * (got[k] - wanted[k]);
        norm += wanted[k] * wanted[k];
      }
      return std::sqrt(difference / norm);
    };
    const at::Tensor host_y = y.cpu().to(at::kDouble), host_dx = dx.cpu().to(at::kDouble);
    std::vector<double> got[3], wanted[3];
    for (int entry = 0; entry < kEntries; ++entry) {
      const int64_t row = PhiloxInteger(key, 1, entry, rows);
      const int64_t o = PhiloxInteger(key, 2, entry, co), i = PhiloxInteger(key, 3, entry, ci);
      double sum_y = 0, sum_dx = 0;
      for (int tap = 0; tap < 27; ++tap) {
        const int64_t from = host_map[tap * rows + row], to = host_map[(26 - tap) * rows + row];
        for (int64_t c = 0; from >= 0 && c < ci; ++c)
          sum_y += xs[from * ci + c] * w(o, c, tap % 3, tap / 3 % 3, tap / 9);
        for (int64_t c = 0; to >= 0 && c < co; ++c) sum_dx += dys[to * co + c] * w(c, i, tap % 3, tap / 3 % 3, tap / 9);
      }
      wanted[0].push_back(sum_y);
      got[0].push_back(host_y.const_data_ptr<double>()[row * co + o]);
      wanted[1].push_back(sum_dx);
      got[1].push_back(host_dx.const_data_ptr<double>()[row * ci + i]);
    }
    const at::Tensor host_dweight = dweight.cpu();
    for (int tap = 0; tap < 27; ++tap) {
      std::vector<std::pair<int64_t, int64_t>> channels;
      for (int entry = 0; entry < kEntries / 27; ++entry) {
        channels.emplace_back(PhiloxInteger(key, 4 + tap, 2 * entry, ci),
                              PhiloxInteger(key, 4 + tap, 2 * entry + 1, co));
      }
      std::vector<double> sums(channels.size(), 0.0);
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t from = host_map[tap * rows + row];
        for (size_t k = 0; from >= 0 && k < channels.size(); ++k) {
          sums[k] += static_cast<double>(xs[from * ci + channels[k].first]) * dys[row * co + channels[k].second];
        }
      }
      const View<const float, 5> result = ViewOf<const float, 5>(host_dweight);
      for (size_t k = 0; k < channels.size(); ++k) {
        wanted[2].push_back(sums[k]);
        got[2].push_back(result(channels[k].second, channels[k].first, tap % 3, tap / 3 % 3, tap / 9));
      }
    }
    const char* const names[] = {" entries of y", " entries of dx", " entries of dweight"};
    for (int k = 0; k < 3; ++k) Expect(name + names[k], relative(got[k], wanted[k]), 1e-2);
  }

  // All results against a gather, a product in float32 and a scatter a tap. Returns the errors of y, dx, dweight.
  std::array<double, 3> CheckAgainstGather(const std::string& name) const {
    const at::Tensor wanted_y = at::zeros({rows, co}, weight.options());
    const at::Tensor wanted_dx = at::zeros({rows, ci}, weight.options());
    const at::Tensor wanted_dweight = at::zeros_like(weight);
    const at::Tensor x_float = x.to(at::kFloat), dy_float = dy.to(at::kFloat);
    for (int tap = 0; tap < 27; ++tap) {
      const at::Tensor of_tap = map.select(0, tap);
      const at::Tensor to = at::nonzero(of_tap.ge(0)).flatten();
      const at::Tensor from = of_tap.index_select(0, to).to(at::kLong);
      // [Co, Ci] of the tap.
      const at::Tensor w = weight.select(4, tap / 9).select(3, tap / 3 % 3).select(2, tap % 3);
      const at::Tensor inputs = x_float.index_select(0, from), gradients = dy_float.index_select(0, to);
      wanted_y.index_add_(0, to, inputs.mm(w.t()));
      wanted_dx.index_add_(0, from, gradients.mm(w));
      wanted_dweight.select(4, tap / 9).select(3, tap / 3 % 3).select(2, tap % 3).copy_(gradients.t().mm(inputs));
    }
    const std::array<double, 3> errors = {RelativeError(y, wanted_y), RelativeError(dx, wanted_dx),
                                          RelativeError(dweight, wanted_dweight)};
    const char* const names[] = {" y", " dx", " dweight"};
    for (int k = 0; k < 3; ++k) Expect(name + names[k] + " against gathers", errors[k], 1e-2);
    return errors;
  }

  int64_t rows, ci, co, pairs;
  std::vector<int32_t> host_map;
  at::Tensor host_x, host_dy, host_weight, map, x, dy, weight, y, dx, dweight;
};

void Run(Benchmark& benchmark, const std::string& level, const TestVoxels& voxels, const TestVoxels& small, int64_t ci,
         int64_t co) {
  const SparseConvPath fastest = FastestSparseConvPath(SparseConvMath::kBfloat16);
  std::vector<SparseConvPath> paths = {fastest};
  if (fastest != SparseConvPath::kPortable) paths.push_back(SparseConvPath::kPortable);
  const auto path_name = [](SparseConvPath path) { return path == SparseConvPath::kHopper ? "wgmma" : "mma.sync"; };

  Problem problem(voxels, ci, co);
  const std::string shape = absl::StrFormat("%s %d x %d->%d, %.1f taps", level, problem.rows, ci, co,
                                            static_cast<double>(problem.pairs) / static_cast<double>(problem.rows));
  BenchmarkWork work;
  work.operations = 2.0 * static_cast<double>(problem.pairs * ci * co);
  const double weights = 2.0 * 27 * static_cast<double>(ci * co);
  work.bytes = static_cast<double>(problem.rows) * (2.0 * static_cast<double>(ci + co) + 4 * 27) + weights;
  const auto gather_bound = [&](double milliseconds, int64_t channels) {
    const double bytes = 2.0 * static_cast<double>(problem.pairs * channels);
    std::printf("    gathered rows %.0f MB: %.1f%% of %.1f TB/s; useful operations: %.1f%% of the matrix product\n",
                bytes / 1e6, 100 * bytes / kGatherBandwidth / milliseconds * 1e3, kGatherBandwidth / 1e12,
                100 * work.operations / benchmark.matrix_rate() / milliseconds * 1e3);
  };
  Problem reduced(small, ci, co);
  for (const SparseConvPath path : paths) {
    const std::string name = absl::StrFormat("%s, %s,", shape, path_name(path));
    reduced.RunAll(path);
    reduced.CheckAgainstTwin(name);
    problem.RunAll(path);
    problem.CheckEntries(name);
    const std::array<double, 3> errors = problem.CheckAgainstGather(name);
    work.relative_error = errors[0];
    gather_bound(benchmark.Time(absl::StrFormat("forward, %s", path_name(path)), shape, work,
                                [&] { problem.Convolve(path, false); }),
                 ci);
    work.relative_error = errors[1];
    gather_bound(benchmark.Time(absl::StrFormat("input gradient, %s", path_name(path)), shape, work,
                                [&] { problem.Convolve(path, true); }),
                 co);
    work.relative_error = errors[2];
    gather_bound(benchmark.Time(absl::StrFormat("weight gradient, %s", path_name(path)), shape, work,
                                [&] { problem.WeightGradient(path); }),
                 ci + co);
  }
  // Of the parts together no error of their own was measured.
  work.relative_error = -1;
  BenchmarkWork all = work;
  all.operations *= 3;
  all.bytes *= 3;
  const at::Tensor x = problem.x.clone().requires_grad_(), weight = problem.weight.clone().requires_grad_();
  benchmark.Time("forward, operation", shape, work, [&] {  // packs the weights first
    const at::NoGradGuard no_gradients;
    SparseConv3d(x, weight, problem.map);
  });
  benchmark.Time("forward+backward, autograd", shape, all, [&] {
    x.mutable_grad() = at::Tensor();
    weight.mutable_grad() = at::Tensor();
    SparseConv3d(x, weight, problem.map).backward(problem.dy);
  });
  SparseConvWeights layout = problem.Layout(fastest, false);
  const at::Tensor packed = problem.Memory(layout.Bytes());
  BenchmarkWork packing;
  packing.bytes = 3 * weights;
  benchmark.Time("packing of weights", shape, packing, [&] {
    CheckCuda(PackSparseConvWeightsCuda(ViewOf<const float, 5>(problem.weight), false, layout,
                                        packed.mutable_data_ptr(), CurrentStream(packed)),
              "Pack");
  });
}

int Main(int argc, char** argv) {
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) != "--index" || i + 1 == argc) {
      std::fprintf(stderr, "usage: %s [--index FILE]...\n", argv[0]);
      return 2;
    }
    files.push_back(argv[++i]);
  }
  Benchmark benchmark("sparse_conv_cuda_bench");
  Run(benchmark, "D0", Street(146, 2, 1), Street(16, 2, 1), 64, 64);
  Run(benchmark, "D1", Street(67, 2, 2), Street(10, 2, 2), 128, 128);
  Run(benchmark, "D1", Street(67, 2, 2), Street(10, 2, 2), 256, 128);
  Run(benchmark, "E0", Street(234, 1, 1), Street(32, 1, 1), 32, 32);
  Run(benchmark, "E0", Street(234, 1, 1), Street(32, 1, 1), 32, 64);
  Run(benchmark, "E1", Street(146, 1, 1), Street(32, 1, 1), 64, 128);
  Run(benchmark, "E2", Street(66, 1, 1), Street(32, 1, 1), 128, 256);
  for (const std::string& file : files) {
    const TestVoxels voxels = ReadIndex(file);
    const std::string name = file.substr(file.find_last_of('/') + 1);
    for (const int64_t channels : {64, 128}) Run(benchmark, name, voxels, Street(16, 2, 1), channels, channels);
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
