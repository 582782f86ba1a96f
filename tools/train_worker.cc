// One rank of a training run. Started by `train`, which has checked the config, locked the run folder and
// chosen this rank's place (environment variables CUBIST_*); by hand it is a world of its own.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "base/command_line.h"
#include "base/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/gloo_communicator.h"
#include "tools/training/communicator/stop_signal.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/loop/run.h"

namespace cubist {
namespace {

constexpr char kProgramVersion[] = "cubist 0.1";

absl::StatusOr<std::unique_ptr<Communicator>> Connect(const WorkerPlace& place) {
  if (place.world_size == 1) return MakeSingleProcessCommunicator();
  GlooOptions options;
  options.rank = place.rank;
  options.world_size = place.world_size;
  options.master_address = place.master_address;
  options.master_port = place.master_port;
  options.store_is_external = place.store_is_external;
  options.listen_descriptor = place.listen_descriptor;
  options.session = place.session;
  options.stop_requested = [] { return StopRequested(); };
  return ConnectGloo(options);
}

absl::Status Work(const std::string& config, RunOptions options) {
  ASSIGN_OR_RETURN(const WorkerPlace place, ReadWorkerPlace(CurrentEnvironment()));
  options.local_world_size = place.local_world_size;
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperiment(config));
  if (options.device != "cpu") {
    return ConfigError("this version trains on CPUs only; start it with --device cpu");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Communicator> communicator, Connect(place));
  const absl::Status status = RunTraining(experiment, options, *communicator);
  // A rank that was told to stop, or is done, leaves together with the others.
  if (!status.ok() && ExitCodeOf(status) != ExitCode::kPreempted) communicator->Abort(std::string(status.message()));
  return status;
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  cubist::InstallStopSignalHandlers();
  // A limit on file sizes then fails the save by name instead of killing the rank.
  std::signal(SIGXFSZ, SIG_IGN);
  // Nor does a reader of the output that leaves.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("One rank of a training run; use `train`, which starts it.");
  std::string config;
  cubist::RunOptions options;
  app.add_option("--config", config, "Resolved config")->required();
  app.add_option("--run_dir", options.run_directory, "Run folder, which exists")->required();
  app.add_option("--device", options.device, "cpu or cuda");
  app.add_option("--init_from", options.start.init_from, "Weights to start from");
  app.add_option("--resume_from", options.start.resume_from, "Run or checkpoint to go on from");
  app.add_flag("--allow_fallback", options.start.allow_fallback, "Take an older checkpoint if the latest is damaged");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(cubist::ExitCode::kConfig);
  }
  options.program_version = cubist::kProgramVersion;
  options.stop_requested = [] { return cubist::StopRequested(); };
  const int code = cubist::FinishProgram("train", cubist::Work(config, options));
  // Threads of a failed communicator may still wait for lost peers; nothing is left to be torn down.
  std::fflush(nullptr);
  std::_Exit(code);
}
