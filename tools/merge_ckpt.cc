// Merges the two branches of the Gaussian reconstruction into a dual-branch checkpoint; see
// tools/interchange/branch_merge.h.
//   merge_ckpt [CONFIG] [--branch_3d REF] [--branch_2d REF] [--output PATH] [--on_conflict fail|prefer_2d|prefer_3d]
//   ...
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/message_flags.h"
#include "configs/proto/merge.pb.h"
#include "tools/interchange/branch_merge.h"
#include "tools/interchange/checkpoint_download.h"
#include "tools/interchange/terminal_progress.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/wandb/core_process.h"

namespace cubist {
namespace {

constexpr char kName[] = "merge_ckpt";

constexpr char kFooter[] = R"(Examples:
  merge_ckpt --branch_3d runs/voxel_branch --branch_2d runs/pixel_branch --output runs/dual
  # files of the reference; where both have a tensor, the pixel branch's, as its own script does
  merge_ckpt --branch_3d voxel/last.ckpt --branch_2d pixel/last.ckpt --output dual.ckpt --on_conflict prefer_2d
  # all of it in a file
  merge_ckpt merge.textproto

A run is its newest checkpoint; RUN:STEP and RUN:best name others.
Exit codes: 0 done; 2 bad flag, config or reference, or an output that exists; 3 a file is damaged, is not the branch that it
is given as, or tensors are in conflict; 5 the server of a wdb: name did not tell, or a download was cut; 6 a checkpoint of
ours is damaged, or the output cannot be written; 70 a bug in Cubist; 75 stopped by a signal. Unless it is 0, nothing was
written.)";

absl::Status Run(const char* argv0, const Merge& options) {
  const Environment environment = CurrentEnvironment();
  const CheckpointServer server = {FindWandbCore(argv0, environment), environment, {}};
  const auto resolve = [&server](std::string_view reference) { return FindCheckpoint(reference, server); };
  TerminalProgress progress;
  const absl::StatusOr<MergeReport> report = RunMerge(SystemFileOps(), options, progress.Callback(), resolve);
  progress.Clear();
  RETURN_IF_ERROR(report.status());
  std::fputs(MergeReportText(*report).c_str(), stdout);
  std::fputs(absl::StrCat("\nwrote ", report->file, " for the reference, and ", report->folder,
                          " with config, checkpoint and report\n")
                 .c_str(),
             stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const MessageProgram program = {
      kName,
      "Merges a voxel branch and a pixel branch, trained apart, into a dual-branch checkpoint.",
      kFooter,
      "configs/proto/merge.proto",
      30,
      {{"--branch_3d", "branch_3d", "REF"},
       {"--branch_2d", "branch_2d", "REF"},
       {"--output", "output", "PATH", true},
       {"--on_conflict", "on_conflict", "POLICY"},
       {"--config", "config", "FILE", true},
       {"--drop_unused", "drop_unused", ""},
       {"--overwrite", "overwrite", ""}}};
  Merge options;
  const absl::StatusOr<std::string> help = ParseMessageFlags(argc, argv, program, &options);
  if (!help.ok()) return FinishProgram(kName, help.status());
  if (!help->empty()) {
    std::fputs(help->c_str(), stdout);
    return 0;
  }
  return FinishProgram(kName, Run(argv[0], options));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
