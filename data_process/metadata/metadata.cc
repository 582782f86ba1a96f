#include "data_process/metadata/metadata.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/count_of.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "data_process/inspection/name_list.h"
#include "data_process/inspection/video_check.h"
#include "data_process/metadata/caption.h"
#include "data_process/metadata/clip_lists.h"
#include "data_process/metadata/clip_selection.h"
#include "data_process/metadata/row_check.h"
#include "data_process/scenes/prefetcher.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kProblemsAtMost = 50;  // in a message

absl::Status CheckOptions(const Metadata& options) {
  if (options.leave_out_bad() && !options.strict()) {
    return ConfigError(
        "--leave_out_bad (leave_out_bad) leaves out what the trial of files finds, and --no_strict (strict: false) "
        "skips that trial: give one of them");
  }
  const std::string& name = options.output_attribute();
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || HasVideoEnding(name)) {
    return ConfigError(
        absl::StrCat("output_attribute (--output_attribute) is the name of the CSV in the folder of the "
                     "videos, such as metadata.csv, not '",
                     name, "'"));
  }
  return absl::OkStatus();
}

struct Folders {
  std::string videos, captions, csv;
};

absl::StatusOr<Folders> FoldersOf(const Metadata& options) {
  const fs::path root(options.data_root());
  Folders folders;
  folders.videos = (root / options.input_attribute()).lexically_normal().string();
  folders.captions = (root / options.caption_attribute()).lexically_normal().string();
  while (folders.videos.size() > 1 && folders.videos.back() == '/') folders.videos.pop_back();
  folders.csv = absl::StrCat(folders.videos, "/", options.output_attribute());
  if (!IsDirectory(folders.captions)) {
    return DataError(absl::StrCat("there is no folder of captions '", folders.captions,
                                  "'; generate_caption makes it, --data_root and --caption_subdir say where it is"));
  }
  if (IsDirectory(folders.csv)) return ConfigError(folders.csv + " is a folder: name the CSV otherwise");
  return folders;
}

// Step 3: adds to the candidates' problems.
absl::Status TryFiles(const Metadata& options, const std::string& folder,
                      const std::function<void(int64_t, int64_t)>& progress, const std::function<bool()>& stop,
                      std::vector<Candidate>* candidates, MetadataReport* report) {
  Prefetcher<RowCheck>::Options prefetch;
  prefetch.end = candidates->size();
  prefetch.threads = options.threads() > 0 ? options.threads() : ParallelThreads();
  prefetch.capacity = 4 * prefetch.threads;
  Prefetcher<RowCheck> tried(prefetch, [&](uint64_t k) -> absl::StatusOr<RowCheck> {
    return CheckRow((*candidates)[k].row, folder, options.instance_buffer());
  });
  std::vector<std::string> longer;
  for (size_t k = 0; k < candidates->size();) {
    if (stop && stop()) return PreemptedError("asked to stop while files were tried; no CSV was written");
    ASSIGN_OR_RETURN(std::optional<RowCheck> check, tried.Next(std::chrono::milliseconds(50)));
    if (!check.has_value()) continue;
    Candidate& candidate = (*candidates)[k];
    candidate.problems.insert(candidate.problems.end(), std::make_move_iterator(check->problems.begin()),
                              std::make_move_iterator(check->problems.end()));
    if (candidate.problems.empty() && !check->remark.empty()) {
      longer.push_back(absl::StrCat(candidate.row.fields[0], " (", check->remark, ")"));
    }
    ++k;
    if (progress) progress(static_cast<int64_t>(k), static_cast<int64_t>(candidates->size()));
  }
  report->files_tried = true;
  if (!longer.empty()) {
    report->warnings.push_back(absl::StrCat(
        CountClips(longer.size()),
        " with buffers or poses of more frames than the video, of which the last are not read: ", ListNames(longer)));
  }
  return absl::OkStatus();
}

void WarnOfValidationClips(const ClipLists& lists, MetadataReport* report) {
  std::set<std::string> found;
  std::vector<std::string> by_list;
  for (const auto& [name, ids] : lists.validation) {
    size_t count = 0;
    for (const MetadataRow& row : report->rows) {
      if (ids.count(row.clip) == 0) continue;
      ++count;
      found.insert(row.clip);
    }
    if (count > 0) by_list.push_back(absl::StrCat(count, " of ", name));
  }
  if (found.empty()) return;
  report->warnings.push_back(absl::StrCat(found.size(), " of ", CountOf(report->rows.size(), "row"),
                                          found.size() == 1 ? " is a clip" : " are clips",
                                          " that models are validated on (", absl::StrJoin(by_list, ", "),
                                          "): for a fair comparison leave them out with --holdout and these lists"));
}

void WarnOfWhatIsOdd(const ClipLists& lists, const std::vector<std::string>& videos, MetadataReport* report) {
  std::map<std::string, int> count;
  for (const std::string& video : videos) ++count[ClipOfVideo(video)];
  std::vector<std::string> twice, without_text;
  size_t held_out = 0;
  for (const std::string& clip : lists.held_out) held_out += count.count(clip);
  if (!lists.held_out.empty() && held_out == 0) {
    report->warnings.push_back("none of the ids of --holdout is the id of a video here");
  }
  for (const MetadataRow& row : report->rows) {
    if (count[row.clip] > 1) twice.push_back(row.fields[0]);
    if (row.fields[1].size() == kPromptPrefix.size()) without_text.push_back(row.clip);
  }
  if (!twice.empty()) {
    report->warnings.push_back(
        absl::StrCat("videos that share their clip's id with another one, and so its caption "
                     "and buffers: ",
                     ListNames(twice)));
  }
  if (!without_text.empty()) {
    report->warnings.push_back(
        absl::StrCat(CountOf(without_text.size(), "caption"), without_text.size() == 1 ? " is" : " are",
                     " empty, so that the prompt is the fixed sentence alone: ", ListNames(without_text)));
  }
}

