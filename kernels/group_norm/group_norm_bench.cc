// Group normalisation with SiLU, forward and backward: GB/s of the arrays that must be read and written
// (forward x twice and y; backward dy, x twice, dx three times), and GFLOP/s by a count of 10 and 24
// operations an element. Each is compared with plain loops before it is timed.
//   Arguments: rows, channels. Groups of 4 channels.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/view.h"
#include "benchmark/benchmark.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/sparse_conv/test_voxels.h"

namespace cubist {
namespace {

struct Problem {
  explicit Problem(const benchmark::State& state)
      : rows(state.range(0)),
        channels(state.range(1)),
        offsets({0, rows / 3, rows}),
        x(TestNumbers<float>(rows * channels, 1)),
        dy(TestNumbers<float>(rows * channels, 2)),
        gamma(TestNumbers<float>(channels, 3)),
        beta(TestNumbers<float>(channels, 4)),
        y(rows * channels),
        dx(rows * channels),
        dgamma(channels),
        dbeta(channels),
        mean(2 * channels / 4),
        reciprocal_std(2 * channels / 4) {
    options.groups = channels / 4;
    options.silu = GroupNormSilu::kOfOutput;
  }
  View<const float, 2> Rows(const std::vector<float>& values) const { return {values.data(), {rows, channels}}; }
  View<double, 2> Statistics(std::vector<double>& values) const { return {values.data(), {2, channels / 4}}; }
  View<const int64_t, 1> Offsets() const { return {offsets.data(), {3}}; }

  void Forward() {
    GroupNormForwardCpu<float>(Rows(x), Offsets(), gamma.data(), beta.data(), options, {y.data(), {rows, channels}},
                               Statistics(mean), Statistics(reciprocal_std));
  }
  void Backward() {
    GroupNormBackwardCpu<float>(Rows(dy), Rows(x), Offsets(), gamma.data(), beta.data(), options, Statistics(mean),
                                Statistics(reciprocal_std), {dx.data(), {rows, channels}}, dgamma.data(), dbeta.data());
  }

  // All of it against the formulas of the header, in double.
  void Verify() {
    Forward();
    Backward();
    for (int sample = 0; sample < 2; ++sample) {
      for (int64_t first = 0; first < channels; first += 4) VerifyGroup(offsets[sample], offsets[sample + 1], first);
    }
  }
  void VerifyGroup(int64_t begin, int64_t end, int64_t first) const {
    const double n = static_cast<double>((end - begin) * 4);
    const auto over_group = [&](auto body) {
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t c = first; c < first + 4; ++c) body(p * channels + c, c);
      }
    };
    double average = 0, variance = 0, m1 = 0, m2 = 0;
    over_group([&](int64_t k, int64_t) { average += x[k] / n; });
    over_group([&](int64_t k, int64_t) { variance += (x[k] - average) * (x[k] - average) / n; });
    const double r = 1 / std::sqrt(variance + options.epsilon);
    const auto xhat = [&](int64_t k) { return (x[k] - average) * r; };
    const auto h = [&](int64_t k, int64_t c) {
      const double z = gamma[c] * xhat(k) + beta[c], s = 1 / (1 + std::exp(-z));
      return dy[k] * s * (1 + z * (1 - s)) * gamma[c];
    };
    over_group([&](int64_t k, int64_t c) {
      m1 += h(k, c) / n;
      m2 += h(k, c) * xhat(k) / n;
    });
    over_group([&](int64_t k, int64_t c) {
      const double z = gamma[c] * xhat(k) + beta[c];
      Compare("y", y[k], z / (1 + std::exp(-z)));
      Compare("dx", dx[k], r * (h(k, c) - m1 - xhat(k) * m2));
    });
  }
  static void Compare(const char* what, float got, double wanted) {
    if (std::abs(got - wanted) <= 1e-5 + 1e-5 * std::abs(wanted)) return;
    std::fprintf(stderr, "%s is %g where plain loops give %g\n", what, got, wanted);
    std::abort();
  }

  int64_t rows, channels;
  GroupNormOptions options;
  std::vector<int64_t> offsets;
  std::vector<float> x, dy, gamma, beta, y, dx, dgamma, dbeta;
  std::vector<double> mean, reciprocal_std;
};

void Run(benchmark::State& state, void (Problem::*operation)(), double arrays, double operations) {
  Problem problem(state);
  problem.Verify();
  for (auto _ : state) (problem.*operation)();
  const double elements = static_cast<double>(problem.rows * problem.channels);
  const auto rate = [](double amount) {
    return benchmark::Counter(1e-9 * amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["GB/s"] = rate(elements * arrays * sizeof(float));
  state.counters["GFLOP/s"] = rate(elements * operations);
}

void Shapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t rows : {2000, 60000}) {
    for (const int64_t channels : {8, 32, 64}) bench->Args({rows, channels});
  }
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(Run, forward, &Problem::Forward, 3.0, 10.0)->Apply(Shapes);
BENCHMARK_CAPTURE(Run, backward, &Problem::Backward, 6.0, 24.0)->Apply(Shapes);

}  // namespace
}  // namespace cubist
