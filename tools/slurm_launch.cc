// Trains on a SLURM cluster in slots of a few hours, each going on where the one before it ended; see
// tools/slurm/slot.h.
//   slurm_launch [CONFIG] -n NODES -s SEED -i SLOTS -c 'train ...' [--dry_run] ...
//   slurm_launch status|cancel|logs RUN
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/message_flags.h"
#include "configs/proto/launch.pb.h"
#include "tools/slurm/job_programs.h"
#include "tools/slurm/launch.h"
#include "tools/slurm/run_command_line.h"

namespace cubist {
namespace {

constexpr char kName[] = "slurm_launch";

constexpr char kFooter[] = R"(Other commands (each with --help):
  slurm_launch status [RUN...]   slots, states, steps reached, hours used, slots to go
  slurm_launch logs RUN          the end of a rank's log; --follow goes on with it
  slurm_launch cancel RUN        the run saves and ends; --now kills it

Examples:
  # 2 nodes of 8 GPUs, slots of 4 hours until the run is done or 100 are used
  slurm_launch -n 2 -s 6006 -i 100 -c 'train configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto --gpus 8'
  # what would be submitted
  slurm_launch cluster.textproto -n 2 -c 'train configs/quickstart/vae.textproto --device cpu' --dry_run
  # a sweep, as one job array
  slurm_launch cluster.textproto -c 'train vae.textproto --gpus 8' --sweep learning_rate.initial=1e-4 \
      --sweep learning_rate.initial=3e-4

Exit codes: 0 submitted, or nothing to do; 2 bad flag, config or command, or SLURM refuses it; 5 SLURM does not answer;
6 the run's folder cannot be written; 70 a bug in Cubist. Unless it is 0 or 6, nothing was submitted.)";

absl::Status Start(const Launch& launch, const std::string& argv0) {
  // Before the folder changes: argv[0] and RUNFILES_DIR may be relative.
  ASSIGN_OR_RETURN(const FindBundle find_bundle, BundleFinder(argv0));
  // `bazel run` starts us elsewhere; paths, those in configs included, mean the folder the user stands in.
  if (const std::string folder = ResolvePath("."); chdir(folder.c_str()) != 0) {
    return ConfigError("cannot enter the folder " + folder + " that BUILD_WORKING_DIRECTORY names");
  }
  ASSIGN_OR_RETURN(const std::string report, RunLaunch(SystemFileOps(), launch, find_bundle));
  std::fputs(report.c_str(), stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  if (argc > 1 && IsRunCommand(argv[1])) {
    const absl::StatusOr<int> code = RunCommandLine(argc, argv);
    return code.ok() ? *code : FinishProgram(kName, code.status());
  }
  if (argc > 1) {
    if (const absl::Status word = CheckNoCommand(argv[1]); !word.ok()) return FinishProgram(kName, word);
  }
  const MessageProgram program = {
      kName,
      "Trains on a SLURM cluster: submits a training command, and goes on with it in slot after slot until it is done.",
      kFooter,
      "configs/proto/launch.proto",
      30,
      {{"-n,--nodes", "nodes", "N"},
       {"-s,--seed", "seed", "N"},
       {"-i,--iterations", "iterations", "N"},
       {"-c,--command", "command", "COMMAND"},
       {"--account", "account", "NAME"},
       {"--partition", "partition", "NAMES"},
       {"--qos", "qos", "NAME"},
       {"--constraint", "constraint", "FEATURES"},
       {"--time_limit", "time_limit", "TIME"},
       {"--warning_seconds", "warning_seconds", "N"},
       {"--gpus_per_node", "gpus_per_node", "N"},
       {"--cpus_per_task", "cpus_per_task", "N"},
       {"--memory", "memory", "SIZE"},
       {"--exclusive,!--no_exclusive", "exclusive", ""},
       {"--sbatch_option", "sbatch_option", "OPTION"},
       {"--environment", "environment", "NAME=VALUE"},
       {"--mail_user", "mail_user", "ADDRESS"},
       {"--mail_type", "mail_type", "TYPES"},
       {"--container_image", "container_image", "IMAGE"},
       {"--container_mount", "container_mount", "MOUNT"},
       {"--container_runtime", "container_runtime", "RUNTIME"},
       {"--max_preemptions", "max_preemptions", "N"},
       {"--max_failures", "max_failures", "N"},
       {"--sweep", "sweep", "OVERRIDES"},
       {"--sweep_parallel", "sweep_parallel", "N"},
       {"--bundle", "bundle", "DIR", true},
       {"--dry_run", "dry_run", ""}}};
  Launch launch;
  const absl::StatusOr<std::string> help = ParseMessageFlags(argc, argv, program, &launch);
  if (!help.ok()) return FinishProgram(kName, help.status());
  if (!help->empty()) {
    std::fputs(help->c_str(), stdout);
    return 0;
  }
  return FinishProgram(kName, Start(launch, argv[0]));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