// What is wrong with clips, a line each.
std::string ProblemLines(const std::vector<LeftOutVideo>& videos) {
  std::string text;
  size_t count = 0;
  for (const LeftOutVideo& video : videos) {
    for (const std::string& problem : video.details) {
      if (++count <= kProblemsAtMost) absl::StrAppend(&text, "\n  ", video.video, ": ", problem);
    }
  }
  if (count > kProblemsAtMost) {
    absl::StrAppend(&text, "\n  and ", count - kProblemsAtMost, " more; --report FILE lists all of them");
  }
  return text;
}

absl::Status NoRowError(const Folders& folders, const ClipLists& lists, const MetadataReport& report) {
  if (report.videos == 0) {
    return DataError(absl::StrCat("'", folders.videos,
                                  "' holds no video; --data_root and --input_attribute say where "
                                  "they are"));
  }
  std::map<LeftOut, std::vector<std::string>> by_reason;
  for (const LeftOutVideo& video : report.left_out) by_reason[video.reason].push_back(video.video);
  std::string text =
      absl::StrCat("none of the ", CountOf(report.videos, "video"), " in '", folders.videos, "' gets a row:");
  for (const auto& [reason, names] : by_reason) {
    absl::StrAppend(&text, "\n  ", names.size(), " ", Describe(reason), ": ", ListNames(names));
    if (reason == LeftOut::kNotAllowed) absl::StrAppend(&text, "\n    the list is ", lists.allowed_path);
    if (reason == LeftOut::kNoCaption) absl::StrAppend(&text, "\n    the captions are in ", folders.captions);
  }
  return DataError(text + ProblemLines(report.left_out));
}

// Names only what lets the same command write rows.
std::string WayOut(const std::vector<LeftOutVideo>& bad, size_t rows) {
  const auto damaged_captions = static_cast<size_t>(std::count_if(
      bad.begin(), bad.end(), [](const LeftOutVideo& video) { return video.reason == LeftOut::kBadCaption; }));
  std::string text = "Mend these clips";
  if (rows > 0) absl::StrAppend(&text, ", or leave them out with --leave_out_bad");
  if (damaged_captions < bad.size()) {
    absl::StrAppend(&text, ", or do without the trial of files with --no_strict");
    if (damaged_captions > 0) absl::StrAppend(&text, " (a damaged caption costs the row there, too)");
  }
  return text;
}

absl::Status BadClipsError(const std::vector<LeftOutVideo>& bad, size_t rows, const std::string& csv) {
  return DataError(absl::StrCat(bad.size(), " of ", CountOf(bad.size() + rows, "clip"),
                                bad.size() == 1 ? " has" : " have", " files that are missing, damaged or too short:",
                                ProblemLines(bad), "\n", csv, " was not written. ", WayOut(bad, rows)));
}

}  // namespace

absl::Status MakeMetadata(FileOps& ops, const Metadata& options,
                          const std::function<void(int64_t done, int64_t total)>& progress,
                          const std::function<bool()>& stop, MetadataReport* report) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(const ClipLists lists, ReadClipLists(options));
  report->allowed = lists.allowed.has_value()
                        ? absl::StrCat(lists.allowed_path, " (", CountOf(lists.allowed->size(), "clip"), ")")
                        : absl::StrCat("all clips: ", lists.why_all);
  ASSIGN_OR_RETURN(const std::vector<std::string> videos,
                   ListVideos((fs::path(options.data_root()) / options.input_attribute()).lexically_normal().string()));
  ASSIGN_OR_RETURN(const Folders folders, FoldersOf(options));
  report->csv = folders.csv;
  report->videos = static_cast<int64_t>(videos.size());

  std::vector<Candidate> candidates = SelectClips(options, videos, lists, folders.captions, &report->left_out);
  if (options.strict()) RETURN_IF_ERROR(TryFiles(options, folders.videos, progress, stop, &candidates, report));
  std::vector<LeftOutVideo> bad;
  for (Candidate& candidate : candidates) {
    if (candidate.problems.empty()) {
      report->rows.push_back(std::move(candidate.row));
    } else {
      bad.push_back({candidate.row.fields[0], candidate.reason, std::move(candidate.problems)});
    }
  }
  report->left_out.insert(report->left_out.end(), bad.begin(), bad.end());
  std::sort(report->left_out.begin(), report->left_out.end(),
            [](const LeftOutVideo& a, const LeftOutVideo& b) { return a.video < b.video; });
  WarnOfValidationClips(lists, report);
  WarnOfWhatIsOdd(lists, videos, report);
  // Without the trial a damaged caption only loses its row, as in the reference.
  if (options.strict() && !options.leave_out_bad() && !bad.empty()) {
    return BadClipsError(bad, report->rows.size(), folders.csv);
  }
  if (report->rows.empty()) return NoRowError(folders, lists, *report);
  if (options.dry_run()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFileAtomically(ops, folders.csv, FormatMetadata(report->rows, options.instance_buffer())));
  report->written = true;
  return absl::OkStatus();
}

}  // namespace cubist
