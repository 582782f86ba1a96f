#include "tools/slurm/launch.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/count_of.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/resume_comparison.h"
#include "tools/slurm/batch_script.h"
#include "tools/slurm/chain_jobs.h"
#include "tools/slurm/shell_words.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_commands.h"
#include "tools/slurm/slurm_folder.h"
#include "tools/slurm/training_command.h"
#include "tools/tasks/built_models.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/launch/run_choices.h"

namespace cubist {
namespace {

using slurm::SlotEvent;

std::string HostName() {
  char host[256] = {};
  return gethostname(host, sizeof(host) - 1) == 0 ? host : "";
}

// How the user calls this program.
std::string Program() {
  return std::getenv("BUILD_WORKING_DIRECTORY") != nullptr ? "./bazelw run //tools:slurm_launch --" : "slurm_launch";
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// Whether the job asks for GPUs, which its nodes then have.
bool WantsGpus(const TrainFlags& flags) { return flags.device != "cpu"; }

// Why this version could not run the command.
absl::Status CheckCanTrain(const TrainingCommand& command, int nodes) {
  RETURN_IF_ERROR(CheckModelIsBuilt(command.experiment.proto()));
  RunPlace place;
  place.has_gpu = WantsGpus(command.flags);
  place.world_size = nodes * command.flags.gpus.value_or(1);
  return ChooseRun(command.flags, command.experiment, place).status();
}

// The newest checkpoint of a run, which a slot would go on from; none: a new run.
absl::StatusOr<std::optional<int64_t>> LatestStep(const SlurmFolder& folder) {
  return CheckpointStore(SystemFileOps(), folder.checkpoints_path()).Latest();
}

// A slot would find this out after its time in the queue.
absl::Status CheckGoesOn(const TrainingCommand& command, int64_t step) {
  const SlurmFolder folder(command.run_folder);
  const auto checkpoint = CheckpointStore(SystemFileOps(), folder.checkpoints_path()).Load(step);
  if (!checkpoint.ok()) return checkpoint.status();
  const auto stored = LoadExperimentText(checkpoint->config_text(), checkpoint->folder() + "/config.textproto");
  if (!stored.ok()) return absl::OkStatus();  // of another version; train says what it makes of it
  const std::string differences =
      DescribeDifferences(CompareForResume(stored->proto(), command.experiment.proto()), FATAL);
  if (differences.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("the run in ", folder.run(), " was started with another config:\n", differences,
                                  "\nGive --fresh in the command for a new run, or another --wname."));
}

class Launcher {
 public:
  Launcher(FileOps& ops, const Launch& launch, const FindBundle& find_bundle)
      : ops_(ops), launch_(launch), find_bundle_(find_bundle), working_folder_(ResolvePath(".")) {}

  absl::StatusOr<std::string> Run() {
    if (!launch_.has_command()) {
      return ConfigError("no command is given: name the training with -c 'train CONFIG --gpus 8 ...'");
    }
    RETURN_IF_ERROR(CheckBatchOptions(launch_));
    RETURN_IF_ERROR(ReadRuns());
    std::vector<size_t> open;
    for (size_t i = 0; i < runs_.size(); ++i) {
      ASSIGN_OR_RETURN(const bool is_done, CheckRun(runs_[i]));
      if (!is_done) open.push_back(i);
    }
    if (open.empty()) return report_;
    if (open.size() < runs_.size()) {
      std::vector<TrainingCommand> left;
      for (const size_t i : open) left.push_back(std::move(runs_[i]));
      runs_ = std::move(left);
    }
    ASSIGN_OR_RETURN(const std::string bundle, Bundle());
    NoteMissingLibraries(bundle);
    for (const TrainingCommand& run : runs_) slots_.push_back(SlotOf(run, bundle));
    if (launch_.has_container_image()) RETURN_IF_ERROR(CheckMountable());
    return launch_.dry_run() ? Describe() : Submit();
  }

 private:
  bool is_sweep() const { return launch_.sweep_size() > 0; }

  absl::Status ReadRuns() {
    ASSIGN_OR_RETURN(std::vector<SweepRun> sweep, ReadSweep({launch_.sweep().begin(), launch_.sweep().end()}));
    if (sweep.empty()) sweep.emplace_back();
    const std::optional<int64_t> seed = launch_.has_seed() ? std::optional<int64_t>(launch_.seed()) : std::nullopt;
    for (const SweepRun& run : sweep) {
      ASSIGN_OR_RETURN(TrainingCommand command, ReadTrainingCommand(launch_.command(), seed, run));
      runs_.push_back(std::move(command));
    }
    return absl::OkStatus();
  }

  // Whether the run is done already, which the report then says.
  absl::StatusOr<bool> CheckRun(const TrainingCommand& run) {
    if (const absl::Status can = CheckCanTrain(run, launch_.nodes()); !can.ok()) {
      if (!launch_.dry_run()) return can;
      absl::StrAppend(&report_, "note: it would be refused: ", std::string(can.message()), "\n");
    }
    const SlurmFolder folder(run.run_folder);
    if (folder.run().find_first_of("%\\") != std::string::npos) {
      return ConfigError(
          absl::StrCat("the run's folder ", folder.run(),
                       " has a '%' or a backslash in its path, which SLURM reads as a pattern of log files: "
                       "give another one with --run_dir or --wname"));
    }
    ASSIGN_OR_RETURN(const std::optional<int64_t> step, LatestStep(folder));
    if (step.has_value()) RETURN_IF_ERROR(CheckGoesOn(run, *step));
    const Training& training = run.experiment.proto().training();
    if (step.has_value() && training.has_max_steps() && *step >= training.max_steps()) {
      absl::StrAppend(&report_, "nothing to do: ", folder.run(), " is done, at step ", *step, " of ",
                      training.max_steps(), "\n");
      return true;
    }
    ASSIGN_OR_RETURN(const std::vector<SlotEvent> events, ReadSlotEvents(folder.ledger_path()));
    const std::vector<SlotChain> chains = ChainsOf(events);
    if (chains.empty() || launch_.dry_run()) return false;
    ASSIGN_OR_RETURN(const std::vector<ChainJob> jobs, LiveJobs(chains.back()));
    if (jobs.empty()) return false;
    if (chains.back().ended.has_value()) {
      return ConfigError(absl::StrCat("job ", jobs[0].job, " of the run in ", folder.run(), " is still ending (",
                                      jobs[0].state.state, "): launch it again when SLURM is done with it"));
    }
    return ConfigError(absl::StrCat("the run in ", folder.run(), " is in the queue already: job ", jobs[0].job, " is ",
                                    jobs[0].state.state, "; look with ", Program(), " status ",
                                    QuoteShellWord(folder.run()), ", end it with ", Program(), " cancel ",
                                    QuoteShellWord(folder.run())));
  }

  absl::StatusOr<std::string> Bundle() {
    if (!launch_.has_bundle()) {
      return find_bundle_(ParentOf(runs_[0].run_folder) + "/bundles", launch_.dry_run());
    }
    for (const char* program : {"/train", "/train_worker", "/slurm_launch"}) {
      const std::string path = launch_.bundle() + program;
      if (access(path.c_str(), X_OK) != 0) {
        return ConfigError(absl::StrCat("bundle ", launch_.bundle(), " has no program ", program + 1,
                                        ": make one with //tools:bundle --libtorch --output DIR"));
      }
    }
    return launch_.bundle();
  }

  // Jobs would find it out after their time in the queue.
  void NoteMissingLibraries(const std::string& bundle) {
    const auto& environment = launch_.environment();
    const bool has_path = std::getenv("LD_LIBRARY_PATH") != nullptr ||
                          std::any_of(environment.begin(), environment.end(), [](const std::string& entry) {
                            return absl::StartsWith(entry, "LD_LIBRARY_PATH=");
                          });
    if (has_path || !IsDirectory(bundle) || access((bundle + "/lib/libtorch.so").c_str(), F_OK) == 0) return;
    absl::StrAppend(&report_, "note: the bundle ", bundle,
                    " has no LibTorch in lib/: unless the nodes have it where their loader looks, give "
                    "--environment LD_LIBRARY_PATH=... (MANIFEST in the bundle says of what)\n");
  }

  SlotCommand SlotOf(const TrainingCommand& run, const std::string& bundle) const {
    SlotCommand slot;
    slot.bundle = bundle;
    slot.run_folder = run.run_folder;
    slot.working_folder = working_folder_;
    slot.arguments = run.arguments;
    slot.gpus_per_node = launch_.has_gpus_per_node() ? launch_.gpus_per_node()
                         : WantsGpus(run.flags)      ? run.flags.gpus.value_or(1)
                                                     : 0;
    return slot;
  }

  absl::Status CheckMountable() const {
    std::vector<std::string> folders = {slots_[0].bundle, working_folder_};
    for (const SlotCommand& slot : slots_) folders.push_back(slot.run_folder);
    for (const std::string& folder : folders) {
      if (folder.find_first_of(":,") != std::string::npos) {
        return ConfigError(
            absl::StrCat("the container cannot see ", folder, ": mounts have no way to write ':' and ','"));
      }
    }
    return absl::OkStatus();
  }

  // Of the runs of a sweep: beside them.
  std::string SweepFolder() const {
    const std::string& name = runs_[0].experiment.proto().name();
    return absl::StrCat(ParentOf(runs_[0].run_folder), "/", name, "_sweep");
  }

  std::string Size(const SlotCommand& slot) const {
    return absl::StrCat(
        CountOf(static_cast<uint64_t>(launch_.nodes()), "node"),
        slot.gpus_per_node > 0 ? absl::StrCat(" of ", CountOf(static_cast<uint64_t>(slot.gpus_per_node), "GPU")) : "",
        ", ", launch_.iterations() == 1 ? "one slot of " : absl::StrCat("up to ", launch_.iterations(), " slots of "),
        launch_.time_limit(),
        launch_.time_limit().find_first_not_of("0123456789") == std::string::npos ? " minutes" : "");
  }

  absl::StatusOr<std::string> Describe() {
    for (const SlotCommand& slot : slots_) {
      const SlurmFolder folder(slot.run_folder);
      absl::StrAppend(&report_, "# would be written to ", folder.script_path(), " (", Size(slot), ")\n",
                      BatchScript(launch_, slot), "\n");
    }
    if (is_sweep()) {
      absl::StrAppend(&report_, "# would be written to ", SweepFolder(), "/sweep.sh\n",
                      SweepScript(launch_, SweepFolder(), slots_), "\n");
    }
    const std::string folder = is_sweep() ? SweepFolder() : SlurmFolder(slots_[0].run_folder).path();
    absl::StrAppend(&report_, "# and would be submitted with\ncd ", QuoteShellWord(folder), " && sbatch --parsable ",
                    is_sweep() ? "sweep.sh" : kScriptName, "\n");
    return report_;
  }

  absl::Status WriteRun(const TrainingCommand& run, const SlotCommand& slot) {
    const SlurmFolder folder(run.run_folder);
    RETURN_IF_ERROR(MakeDurableDirectories(ops_, folder.path()));
    RETURN_IF_ERROR(WriteFileAtomically(ops_, folder.config_path(), run.experiment.CanonicalText()));
    Launch resolved = launch_;
    resolved.set_gpus_per_node(slot.gpus_per_node);
    resolved.set_bundle(slot.bundle);
    RETURN_IF_ERROR(WriteFileAtomically(ops_, folder.launch_path(), CanonicalMessageText(resolved)));
    RETURN_IF_ERROR(WriteFileAtomically(ops_, folder.script_path(), BatchScript(launch_, slot)));
    SlotEvent event;
    event.set_event(SlotEvent::LAUNCHED);
    event.set_iterations(launch_.iterations());
    event.set_max_preemptions(launch_.max_preemptions());
    event.set_max_failures(launch_.max_failures());
    event.set_host(HostName());
    return AppendSlotEvent(ops_, folder.ledger_path(), event);
  }

  absl::Status WriteAll() {
    for (size_t i = 0; i < runs_.size(); ++i) RETURN_IF_ERROR(WriteRun(runs_[i], slots_[i]));
    if (!is_sweep()) return absl::OkStatus();
    RETURN_IF_ERROR(MakeDurableDirectories(ops_, SweepFolder()));
    return WriteFileAtomically(ops_, SweepFolder() + "/sweep.sh", SweepScript(launch_, SweepFolder(), slots_));
  }

  // Nothing of a launch that failed: no new folder, and an end of the chain where there was one.
  void TakeBack(const std::set<std::string>& existed, const absl::Status& why) {
    for (const SlotCommand& slot : slots_) {
      if (existed.count(slot.run_folder) == 0) {
        RemoveTree(ops_, slot.run_folder).IgnoreError();
        continue;
      }
      SlotEvent event;
      event.set_event(SlotEvent::CHAIN_ENDED);
      event.set_reason(absl::StrCat("it was not submitted: ", std::string(why.message())));
      AppendSlotEvent(ops_, SlurmFolder(slot.run_folder).ledger_path(), event).IgnoreError();
    }
    if (is_sweep() && existed.count(SweepFolder()) == 0) RemoveTree(ops_, SweepFolder()).IgnoreError();
  }

  absl::StatusOr<std::string> Submit() {
    std::set<std::string> existed;
    for (const SlotCommand& slot : slots_) {
      if (IsDirectory(slot.run_folder)) existed.insert(slot.run_folder);
    }
    if (is_sweep() && IsDirectory(SweepFolder())) existed.insert(SweepFolder());
    if (const absl::Status written = WriteAll(); !written.ok()) {
      TakeBack(existed, written);
      return written;
    }
    const absl::StatusOr<std::string> job =
        is_sweep() ? SubmitScript(SweepFolder(), {}, "sweep.sh")
                   : SubmitScript(SlurmFolder(slots_[0].run_folder).path(), {}, kScriptName);
    if (!job.ok()) {
      TakeBack(existed, job.status());
      return job.status();
    }
    for (size_t i = 0; i < slots_.size(); ++i) {
      SlotEvent event;
      event.set_event(SlotEvent::SUBMITTED);
      event.set_job(is_sweep() ? absl::StrCat(*job, "_", i) : *job);
      RETURN_IF_ERROR(AppendSlotEvent(ops_, SlurmFolder(slots_[i].run_folder).ledger_path(), event));
    }
    if (!runs_[0].experiment.proto().training().has_max_steps()) {
      absl::StrAppend(&report_, "note: the config gives no training.max_steps, so that the run is never done: it uses ",
                      CountOf(static_cast<uint64_t>(launch_.iterations()), "slot"),
                      "; --max_steps in the command ends it earlier\n");
    }
    absl::StrAppend(&report_, "submitted job ", *job,
                    is_sweep() ? absl::StrCat(", an array of ", CountOf(slots_.size(), "run")) : "", ": ",
                    Size(slots_[0]), "\n");
    for (const SlotCommand& slot : slots_) absl::StrAppend(&report_, "run folder: ", slot.run_folder, "\n");
    absl::StrAppend(&report_, "look at it with: ", Program(), " status ", QuoteShellWord(slots_[0].run_folder), "\n");
    return report_;
  }

  FileOps& ops_;
  const Launch& launch_;
  const FindBundle& find_bundle_;
  const std::string working_folder_;
  std::vector<TrainingCommand> runs_;
  std::vector<SlotCommand> slots_;  // of runs_
  std::string report_;
};

}  // namespace

absl::StatusOr<std::string> RunLaunch(FileOps& ops, const Launch& launch, const FindBundle& find_bundle) {
  return Launcher(ops, launch, find_bundle).Run();
}

}  // namespace cubist
