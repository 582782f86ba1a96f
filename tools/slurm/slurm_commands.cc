#include "tools/slurm/slurm_commands.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/subprocess.h"

namespace cubist {
namespace {

// What a program of SLURM said, for messages: its errors without empty lines.
std::string Said(const SubprocessResult& result) {
  const std::string text(absl::StripAsciiWhitespace(result.error.empty() ? result.output : result.error));
  return text.empty() ? absl::StrCat("exit code ", result.exit_code) : text;
}

absl::Status Failed(const std::vector<std::string>& arguments, const SubprocessResult& result) {
  return ConfigError(absl::StrCat(absl::StrJoin(arguments, " "), ": ", Said(result)));
}

bool SaysUnknown(const SubprocessResult& result) {
  return absl::StrContains(absl::AsciiStrToLower(result.error), "invalid job id") ||
         absl::StrContains(result.output, "not found");
}

// "TIMEOUT" of "TIMEOUT", "CANCELLED by 1000", "CANCELLED+".
std::string FirstWord(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  return std::string(text.substr(0, std::min(text.find_first_of(" +\t\n|"), text.size())));
}

// "75:0", the exit code and the signal of a batch script.
std::optional<int> ParseExitCode(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  int code = 0, signal = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &code) || !absl::SimpleAtoi(parts[1], &signal)) return {};
  if (signal != 0) return {};
  return code;
}

// Of scontrol's line of NAME=VALUE; values may hold spaces, the names that are asked for do not occur in them before
// their own.
std::string FieldOf(const std::string& line, const std::string& name) {
  const std::string key = absl::StrCat(" ", name, "=");
  const std::string text = " " + line;
  const size_t begin = text.find(key);
  if (begin == std::string::npos) return "";
  const size_t value = begin + key.size();
  return text.substr(value, text.find_first_of(" \n", value) - value);
}

// Each of these gives nothing if the program does not answer, and a state that is not known if the job is not.
std::optional<JobState> AskScontrol(const std::string& job) {
  const auto result = RunSubprocess({"scontrol", "--oneliner", "show", "job", job});
  if (!result.ok()) return {};
  if (!result->ok()) return SaysUnknown(*result) ? std::optional<JobState>(JobState()) : std::nullopt;
  JobState found;
  found.state = FirstWord(FieldOf(result->output, "JobState"));
  found.reason = FieldOf(result->output, "Reason");
  if (found.is_over()) found.exit_code = ParseExitCode(FieldOf(result->output, "ExitCode"));
  return found;
}

std::optional<JobState> AskSqueue(const std::string& job) {
  const auto result =
      RunSubprocess({"squeue", "--noheader", "--states=all", absl::StrCat("--jobs=", job), "--format=%T|%r"});
  if (!result.ok()) return {};
  if (!result->ok()) return SaysUnknown(*result) ? std::optional<JobState>(JobState()) : std::nullopt;
  JobState found;
  const std::vector<std::string> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(result->output), absl::ByAnyChar("|\n"));
  found.state = FirstWord(parts[0]);
  if (parts.size() > 1) found.reason = parts[1];
  return found;
}

// Only where there is accounting.
std::optional<JobState> AskSacct(const std::string& job) {
  const auto result = RunSubprocess(
      {"sacct", "--noheader", "--allocations", "--parsable2", absl::StrCat("--jobs=", job), "--format=State,ExitCode"});
  if (!result.ok() || !result->ok()) return {};
  JobState found;
  const std::vector<std::string> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(result->output), absl::ByAnyChar("|\n"));
  found.state = FirstWord(parts[0]);
  if (parts.size() > 1 && found.is_over()) found.exit_code = ParseExitCode(parts[1]);
  return found;
}

}  // namespace

std::string OwnJob(const Environment& environment) {
  const auto get = [&environment](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? "" : found->second;
  };
  const std::string array = get("SLURM_ARRAY_JOB_ID"), task = get("SLURM_ARRAY_TASK_ID");
  return array.empty() || task.empty() ? get("SLURM_JOB_ID") : absl::StrCat(array, "_", task);
}

