// Sparse convolution: GFLOP/s (2 * pairs * Ci * Co operations, pairs = entries of the map that exist) of
// forward, input gradient and weight gradient. Each is compared with plain loops before it is timed.
//   Arguments: columns of the surface along x and y, Ci, Co.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/view.h"
#include "benchmark/benchmark.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/test_voxels.h"

namespace cubist {
namespace {

struct Problem {
  explicit Problem(const benchmark::State& state) : ci(state.range(1)), co(state.range(2)) {
    const TestVoxels voxels = SurfaceTestVoxels(static_cast<int>(state.range(0)));
    rows = voxels.size();
    map = TestNeighborMap(voxels);
    pairs = map.size() - std::count(map.begin(), map.end(), -1);
    x = TestNumbers<float>(rows * ci, 1);
    weight = TestNumbers<float>(co * ci * kConvTaps, 2);
    dy = TestNumbers<float>(rows * co, 3);
    y.resize(rows * co);
    dx.resize(rows * ci);
    dweight.resize(weight.size());
  }
  View<const float, 2> X() const { return {x.data(), {rows, ci}}; }
  View<const float, 2> Dy() const { return {dy.data(), {rows, co}}; }
  View<const float, 5> Weight() const { return {weight.data(), {co, ci, 3, 3, 3}}; }
  View<const int32_t, 2> Map() const { return {map.data(), {kConvTaps, rows}}; }
  float W(int64_t tap, int64_t i, int64_t o) const { return Weight()(o, i, tap % 3, tap / 3 % 3, tap / 9); }

  void Forward() { SparseConvForwardCpu<float>(X(), Weight(), Map(), nullptr, {y.data(), {rows, co}}); }
  void InputGradient() { SparseConvInputGradientCpu<float>(Dy(), Weight(), Map(), {dx.data(), {rows, ci}}); }
  void WeightGradient() { SparseConvWeightGradientCpu<float>(X(), Dy(), Map(), {dweight.data(), {co, ci, 3, 3, 3}}); }

  // Every 97th number of each result against plain loops in double.
  void Verify() {
    Forward();
    InputGradient();
    WeightGradient();
    for (int64_t k = 0; k < rows * co; k += 97) {
      double sum = 0;
      for (int64_t tap = 0; tap < kConvTaps; ++tap) {
        const int32_t q = Map()(tap, k / co);
        for (int64_t i = 0; q >= 0 && i < ci; ++i) sum += double{X()(q, i)} * W(tap, i, k % co);
      }
      Compare("y", y[k], sum);
    }
    for (int64_t k = 0; k < rows * ci; k += 97) {
      double sum = 0;
      for (int64_t tap = 0; tap < kConvTaps; ++tap) {
        const int32_t p = Map()(26 - tap, k / ci);
        for (int64_t o = 0; p >= 0 && o < co; ++o) sum += double{Dy()(p, o)} * W(tap, k % ci, o);
      }
      Compare("dx", dx[k], sum);
    }
    for (int64_t k = 0; k < co * ci * kConvTaps; k += 97) {
      const int64_t tap = ConvTap(k % 27 / 9, k / 3 % 3, k % 3);
      double sum = 0;
      for (int64_t p = 0; p < rows; ++p) {
        const int32_t q = Map()(tap, p);
        if (q >= 0) sum += double{X()(q, k / 27 % ci)} * Dy()(p, k / 27 / ci);
      }
      Compare("dweight", dweight[k], sum);
    }
  }

  void Compare(const char* what, float got, double wanted) const {
    if (std::abs(got - wanted) <= 1e-4 * std::sqrt(static_cast<double>(rows)) + 1e-4 * std::abs(wanted)) return;
    std::fprintf(stderr, "%s is %g where plain loops give %g\n", what, got, wanted);
    std::abort();
  }

  void Report(benchmark::State& state) const {
    state.counters["rows"] = static_cast<double>(rows);
    state.counters["neighbours"] = static_cast<double>(pairs) / static_cast<double>(rows);
    state.counters["GFLOP/s"] =
        benchmark::Counter(2e-9 * static_cast<double>(pairs * ci * co), benchmark::Counter::kIsIterationInvariantRate);
  }

  int64_t rows, ci, co, pairs;
  std::vector<int32_t> map;
  std::vector<float> x, weight, dy, y, dx, dweight;
};

void Run(benchmark::State& state, void (Problem::*operation)()) {
  Problem problem(state);
  problem.Verify();
  for (auto _ : state) (problem.*operation)();
  problem.Report(state);
}

void Shapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t extent : {32, 128}) {
    for (const auto& [ci, co] : {std::pair{8, 8}, {16, 16}, {32, 32}, {64, 64}, {64, 23}, {256, 256}}) {
      if (ci < 256 || extent == 32) bench->Args({extent, ci, co});
    }
  }
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(Run, forward, &Problem::Forward)->Apply(Shapes);
BENCHMARK_CAPTURE(Run, input_gradient, &Problem::InputGradient)->Apply(Shapes);
BENCHMARK_CAPTURE(Run, weight_gradient, &Problem::WeightGradient)->Apply(Shapes);

}  // namespace
}  // namespace cubist
