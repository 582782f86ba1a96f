#include "tools/slurm/batch_script.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/slurm/shell_words.h"
#include "tools/slurm/time_limit.h"

namespace cubist {
namespace {

bool HasControlCharacters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

// A label: what is odd in a folder's name would only disturb squeue's table.
std::string JobName(const std::string& run_folder) {
  std::string name = run_folder.substr(run_folder.find_last_of('/') + 1).substr(0, 64);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string_view("._=+-").find(c) == std::string_view::npos)
      c = '_';
  }
  return name;
}

// Options whose meaning a chain of slots depends on.
const std::set<std::string>& OwnOptions() {
  static const auto* const kNames = new std::set<std::string>{"--account",
                                                              "--array",
                                                              "--begin",
                                                              "--chdir",
                                                              "--constraint",
                                                              "--cpus-per-task",
                                                              "--dependency",
                                                              "--error",
                                                              "--exclusive",
                                                              "--gpus-per-node",
                                                              "--hold",
                                                              "--job-name",
                                                              "--kill-on-invalid-dep",
                                                              "--mail-type",
                                                              "--mail-user",
                                                              "--mem",
                                                              "--nodes",
                                                              "--no-requeue",
                                                              "--ntasks",
                                                              "--ntasks-per-node",
                                                              "--open-mode",
                                                              "--output",
                                                              "--parsable",
                                                              "--partition",
                                                              "--qos",
                                                              "--quiet",
                                                              "--requeue",
                                                              "--signal",
                                                              "--test-only",
                                                              "--time",
                                                              "--wait",
                                                              "--wrap"};
  return *kNames;
}

absl::Status CheckSbatchOption(const std::string& option) {
  const std::string name = option.substr(0, option.find('='));
  if (!absl::StartsWith(option, "--") || absl::StrContains(name, " ")) {
    return ConfigError(absl::StrCat("sbatch_option '", option, "': write it as --NAME or --NAME=VALUE"));
  }
  // sbatch takes the beginning of a name for it.
  const auto own = OwnOptions().lower_bound(name);
  if (own != OwnOptions().end() && absl::StartsWith(*own, name)) {
    return ConfigError(absl::StrCat("sbatch_option '", option, "': slurm_launch decides on ", *own,
                                    "; see slurm_launch --help for its own flags"));
  }
  return absl::OkStatus();
}

absl::Status CheckVariable(const std::string& entry) {
  const std::string name = entry.substr(0, entry.find('='));
  const bool is_name =
      !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  if (is_name && absl::StrContains(entry, "=") && !absl::StrContains(entry, '\0')) return absl::OkStatus();
  return ConfigError(absl::StrCat("environment '", entry, "': write it as NAME=VALUE"));
}

// Mounts are lists with commas and colons of their own.
absl::Status CheckMount(const std::string& mount) {
  const std::vector<std::string> parts = absl::StrSplit(mount, ':');
  const bool is_mount = parts.size() <= 3 && !absl::StrContains(mount, ",") && parts[0].substr(0, 1) == "/" &&
                        (parts.size() < 2 || parts[1].substr(0, 1) == "/");
  if (is_mount) return absl::OkStatus();
  return ConfigError(absl::StrCat("container_mount '", mount,
                                  "': write it as /PATH, /SOURCE:/TARGET or /SOURCE:/TARGET:FLAGS, without commas"));
}

class Checks {
 public:
  void Add(const absl::Status& status) {
    if (!status.ok()) mistakes_.push_back(std::string(status.message()));
  }
  absl::Status Result() const {
    return mistakes_.empty() ? absl::OkStatus() : ConfigError(absl::StrJoin(mistakes_, "\n"));
  }

 private:
  std::vector<std::string> mistakes_;
};

