#include "tools/slurm/run_command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/field_path.h"
#include "tools/slurm/run_commands.h"
#include "tools/slurm/slot.h"

namespace cubist {
namespace {

constexpr char kProgram[] = "slurm_launch";

struct Words {
  std::string run;
  std::vector<std::string> runs;
  bool now = false;
  LogsOptions logs;
};

void DefineFlags(CLI::App* app, Words* words) {
  app->require_subcommand(1);
  app->set_help_flag("--help,-h", "Print this and exit");
  CLI::App* status = app->add_subcommand("status", "Slots, states, steps reached, hours used and slots to go");
  status->add_option("run", words->runs, "Run folders, or names in runs/; none: a line for each run in runs/")
      ->type_name("RUN");
  CLI::App* cancel = app->add_subcommand("cancel", "The run saves and ends, and no further slot follows");
  cancel->add_option("run", words->run, "Run folder, or its name in runs/")->type_name("RUN")->required();
  cancel->add_flag("--now", words->now, "Kill it; it can go on from its last checkpoint");
  CLI::App* logs = app->add_subcommand("logs", "The end of a log");
  logs->add_option("run", words->run, "Run folder, or its name in runs/")->type_name("RUN")->required();
  logs->add_option("--slot", words->logs.slot, "Slot, counted from 1; default: the last one")
      ->check(CLI::Range(1, 1000000));
  CLI::Option* rank =
      logs->add_option("--rank", words->logs.rank, "Rank whose log it is")->check(CLI::NonNegativeNumber);
  logs->add_flag("--launch", words->logs.launch, "What srun and train on each node said, in the place of a rank")
      ->excludes(rank);
  logs->add_option("--lines", words->logs.lines, "Lines that are shown")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  logs->add_flag("--follow,-f", words->logs.follow, "Go on with what comes to it, slot after slot");
}

// slot RUN -- COMMAND...: no flags of its own, and the command's are left alone.
absl::StatusOr<int> Slot(int argc, char** argv) {
  const std::vector<std::string> words(argv + 2, argv + argc);
  if (words.size() < 3 || words[1] != "--") {
    return ConfigError("slot is what the batch script calls, as slurm_launch slot RUN -- srun ...");
  }
  return RunSlot(ResolvePath(words[0]), {words.begin() + 2, words.end()}, CurrentEnvironment());
}

}  // namespace

bool IsRunCommand(std::string_view word) {
  return word == "status" || word == "cancel" || word == "logs" || word == "slot";
}

absl::Status CheckNoCommand(std::string_view word) {
  if (word.find_first_of("./-=") != std::string_view::npos || access(std::string(word).c_str(), F_OK) == 0) {
    return absl::OkStatus();
  }
  const std::string nearest = NearestWord(std::string(word), {"status", "cancel", "logs"});
  return ConfigError(absl::StrCat(
      "there is no command and no file '", std::string(word), "'; ",
      nearest.empty() ? "the commands are status, cancel and logs" : absl::StrCat("did you mean ", nearest, "?"),
      "\nRun ", kProgram, " --help for all of them."));
}

absl::StatusOr<int> RunCommandLine(int argc, char** argv) {
  if (std::string_view(argv[1]) == "slot") return Slot(argc, argv);
  CLI::App app("A run that slurm_launch submitted.", kProgram);
  Words words;
  try {
    DefineFlags(&app, &words);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return FinishProgram(kProgram, absl::OkStatus());
  } catch (const CLI::Error& error) {
    return ConfigError(absl::StrCat(error.what(), "\nRun ", kProgram, " ", argv[1], " --help for all flags."));
  }
  if (app.got_subcommand("status")) return FinishProgram(kProgram, ShowStatus(words.runs));
  if (app.got_subcommand("cancel")) return FinishProgram(kProgram, CancelRun(SystemFileOps(), words.run, words.now));
  return FinishProgram(kProgram, ShowLogs(words.run, words.logs));
}

}  // namespace cubist
