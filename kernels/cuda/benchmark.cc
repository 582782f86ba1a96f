#include "kernels/cuda/benchmark.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "kernels/cuda/current_stream.h"

namespace cubist {
namespace {

constexpr int64_t kMatrix = 8192;
constexpr int64_t kCopyBytes = int64_t{1} << 31;
constexpr int64_t kFlushBytes = int64_t{1} << 28;  // several times the L2 cache of any card so far
constexpr int kFlushes = 8;                        // some 0.7 ms

std::string PerSecond(double amount, double milliseconds, double unit) {
  return amount > 0 ? absl::StrFormat("%.1f", amount / milliseconds / unit * 1e3) : "-";
}

// Milliseconds between two events around each of `repetitions` calls of `run`, after `warm_ups` that are not counted.
std::vector<float> TimesOf(const std::function<void()>& run, int repetitions, int flushes, int warm_ups = 3) {
  at::Tensor cache = at::empty({flushes > 0 ? kFlushBytes : 1}, at::TensorOptions().device(at::kCUDA).dtype(at::kByte));
  const cudaStream_t stream = CurrentStream(cache);
  cudaEvent_t begin, end;
  CheckCuda(cudaEventCreate(&begin), "Benchmark");
  CheckCuda(cudaEventCreate(&end), "Benchmark");
  std::vector<float> times;
  for (int i = -warm_ups; i < repetitions; ++i) {
    for (int flush = 0; flush < flushes; ++flush) cache.zero_();
    CheckCuda(cudaEventRecord(begin, stream), "Benchmark");
    run();
    CheckCuda(cudaEventRecord(end, stream), "Benchmark");
    CheckCuda(cudaEventSynchronize(end), "Benchmark");
    float milliseconds = 0;
    CheckCuda(cudaEventElapsedTime(&milliseconds, begin, end), "Benchmark");
    if (i >= 0) times.push_back(milliseconds);
  }
  CheckCuda(cudaEventDestroy(begin), "Benchmark");
  CheckCuda(cudaEventDestroy(end), "Benchmark");
  return times;
}

double MedianOf(std::vector<float> times) {
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

}  // namespace

Benchmark::Benchmark(std::string program) : program_(std::move(program)) {
  cudaDeviceProp properties;
  CheckCuda(cudaGetDeviceProperties(&properties, 0), "Benchmark");
  card_ = properties.name;
  const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA);
  {
    const at::Tensor a = at::randn({kMatrix, kMatrix}, on_gpu.dtype(at::kBFloat16));
    const at::Tensor b = at::randn({kMatrix, kMatrix}, on_gpu.dtype(at::kBFloat16));
    at::Tensor c = at::empty({kMatrix, kMatrix}, on_gpu.dtype(at::kBFloat16));
    const double time = MedianOf(TimesOf([&] { at::mm_out(c, a, b); }, 10, 0));
    matrix_rate_ = 2.0 * kMatrix * kMatrix * kMatrix / time * 1e3;
  }
  {
    const at::Tensor from = at::randn({kCopyBytes / 4}, on_gpu.dtype(at::kFloat));
    at::Tensor to = at::empty({kCopyBytes / 4}, on_gpu.dtype(at::kFloat));
    const double time = MedianOf(TimesOf([&] { to.copy_(from); }, 10, 0));
    copy_bandwidth_ = 2.0 * kCopyBytes / time * 1e3;
  }
  std::printf("%s on %s: matrix product %.0f TFLOP/s, copy %.0f GB/s\n", program_.c_str(), card_.c_str(),
              matrix_rate_ / 1e12, copy_bandwidth_ / 1e9);
  std::printf("%-34s %-34s %9s %8s %7s %7s %9s\n", "operation", "shape", "ms", "TFLOP/s", "GB/s", "of roof", "error");
}

double Benchmark::Time(const std::string& name, const std::string& shape, const BenchmarkWork& work,
                       const std::function<void()>& run, int repetitions) {
  return Print(name, shape, work, MedianOf(TimesOf(run, repetitions, kFlushes)));
}

double Benchmark::TimeInARow(const std::string& name, const std::string& shape, const BenchmarkWork& work,
                             const std::function<void()>& run, int repetitions) {
  const auto all = [&] {
    for (int i = 0; i < repetitions; ++i) run();
  };
  return Print(name, shape, work,
               MedianOf(TimesOf(all, /*repetitions=*/1, /*flushes=*/0, /*warm_ups=*/1)) / repetitions);
}

double Benchmark::Print(const std::string& name, const std::string& shape, const BenchmarkWork& work,
                        double time) const {
  // The larger of the two times that the card would need at best, over the time it took.
  const double floor = 1e3 * std::max(work.operations / matrix_rate_, work.bytes / copy_bandwidth_);
  const bool has_error = !(work.relative_error < 0);  // NaN is shown
  std::printf("%-34s %-34s %9.4f %8s %7s %6.1f%% %9s\n", name.c_str(), shape.c_str(), time,
              PerSecond(work.operations, time, 1e12).c_str(), PerSecond(work.bytes, time, 1e9).c_str(),
              100 * floor / time, has_error ? absl::StrFormat("%.1e", work.relative_error).c_str() : "-");
  std::printf(
      "{\"program\":\"%s\",\"card\":\"%s\",\"operation\":\"%s\",\"shape\":\"%s\",\"milliseconds\":%.6f,"
      "\"operations\":%.6g,\"bytes\":%.6g,\"fraction_of_roof\":%.4f,\"relative_error\":%s,"
      "\"matrix_rate\":%.4g,\"copy_bandwidth\":%.4g}\n",
      program_.c_str(), card_.c_str(), name.c_str(), shape.c_str(), time, work.operations, work.bytes, floor / time,
      has_error ? absl::StrFormat("%.3g", work.relative_error).c_str() : "null", matrix_rate_, copy_bandwidth_);
  std::fflush(stdout);
  return time;
}

}  // namespace cubist
