// Says what a folder of clips holds, lacks and what of it is damaged; see data_process/inspection/inspection.h.
//   inspect DATA_ROOT [--clips A,B] [--full] [--config FILE] [--json FILE] [--sheet DIR] [--contact_sheet FILE]
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "data_process/formats/png.h"
#include "data_process/inspection/contact_sheet.h"
#include "data_process/inspection/data_tree.h"
#include "data_process/inspection/inspect_flags.h"
#include "data_process/inspection/inspection.h"
#include "data_process/inspection/inspection_report.h"
#include "data_process/inspection/name_list.h"

namespace cubist {
namespace {

constexpr size_t kClipsOfOneSheet = 16;

void SayWritten(const std::string& what, const std::string& path) {
  std::fputs(absl::StrCat("inspect: wrote ", what, " to ", path, "\n").c_str(), stderr);
}

absl::Status WriteSheets(const DataTree& tree, const InspectFlags& flags, const std::atomic<bool>& stop) {
  FileOps& ops = SystemFileOps();
  const auto write = [&ops](const std::string& path, const std::vector<SheetRow>& rows) {
    return WriteFileAtomically(ops, path, FormatPng(DrawContactSheet(rows)));
  };
  if (!flags.sheet.empty()) RETURN_IF_ERROR(MakeDirectories(ops, flags.sheet));
  std::vector<SheetRow> middles;
  for (size_t k = 0; k < tree.clips.size(); ++k) {
    if (stop) return PreemptedError("asked to stop while contact sheets were drawn");
    const std::string& clip = tree.clips[k];
    if (!flags.sheet.empty()) {
      RETURN_IF_ERROR(write(absl::StrCat(flags.sheet, "/", clip, ".png"), SheetRows(tree, clip, false, flags.limits)));
    }
    if (flags.contact_sheet.empty() || k >= kClipsOfOneSheet) continue;
    const std::vector<SheetRow> rows = SheetRows(tree, clip, true, flags.limits);
    middles.insert(middles.end(), rows.begin(), rows.end());
  }
  if (!flags.sheet.empty()) SayWritten(absl::StrCat(CountClips(tree.clips.size()), " as contact sheets"), flags.sheet);
  if (flags.contact_sheet.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(write(flags.contact_sheet, middles));
  const size_t drawn = std::min(tree.clips.size(), kClipsOfOneSheet);
  SayWritten(absl::StrCat(drawn < tree.clips.size() ? "the first " : "", CountClips(drawn)), flags.contact_sheet);
  return absl::OkStatus();
}

absl::Status Run(const InspectFlags& flags) {
  const std::atomic<bool>* stop = StopOnSignals();
  ASSIGN_OR_RETURN(const DataTree tree, ListDataTree(flags.data_root, flags.clips, flags.attributes));
  int64_t files = 0;
  for (const AttributeFolder& attribute : tree.attributes) files += static_cast<int64_t>(attribute.clips.size());
  ProgressBar bar("files", files, StandardErrorIsTerminal());
  const auto show = [&bar](int64_t done, int64_t) { bar.Update(done); };
  const auto inspection = Inspect(tree, flags.full, flags.limits, flags.threads, show, [stop] { return stop->load(); });
  bar.Abandon();
  RETURN_IF_ERROR(inspection.status());
  std::fputs(InspectionText(*inspection).c_str(), stdout);
  if (!flags.json.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), flags.json, InspectionJson(*inspection)));
    SayWritten("all that was found", flags.json);
  }
  RETURN_IF_ERROR(WriteSheets(tree, flags, *stop));
  if (inspection->complete()) return absl::OkStatus();
  return DataError("something is missing or broken; see above");
}

int Main(int argc, char** argv) {
  const absl::StatusOr<InspectFlags> flags = ParseInspectFlags(argc, argv);
  if (!flags.ok()) return FinishProgram("inspect", flags.status());
  if (!flags->help.empty()) {
    std::fputs(flags->help.c_str(), stdout);
    return 0;
  }
  return FinishProgram("inspect", Run(*flags));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
