#include "tools/training/rehearsal/archive_trial.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/data_place.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "data_process/scenes/archive_check.h"

namespace cubist {
namespace {

constexpr size_t kShown = 20;

std::string ListBad(const ArchiveReport& report, size_t archives) {
  std::string text = absl::StrCat(archives, " of ", report.archives, " archives are damaged:");
  for (size_t i = 0; i < std::min(report.bad.size(), kShown); ++i) {
    absl::StrAppend(&text, "\n  ", std::string(report.bad[i].message()));
  }
  if (report.bad.size() > kShown) absl::StrAppend(&text, "\n  and ", report.bad.size() - kShown, " more");
  return text;
}

}  // namespace

absl::StatusOr<CheckOutcome> TryArchives(const ClipIndex& clips, const Data& data, int threads,
                                         const std::function<bool()>& stop) {
  std::unique_ptr<ProgressBar> bar;
  const auto show = [&bar](int64_t done, int64_t total) {
    if (bar == nullptr) bar = std::make_unique<ProgressBar>("archives", total, /*is_tty=*/true);
    bar->Update(done);
  };
  const auto begin = std::chrono::steady_clock::now();
  const auto report = CheckArchives(clips, data, threads,
                                    StandardErrorIsTerminal() ? show : std::function<void(int64_t, int64_t)>(), stop);
  if (bar != nullptr) bar->Abandon();
  RETURN_IF_ERROR(report.status());
  if (report->stopped) return PreemptedError("asked to stop while archives were looked at; nothing stays");
  if (report->bad.empty()) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return CheckOutcome{
        Verdict::kOk,
        absl::StrCat("all ", report->archives, " open, with ", report->members, " members of ",
                     FormatBytes(report->bytes), "; of the first and the last of each, ", report->decoded, " of ",
                     report->decoded + report->read_only, " were decoded, in ", FormatSeconds(seconds))};
  }

  std::set<std::string> bad_clips, bad_archives;
  for (const absl::Status& status : report->bad) {
    if (const std::optional<DataPlace> place = DataPlaceOf(status)) {
      bad_clips.insert(place->clip);
      bad_archives.insert(place->path);
    }
  }
  const std::string text = ListBad(*report, bad_archives.size());
  std::set<std::string> all(clips.train_clips().begin(), clips.train_clips().end());
  all.insert(clips.validation_clips().begin(), clips.validation_clips().end());
  const double rate = static_cast<double>(bad_clips.size()) / static_cast<double>(all.size());
  if (data.bad_samples().policy() == BadSamples::SKIP && rate <= data.bad_samples().max_rate()) {
    return CheckOutcome{Verdict::kWarning, absl::StrCat(text, "\ndata.bad_samples lets the run go on without them")};
  }
  return DataError(absl::StrFormat(
      "%s\nreplace them, name the clips to train on in data.train_clips, or let the run skip them: --set "
      "data.bad_samples.policy=SKIP, with a data.bad_samples.max_rate above %.2g",
      text, rate));
}

}  // namespace cubist