std::vector<std::string> EnvironmentForJobs(std::string_view script) {
  // What sbatch takes from its variables wins over the script: only a user's defaults may stay, where it is silent.
  std::set<std::string> defaults;
  for (const char* option : {"account", "partition", "qos", "constraint", "reservation"}) {
    if (!absl::StrContains(absl::string_view(script.data(), script.size()), absl::StrCat("#SBATCH --", option, "="))) {
      defaults.insert(absl::StrCat("SBATCH_", absl::AsciiStrToUpper(option)));
    }
  }
  std::vector<std::string> entries;
  for (const auto& [name, value] : CurrentEnvironment()) {
    const auto begins = [&name = name](const char* prefix) { return absl::StartsWith(name, prefix); };
    if (begins("SLURM_") || begins("SLURMD_") || begins("BUILD_") || begins("RUNFILES_") || begins("TEST_") ||
        begins("BAZEL") || name == "JAVA_RUNFILES" || name == "PYTHON_RUNFILES") {
      // Where SLURM is: no job's own.
      if (name != "SLURM_CONF") continue;
    }
    if (begins("SBATCH_") && defaults.count(name) == 0) continue;
    entries.push_back(absl::StrCat(name, "=", value));
  }
  return entries;
}

absl::StatusOr<std::string> SubmitScript(const std::string& folder, const std::vector<std::string>& options,
                                         const std::string& script) {
  std::vector<std::string> arguments = {"sbatch", "--parsable"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(script);
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(absl::StrCat(folder, "/", script)));
  SubprocessOptions how;
  how.folder = folder;
  how.environment = EnvironmentForJobs(text);
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(arguments, how));
  if (!result.ok()) return Failed(arguments, result);
  // "1234" or "1234;cluster".
  const std::vector<std::string> parts = absl::StrSplit(absl::StripAsciiWhitespace(result.output), ';');
  uint32_t job = 0;
  if (!absl::SimpleAtoi(parts[0], &job) || job == 0) {
    return ConfigError(
        absl::StrCat("sbatch took the script and gave no job number: '", result.output, "' ", result.error));
  }
  return parts[0];
}

bool JobState::is_over() const {
  // Those that are final; what a later SLURM adds is taken for a job that lives.
  static const std::set<std::string>* const kOver =
      new std::set<std::string>{"BOOT_FAIL", "CANCELLED",     "COMPLETED", "DEADLINE", "FAILED",
                                "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",  "TIMEOUT"};
  return kOver->count(state) > 0;
}

std::string JobState::EndState() const {
  if (is_over()) return state;
  // A job that somebody cancelled looks like one that was preempted.
  if (state == "COMPLETING" && reason == "TimeLimit") return "TIMEOUT";
  return state == "COMPLETING" && reason == "NodeDown" ? "NODE_FAIL" : "";
}

bool JobState::is_waiting() const {
  return state == "PENDING" || state == "REQUEUED" || state == "REQUEUE_HOLD" || state == "REQUEUE_FED" ||
         state == "SPECIAL_EXIT" || state == "CONFIGURING";
}

absl::StatusOr<JobState> QueryJob(const std::string& job) {
  bool answered = false;
  for (const auto& ask : {AskScontrol, AskSqueue, AskSacct}) {
    const std::optional<JobState> found = ask(job);
    if (found.has_value() && found->is_known()) return *found;
    answered = answered || found.has_value();
  }
  if (answered) return JobState();
  return PeerLostError(absl::StrCat("neither scontrol nor squeue nor sacct says what became of job ", job));
}

absl::Status RequeueJob(const std::string& job) {
  const std::vector<std::string> arguments = {"scontrol", "requeue", job};
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(arguments));
  return result.ok() ? absl::OkStatus() : Failed(arguments, result);
}

absl::Status CancelJobs(const std::vector<std::string>& jobs, const std::string& signal) {
  if (jobs.empty()) return absl::OkStatus();
  std::vector<std::string> arguments = {"scancel"};
  if (!signal.empty()) arguments.insert(arguments.end(), {"--batch", absl::StrCat("--signal=", signal)});
  arguments.insert(arguments.end(), jobs.begin(), jobs.end());
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(arguments));
  return result.ok() || SaysUnknown(result) ? absl::OkStatus() : Failed(arguments, result);
}

}  // namespace cubist
