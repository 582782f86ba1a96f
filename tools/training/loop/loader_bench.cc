// How many samples a second the loader of a run delivers, from files to batches:
//   loader_bench CONFIG [SECONDS] [path.to.field=value]...
// Verifies before it times: batches that threads made ahead equal those that one thread makes. Files are read from
// wherever the system has them; the verification has read those that the timing reads again.
#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status.h"
#include "tools/tasks/task.h"
#include "tools/training/loop/batch_source.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kVerifiedBatches = 8;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct Loader {
  std::unique_ptr<BatchMaker> batch_maker;
  Experiment config;
  std::unique_ptr<RunData> data;
};

absl::StatusOr<std::unique_ptr<Loader>> Open(const ValidatedExperiment& experiment, int threads) {
  auto loader = std::make_unique<Loader>();
  loader->config = experiment.proto();
  loader->config.mutable_data()->set_loader_threads(threads);
  ASSIGN_OR_RETURN(loader->batch_maker, MakeBatchMaker(experiment, at::kFloat, at::kCPU));
  ASSIGN_OR_RETURN(const BatchShape shape, MakeBatchShape(loader->config.batch(), 0, 1));
  ASSIGN_OR_RETURN(loader->data, RunData::Open(loader->config, *loader->batch_maker, shape));
  return loader;
}

absl::StatusOr<MicroBatch> Next(BatchSource& source) {
  ASSIGN_OR_RETURN(std::optional<MicroBatch> batch, source.Next([] { return false; }));
  if (!batch.has_value() || batch->batch == nullptr) return InternalError("a batch without samples");
  return *std::move(batch);
}

absl::Status Run(const std::string& config, double seconds, const std::vector<std::string>& fields) {
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperiment(config, fields));
  const int threads = experiment.proto().data().loader_threads();
  ASSIGN_OR_RETURN(const std::unique_ptr<Loader> one, Open(experiment, 1));
  ASSIGN_OR_RETURN(const std::unique_ptr<Loader> many, Open(experiment, threads));

  auto expected = one->data->Training(0), source = many->data->Training(0);
  for (int i = 0; i < kVerifiedBatches; ++i) {
    ASSIGN_OR_RETURN(const MicroBatch a, Next(*expected));
    ASSIGN_OR_RETURN(const MicroBatch b, Next(*source));
    const std::vector<at::Tensor> x = a.batch->Tensors(), y = b.batch->Tensors();
    const bool same = std::equal(x.begin(), x.end(), y.begin(), y.end(),
                                 [](const at::Tensor& p, const at::Tensor& q) { return at::equal(p, q); });
    if (!same) return InternalError(absl::StrCat("batch ", i, " depends on the number of threads"));
    if (i == 0) std::printf("first batch: %s\n", b.batch->Describe().c_str());
  }
  expected.reset();

  int64_t samples = 0;
  const Clock::time_point begin = Clock::now();
  while (SecondsSince(begin) < seconds) {
    ASSIGN_OR_RETURN(const MicroBatch batch, Next(*source));
    samples += static_cast<int64_t>(batch.draws.size());
  }
  const double rate = static_cast<double>(samples) / SecondsSince(begin);
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%d loader threads, %d batches ahead: %.2f samples/s (%lld in %.1f s); peak memory %.0f MB\n", threads,
              experiment.proto().data().prefetch_batches(), rate, static_cast<long long>(samples), seconds,
              static_cast<double>(usage.ru_maxrss) / 1024);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "loader_bench CONFIG [SECONDS] [path.to.field=value]...\n");
    return 2;
  }
  at::set_num_threads(1);
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10;
  return cubist::FinishProgram("loader_bench",
                               cubist::Run(cubist::ResolvePath(argv[1]), seconds,
                                           std::vector<std::string>(argv + std::min(argc, 3), argv + argc)));
}
