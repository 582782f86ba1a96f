// checkpoint show|diff|verify|convert|log: see tools/interchange/checkpoint_flags.h.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_difference.h"
#include "tools/interchange/checkpoint_download.h"
#include "tools/interchange/checkpoint_flags.h"
#include "tools/interchange/checkpoint_log.h"
#include "tools/interchange/checkpoint_overview.h"
#include "tools/interchange/checkpoint_reference.h"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/checkpoint_verification.h"
#include "tools/interchange/conversion.h"
#include "tools/interchange/terminal_progress.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/wandb/core_process.h"

namespace cubist {
namespace {

absl::Status Report(const CheckpointFlags& flags, const std::vector<std::string>& read, const std::string& text,
                    const std::string& json) {
  std::fputs(text.c_str(), stdout);
  if (!flags.json.empty()) RETURN_IF_ERROR(CheckOutput(flags.json, read, /*overwrite=*/true));
  return flags.json.empty() ? absl::OkStatus() : WriteFileAtomically(SystemFileOps(), flags.json, json);
}

absl::Status Run(const CheckpointFlags& flags, const CheckpointResolver& resolve, bool* differs) {
  const auto open = [&resolve](const std::string& reference) -> absl::StatusOr<std::unique_ptr<AnyCheckpoint>> {
    ASSIGN_OR_RETURN(const std::string path, resolve(reference));
    return AnyCheckpoint::Open(path);
  };
  TerminalProgress progress;
  if (flags.command == "verify") {
    const auto say = [&progress](const std::string& line) {
      progress.Clear();
      std::puts(line.c_str());
      std::fflush(stdout);
    };
    return VerifyCheckpoints(flags.references, progress.Callback(), say, resolve);
  }
  if (flags.command == "log") {
    ASSIGN_OR_RETURN(const std::string path, resolve(flags.references[0]));
    ASSIGN_OR_RETURN(const std::vector<LogEntry> log, ReadLog(path));
    return Report(flags, {path}, LogText(log), LogJson(log));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> first, open(flags.references[0]));
  if (flags.command == "show") {
    ASSIGN_OR_RETURN(const CheckpointOverview overview, LookAt(*first, flags.overview, progress.Callback()));
    progress.Clear();
    return Report(flags, {first->description().path}, OverviewText(overview, flags.overview),
                  OverviewJson(overview, flags.overview));
  }
  if (flags.command == "diff") {
    ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> second, open(flags.references[1]));
    ASSIGN_OR_RETURN(const auto difference, CompareCheckpoints(*first, *second, flags.tolerance, progress.Callback()));
    progress.Clear();
    *differs = !difference.same();
    return Report(flags, {first->description().path, second->description().path}, DifferenceText(difference),
                  DifferenceJson(difference));
  }
  ASSIGN_OR_RETURN(const ConversionReport report,
                   ConvertCheckpoint(SystemFileOps(), *first, flags.output, flags.conversion, progress.Callback()));
  progress.Clear();
  for (const std::string& remark : report.remarks) std::fprintf(stderr, "%s\n", Escaped(remark).c_str());
  std::printf("wrote %s (%s, %s)\n", report.output.c_str(), TensorsText(report.tensors).c_str(),
              BytesText(report.bytes).c_str());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const absl::StatusOr<CheckpointFlags> flags = ParseCheckpointFlags(argc, argv);
  if (!flags.ok()) return FinishProgram("checkpoint", flags.status());
  if (!flags->help.empty()) {
    std::fputs(flags->help.c_str(), stdout);
    return 0;
  }
  const Environment environment = CurrentEnvironment();
  const CheckpointServer server = {FindWandbCore(argv[0], environment), environment, {}};
  const auto resolve = [&server](std::string_view reference) { return FindCheckpoint(reference, server); };
  bool differs = false;
  const int code = FinishProgram("checkpoint", Run(*flags, resolve, &differs));
  return code == 0 && differs ? 1 : code;
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
