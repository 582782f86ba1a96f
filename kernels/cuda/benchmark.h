// Timing of GPU operations against the roofs of the same card in the same run, as text and as JSON lines.
#ifndef CUBIST_KERNELS_CUDA_BENCHMARK_H_
#define CUBIST_KERNELS_CUDA_BENCHMARK_H_

#include <cstdint>
#include <functional>
#include <string>

namespace cubist {

// What an operation needs at least, and how far it was from the truth when it was checked just before.
struct BenchmarkWork {
  double operations = 0;       // floating-point operations; 0: not counted
  double bytes = 0;            // each input read once, each output written once; 0: not counted
  double relative_error = -1;  // ||result - reference|| / ||reference||; below 0: not measured, as of a peer
};

// Prints a heading with the card's name and its roofs, measured here: an 8192^3 bf16 matrix product and a copy of 2 GiB
// (bytes read and written). Throws c10::Error without a GPU.
class Benchmark {
 public:
  explicit Benchmark(std::string program);

  // Times `run` (which puts work on the current stream) by CUDA events: the median of `repetitions` runs after three
  // that are not counted, each after the L2 cache was overwritten so often that the host has launched a kernel or some
  // before the device comes to it. Prints a line of text and one of JSON that begins with '{'. Returns milliseconds.
  double Time(const std::string& name, const std::string& shape, const BenchmarkWork& work,
              const std::function<void()>& run, int repetitions = 20);
  // The same for the mean of `repetitions` runs one after the other, as steps of a training are.
  double TimeInARow(const std::string& name, const std::string& shape, const BenchmarkWork& work,
                    const std::function<void()>& run, int repetitions = 20);

  double matrix_rate() const { return matrix_rate_; }        // FLOP/s
  double copy_bandwidth() const { return copy_bandwidth_; }  // byte/s

 private:
  double Print(const std::string& name, const std::string& shape, const BenchmarkWork& work, double time) const;

  std::string program_, card_;
  double matrix_rate_ = 0, copy_bandwidth_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_BENCHMARK_H_