// A value of an #SBATCH line, which sbatch splits: between single quotes all but these stands for itself, and between
// double quotes all but these and backslashes.
std::string QuoteOption(const std::string& value) {
  if (!absl::StrContains(value, "'")) return QuoteShellWord(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

class Script {
 public:
  void Option(const char* name, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&text_, "#SBATCH --", name, "=", QuoteOption(value), "\n");
  }
  void Flag(const char* name) { absl::StrAppend(&text_, "#SBATCH --", name, "\n"); }
  void Line(const std::string& line) { absl::StrAppend(&text_, line, "\n"); }
  const std::string& text() const { return text_; }

 private:
  std::string text_ = "#!/bin/bash\n";
};

void AddOptions(const Launch& launch, const std::string& job_name, int gpus_per_node, Script* script) {
  script->Option("job-name", job_name);
  script->Option("nodes", absl::StrCat(launch.nodes()));
  script->Option("ntasks-per-node", "1");
  if (gpus_per_node > 0) script->Option("gpus-per-node", absl::StrCat(gpus_per_node));
  if (launch.has_cpus_per_task()) script->Option("cpus-per-task", absl::StrCat(launch.cpus_per_task()));
  script->Option("mem", launch.memory());
  if (launch.exclusive()) script->Flag("exclusive");
  script->Option("time", launch.time_limit());
  // To the batch script alone, which hands it on.
  script->Option("signal", absl::StrCat("B:USR1@", launch.warning_seconds()));
  script->Flag("requeue");
  script->Option("open-mode", "append");
  script->Option("account", launch.account());
  script->Option("partition", launch.partition());
  script->Option("qos", launch.qos());
  script->Option("constraint", launch.constraint());
  if (launch.has_mail_user()) {
    script->Option("mail-user", launch.mail_user());
    script->Option("mail-type", launch.mail_type());
  }
  for (const std::string& option : launch.sbatch_option()) {
    const size_t equals = option.find('=');
    if (equals == std::string::npos) {
      script->Flag(option.c_str() + 2);
    } else {
      script->Option(option.substr(2, equals - 2).c_str(), option.substr(equals + 1));
    }
  }
}

// The options of srun and the words before `train` that start it in a container.
void AddContainer(const Launch& launch, const SlotCommand& slot, std::vector<std::string>* srun,
                  std::vector<std::string>* prefix) {
  std::vector<std::string> mounts = {slot.bundle, slot.run_folder, slot.working_folder};
  mounts.insert(mounts.end(), launch.container_mount().begin(), launch.container_mount().end());
  if (launch.container_runtime() == Launch::APPTAINER) {
    *prefix = {"apptainer", "exec"};
    if (slot.gpus_per_node > 0) prefix->push_back("--nv");
    for (const std::string& mount : mounts) prefix->insert(prefix->end(), {"--bind", mount});
    prefix->insert(prefix->end(), {"--pwd", slot.working_folder, launch.container_image()});
    return;
  }
  for (std::string& mount : mounts) {
    if (!absl::StrContains(mount, ":")) mount = absl::StrCat(mount, ":", mount);
  }
  srun->push_back(absl::StrCat("--container-image=", launch.container_image()));
  srun->push_back(absl::StrCat("--container-mounts=", absl::StrJoin(mounts, ",")));
  srun->push_back(absl::StrCat("--container-workdir=", slot.working_folder));
}

// A command over several lines, a group of words on each.
std::string Continued(const std::vector<std::vector<std::string>>& groups) {
  std::string command;
  for (const std::vector<std::string>& group : groups) {
    if (group.empty()) continue;
    absl::StrAppend(&command, command.empty() ? "" : " \\\n  ", JoinShellWords(group));
  }
  return command;
}

}  // namespace

