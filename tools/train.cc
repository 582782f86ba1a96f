// The program that trains: checks what it is told, prepares data and folder, and starts one train_worker a
// rank. Links no LibTorch, so that flags, help and errors answer at once.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/explain.h"
#include "tools/tasks/built_models.h"
#include "tools/training/launch/run_choices.h"
#include "tools/training/launch/run_preparation.h"
#include "tools/training/launch/start_reference.h"
#include "tools/training/launch/train_flags.h"
#include "tools/training/launch/worker_location.h"
#include "tools/training/rehearsal/rehearsal_launch.h"
#include "tools/wandb/core_process.h"

namespace cubist {
namespace {

struct FoundPrograms {
  absl::StatusOr<std::string> worker, wandb_core;
};

// Prints what --print_config or --explain asks for.
absl::StatusOr<int> Inform(const TrainFlags& flags, const ValidatedExperiment* experiment) {
  if (flags.explain.has_value()) {
    ASSIGN_OR_RETURN(const std::string text, Explain(experiment, *flags.explain));
    std::fputs(text.c_str(), stdout);
  } else {
    std::fputs(experiment->CanonicalText().c_str(), stdout);
    std::fprintf(stderr, "config hash: %s\n", experiment->Hash().c_str());
  }
  return FinishProgram("train", absl::OkStatus());
}

// Runs the workers and returns the exit code.
absl::StatusOr<int> Train(TrainFlags flags, const ValidatedExperiment& experiment, const FoundPrograms& programs) {
  if (const absl::Status built = CheckModelIsBuilt(experiment.proto()); !built.ok() && !flags.dry_run) {
    return ConfigError(std::string(built.message()) +
                       "; the config has no mistake, and --dry_run tries it on the data");
  }
  ASSIGN_OR_RETURN(const RankPlan plan, PlanRanks(CurrentEnvironment(), flags.gpus));
  ASSIGN_OR_RETURN(const RunChoices choices,
                   ChooseRun(flags, experiment, {HasNvidiaGpu(), plan.has_rank_zero(), plan.world_size}));
  RunPrograms paths;
  if (choices.logs_to_wandb) {
    ASSIGN_OR_RETURN(paths.wandb_core, programs.wandb_core);
  }
  if (!flags.log_dir.empty()) RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), flags.log_dir));
  ASSIGN_OR_RETURN(paths.worker, programs.worker);
  ASSIGN_OR_RETURN(const std::string path, RunFolderOf(flags, experiment, plan));
  const std::atomic<bool>* stop = StopOnSignals();
  // A reader of our output that leaves (head, a tee that died) is no reason to lose a run.
  std::signal(SIGPIPE, SIG_IGN);
  RETURN_IF_ERROR(FetchStartReferences(path, programs.wandb_core, &flags));
  if (flags.dry_run || flags.preflight) {
    return LaunchRehearsal(flags, experiment, plan, paths.worker, choices.device, path, stop);
  }
  // The data first: where it cannot be made, no run folder is.
  RETURN_IF_ERROR(PrepareData(SystemFileOps(), experiment, stop));
  ASSIGN_OR_RETURN(const PreparedRun run, PrepareRunFolder(SystemFileOps(), path, plan));
  ASSIGN_OR_RETURN(const std::vector<WorkerCommand> workers,
                   WorkerCommands(flags, experiment, plan, run.folder, paths, choices.device));
  if (stop->load()) return PreemptedError("stopped before the first step; start it again to go on");
  const absl::StatusOr<int> code = RunWorkers(workers);
  RemoveIfUnused(SystemFileOps(), run, code.ok() ? *code : static_cast<int>(ExitCodeOf(code.status())));
  if (plan.has_rank_zero() && IsDirectory(path)) std::printf("run folder: %s\n", path.c_str());
  return code;
}

// Leaves the exit code in --log_dir: of several nodes, srun tells the highest number alone.
void LeaveExitCode(const TrainFlags& flags, const absl::StatusOr<int>& code) {
  const absl::StatusOr<RankPlan> plan = PlanRanks(CurrentEnvironment(), flags.gpus);
  const std::string number = absl::StrCat(code.ok() ? *code : static_cast<int>(ExitCodeOf(code.status())), "\n");
  const std::string path = absl::StrCat(flags.log_dir, "/node-", plan.ok() ? plan->first_rank : 0, ".exit");
  absl::Status written = MakeDirectories(SystemFileOps(), flags.log_dir);
  if (written.ok()) written = WriteFileAtomically(SystemFileOps(), path, number);
  if (!written.ok()) std::fprintf(stderr, "train: %s\n", std::string(written.message()).c_str());
}

// Loads the config and does what the flags say with it.
absl::StatusOr<int> Work(const TrainFlags& flags, const FoundPrograms& programs) {
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperimentOf(flags));
  if (flags.explain.has_value() || flags.print_config) return Inform(flags, &experiment);
  return Train(flags, experiment, programs);
}

absl::StatusOr<int> Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(const TrainFlags flags, ParseTrainFlags(argc, argv));
  if (!flags.help.empty()) {
    std::fputs(flags.help.c_str(), stdout);
    return FinishProgram("train", absl::OkStatus());
  }
  // Before the folder changes: argv[0] and RUNFILES_DIR may be relative.
  const auto program = ProgramPath();
  const FoundPrograms programs = {program.ok() ? FindWorker(*program, argv[0], CurrentEnvironment()) : program,
                                  FindWandbCore(argv[0], CurrentEnvironment())};
  // `bazel run` starts us elsewhere; paths, those in configs included, mean the folder the user stands in.
  if (const std::string folder = ResolvePath("."); chdir(folder.c_str()) != 0) {
    return ConfigError("cannot enter the folder " + folder + " that BUILD_WORKING_DIRECTORY names");
  }
  if (flags.config.empty()) return Inform(flags, nullptr);
  const absl::StatusOr<int> code = Work(flags, programs);
  if (!flags.log_dir.empty()) LeaveExitCode(flags, code);
  return code;
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  const absl::StatusOr<int> code = cubist::Run(argc, argv);
  return code.ok() ? *code : cubist::FinishProgram("train", code.status());
}
