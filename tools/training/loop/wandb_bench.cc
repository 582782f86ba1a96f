// How much longer a training step takes while rows go to Weights & Biases:
//   wandb_bench CONFIG ROWS ROWS_PER_STEP WANDB_CORE RUN_FOLDER [path.to.field=value]...
// One training of the config, whose data is there, in blocks of steps that log ROWS_PER_STEP rows each and blocks that
// log none, by turns, until ROWS are logged; the environment says where to (WANDB_MODE=offline keeps them in
// RUN_FOLDER). A step's time is that from its end to the end of the next, what logging takes of it included. Fails if a
// row is lost.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/loader.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/logging/wandb_logger.h"
#include "tools/training/loop/run.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kBlock = 50, kWarmUp = 20;

class RowWriter : public RunObserver {
 public:
  RowWriter(WandbLogger& logger, int64_t rows_per_step) : logger_(logger), rows_per_step_(rows_per_step) {}

  void StepDone(int64_t step, const FlatOptimizer& /*optimizer*/) override {
    const Clock::time_point now = Clock::now();
    const int64_t counted = step - kWarmUp;
    // What a step logs belongs to the time up to the next one's end.
    if (counted > 0) times_[Logs(counted - 1) ? 1 : 0].push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (counted < 0 || !Logs(counted)) return;
    for (int64_t i = 0; i < rows_per_step_; ++i) {
      const double value = static_cast<double>(i);
      logger_.Row(step, {{"train_loss/sum", value}, {"a", value}, {"b", value}, {"c", value}, {"d", value}});
    }
  }

  // Without and with logging, in seconds.
  const std::vector<double>& times(bool logging) const { return times_[logging ? 1 : 0]; }

 private:
  static bool Logs(int64_t counted) { return counted / kBlock % 2 == 1; }

  WandbLogger& logger_;
  const int64_t rows_per_step_;
  Clock::time_point last_ = Clock::now();
  std::vector<double> times_[2];
};

struct Summary {
  double mean, median, error_of_mean;
};

Summary Summarize(std::vector<double> times) {
  double sum = 0, squares = 0;
  for (const double time : times) sum += time;
  const double count = static_cast<double>(times.size()), mean = sum / count;
  for (const double time : times) squares += (time - mean) * (time - mean);
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return {mean, times[times.size() / 2], std::sqrt(squares / count / count)};
}

absl::Status Run(const std::string& config, int64_t rows, int64_t rows_per_step, const std::string& wandb_core,
                 const std::string& folder, std::vector<std::string> fields) {
  const int64_t steps = kWarmUp + 2 * rows / rows_per_step;
  for (const char* field :
       {"logging.logger_type=NONE", "logging.interval_steps=1000000", "logging.picture_interval_steps=0",
        "checkpoints.interval_steps=0", "checkpoints.interval_minutes=0", "validation.interval_epochs=0"}) {
    fields.emplace_back(field);
  }
  fields.push_back(absl::StrCat("training.max_steps=", steps));
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperiment(config, fields));
  RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), folder));
  WandbLoggerOptions logging;
  logging.wandb_core = wandb_core;
  logging.environment = CurrentEnvironment();
  logging.run_folder = folder;
  logging.config = experiment.proto();
  ASSIGN_OR_RETURN(const std::unique_ptr<WandbLogger> logger, WandbLogger::Start(SystemFileOps(), logging));
  if (logger == nullptr) return ConfigError("WANDB_MODE is disabled");
  RowWriter writer(*logger, rows_per_step);
  RunOptions options;
  options.run_directory = folder;
  options.stop_requested = [] { return false; };
  options.observer = &writer;
  const std::unique_ptr<Communicator> communicator = MakeSingleProcessCommunicator();
  const Clock::time_point begin = Clock::now();
  RETURN_IF_ERROR(RunTraining(experiment, options, *communicator));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const RunSenderReport report = logger->Finish(ExitCode::kDone, [] { return false; });
  for (const std::string& line : logger->TakeLines()) std::printf("%s\n", line.c_str());
  if (!report.complete) return InternalError(absl::StrCat(report.lost_rows, " rows were lost, or more"));
  const Summary without = Summarize(writer.times(false)), with = Summarize(writer.times(true));
  std::printf("%lld rows, all stored, in a training of %lld steps and %.0f s; %lld rows a step in every other %lld\n",
              static_cast<long long>(rows_per_step * static_cast<int64_t>(writer.times(true).size())),
              static_cast<long long>(steps), seconds, static_cast<long long>(rows_per_step),
              static_cast<long long>(kBlock));
  for (const auto& [name, summary] : {std::pair("without rows", without), std::pair("with rows", with)}) {
    std::printf("%-12s  mean %.3f +- %.3f ms  median %.3f ms\n", name, 1e3 * summary.mean, 1e3 * summary.error_of_mean,
                1e3 * summary.median);
  }
  const double error = std::hypot(with.error_of_mean, without.error_of_mean) / without.mean;
  std::printf("change of a step's time: mean %+.2f +- %.2f %%  median %+.2f %%\n", 100 * (with.mean / without.mean - 1),
              100 * error, 100 * (with.median / without.median - 1));
  return absl::OkStatus();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "wandb_bench CONFIG ROWS ROWS_PER_STEP WANDB_CORE RUN_FOLDER [path.to.field=value]...\n");
    return 2;
  }
  return cubist::FinishProgram(
      "wandb_bench",
      cubist::Run(cubist::ResolvePath(argv[1]), std::atoll(argv[2]), std::atoll(argv[3]), cubist::ResolvePath(argv[4]),
                  cubist::ResolvePath(argv[5]), std::vector<std::string>(argv + 6, argv + argc)));
}