absl::Status CheckBatchOptions(const Launch& launch) {
  Checks checks;
  const auto check_text = [&checks](const char* name, const std::string& value) {
    if (HasControlCharacters(value))
      checks.Add(ConfigError(absl::StrCat(name, " has a newline or another control character")));
  };
  check_text("account", launch.account());
  check_text("partition", launch.partition());
  check_text("qos", launch.qos());
  check_text("constraint", launch.constraint());
  check_text("memory", launch.memory());
  check_text("mail_user", launch.mail_user());
  check_text("mail_type", launch.mail_type());
  for (const std::string& option : launch.sbatch_option()) {
    check_text("sbatch_option", option);
    checks.Add(CheckSbatchOption(option));
  }
  for (const std::string& entry : launch.environment()) checks.Add(CheckVariable(entry));
  for (const std::string& mount : launch.container_mount()) checks.Add(CheckMount(mount));
  if (!launch.has_container_image() && launch.container_mount_size() > 0) {
    checks.Add(ConfigError("container_mount is given, and no container_image"));
  }
  const auto limit = ParseTimeLimit(launch.time_limit());
  checks.Add(limit.status());
  if (limit.ok() && *limit <= launch.warning_seconds()) {
    checks.Add(
        ConfigError(absl::StrCat("warning_seconds is ", launch.warning_seconds(), " s, and the whole time_limit ",
                                 launch.time_limit(), " is ", *limit, " s: give a shorter warning or a longer limit")));
  }
  return checks.Result();
}

std::string BatchScript(const Launch& launch, const SlotCommand& slot) {
  Script script;
  AddOptions(launch, JobName(slot.run_folder), slot.gpus_per_node, &script);
  // From the folder that it is submitted from.
  script.Option("output", "job-%j.log");
  script.Line("");
  script.Line(
      "# Written by slurm_launch. One slot of the run: finds out how the one before it ended, has SLURM wait with the");
  script.Line("# next one for the end of this job, and trains. slots.jsonl beside this file says what was done.");
  for (const std::string& entry : launch.environment()) {
    const size_t equals = entry.find('=');
    script.Line(absl::StrCat("export ", entry.substr(0, equals), "=", QuoteShellWord(entry.substr(equals + 1))));
  }
  std::vector<std::string> srun = {"srun",
                                   absl::StrCat("--nodes=", launch.nodes()),
                                   "--ntasks-per-node=1",
                                   "--label",
                                   "--kill-on-bad-exit=0",
                                   "--cpu-bind=none"};
  // srun does not take this from the job's options.
  if (launch.has_cpus_per_task()) srun.push_back(absl::StrCat("--cpus-per-task=", launch.cpus_per_task()));
  std::vector<std::string> container, prefix;
  if (launch.has_container_image()) AddContainer(launch, slot, &container, &prefix);
  // srun would go elsewhere without an error.
  script.Line(absl::StrCat("cd -- ", QuoteShellWord(slot.working_folder), " || exit 6"));
  script.Line(absl::StrCat("exec ", Continued({{slot.bundle + "/slurm_launch", "slot", slot.run_folder, "--"},
                                               srun,
                                               container,
                                               prefix,
                                               {slot.bundle + "/train", slot.run_folder + "/slurm/config.textproto"},
                                               {"--run_dir", slot.run_folder},
                                               slot.arguments})));
  return script.text();
}

std::string SweepScript(const Launch& launch, const std::string& name, const std::vector<SlotCommand>& runs) {
  Script script;
  AddOptions(launch, JobName(name), runs[0].gpus_per_node, &script);
  script.Option("array", absl::StrCat("0-", runs.size() - 1,
                                      launch.sweep_parallel() > 0 ? absl::StrCat("%", launch.sweep_parallel()) : ""));
  script.Option("output", "job-%A_%a.log");
  script.Line("");
  script.Line(
      "# Written by slurm_launch. The first slots of a sweep: each task of the array is one run, whose own script has");
  script.Line("# its later slots.");
  script.Line("runs=(");
  for (const SlotCommand& run : runs) script.Line("  " + QuoteShellWord(run.run_folder));
  script.Line(")");
  script.Line("run=\"${runs[SLURM_ARRAY_TASK_ID]}\"");
  script.Line("cd -- \"${run}/slurm\" || exit 6");
  script.Line(absl::StrCat("exec bash ./", kScriptName));
  return script.text();
}

}  // namespace cubist
