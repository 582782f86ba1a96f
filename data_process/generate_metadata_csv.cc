// Writes metadata.csv for the training of the video model; see data_process/metadata/metadata.h.
//   generate_metadata_csv [CONFIG] [--data_root DIR] [--input_attribute NAME] [--output_attribute NAME] ...
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "data_process/metadata/metadata.h"
#include "data_process/metadata/metadata_flags.h"
#include "data_process/metadata/metadata_report.h"

namespace cubist {
namespace {

absl::Status Run(const Metadata& options) {
  const std::atomic<bool>* stop = StopOnSignals();
  // The bar is drawn from the first clip on: an error before that stands alone.
  std::unique_ptr<ProgressBar> bar;
  const auto show = [&bar](int64_t done, int64_t total) {
    if (bar == nullptr) bar = std::make_unique<ProgressBar>("clips", total, StandardErrorIsTerminal());
    bar->Update(done);
  };
  MetadataReport report;
  const absl::Status status = MakeMetadata(
      SystemFileOps(), options, show, [stop] { return stop->load(); }, &report);
  if (bar != nullptr) bar->Abandon();
  if (!options.report().empty() && ExitCodeOf(status) != ExitCode::kPreempted) {
    const absl::Status written = WriteFileAtomically(SystemFileOps(), options.report(), MetadataReportJson(report));
    if (!written.ok()) return status.ok() ? written : status;
  }
  if (status.ok()) std::fputs(MetadataReportText(report).c_str(), stdout);
  return status;
}

int Main(int argc, char** argv) {
  constexpr char kName[] = "generate_metadata_csv";
  const absl::StatusOr<MetadataFlags> flags = ParseMetadataFlags(argc, argv);
  if (!flags.ok()) return FinishProgram(kName, flags.status());
  if (!flags->help.empty()) {
    std::fputs(flags->help.c_str(), stdout);
    return 0;
  }
  return FinishProgram(kName, Run(flags->options));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
