#include "data_process/metadata/metadata.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/csv.h"
#include "data_process/inspection/name_list.h"
#include "data_process/inspection/video_check.h"
#include "data_process/metadata/caption.h"
#include "data_process/metadata/clip_lists.h"
#include "data_process/scenes/archive_check.h"
#include "data_process/scenes/prefetcher.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kProblemsAtMost = 50;  // in a message

// A column after video and prompt, whose value is "../<attribute>/<clip><ending>".
struct BufferColumn {
  std::string name, attribute, ending;
};

std::vector<BufferColumn> BufferColumns(bool instance_buffer) {
  std::vector<BufferColumn> columns = {
      {"semantic_buffer_video", "semantic_buffer_video_480p_front", ".mp4"},
      {"depth_buffer_tar", "voxel_depth_100_480p_front", ".tar"},
      {"camera_intrinsic", "intrinsic", ".tar"},
      {"camera_pose", "pose", ".tar"},
  };
  if (instance_buffer) columns.push_back({"instance_buffer_tar", "instance_buffer_480p_front", ".tar"});
  return columns;
}

// The name before its last dot, but dots at its very beginning are part of it, as Python's splitext has it.
std::string StemOf(const std::string& name) {
  const size_t dot = name.rfind('.');
  return name.find_first_not_of('.') > dot ? name : name.substr(0, dot);
}

absl::StatusOr<std::vector<std::string>> ListVideos(const std::string& folder) {
  std::vector<std::string> videos;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (HasVideoEnding(name)) videos.push_back(name);
  }
  if (error) {
    return DataError(absl::StrCat("cannot list the folder of the videos '", folder, "': ", error.message(),
                                  "; --data_root and --input_attribute say where it is"));
  }
  // Bytes of UTF-8 sort as code points do.
  std::sort(videos.begin(), videos.end());
  return videos;
}

struct Folders {
  std::string videos, captions, csv;
};

absl::StatusOr<Folders> FoldersOf(const Metadata& options) {
  if (options.leave_out_bad() && !options.strict()) {
    return ConfigError("leave_out_bad needs strict: without it no file is tried, so none is known to be bad");
  }
  const std::string& name = options.output_attribute();
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || HasVideoEnding(name)) {
    return ConfigError(
        absl::StrCat("output_attribute (--output_attribute) is the name of the CSV in the folder of the "
                     "videos, such as metadata.csv, not '",
                     name, "'"));
  }
  const fs::path root(options.data_root());
  Folders folders;
  folders.videos = (root / options.input_attribute()).lexically_normal().string();
  folders.captions = (root / options.caption_attribute()).lexically_normal().string();
  while (folders.videos.size() > 1 && folders.videos.back() == '/') folders.videos.pop_back();
  folders.csv = absl::StrCat(folders.videos, "/", name);
  if (!IsDirectory(folders.captions)) {
    return DataError(absl::StrCat("there is no folder of captions '", folders.captions,
                                  "'; generate_caption makes it, --data_root and --caption_subdir say where it is"));
  }
  if (IsDirectory(folders.csv)) return ConfigError(folders.csv + " is a folder: name the CSV otherwise");
  return folders;
}

// Step 2, for all but the limit: the prompt of a clip that gets a row.
absl::StatusOr<std::string> Select(const std::string& video, const ClipLists& lists, const std::string& captions,
                                   LeftOut* reason) {
  const std::string clip = StemOf(video);
  const auto leave_out = [reason](LeftOut why, std::string_view detail) {
    *reason = why;
    return DataError(detail);
  };
  if (lists.allowed.has_value() && lists.allowed->count(clip) == 0) return leave_out(LeftOut::kNotAllowed, "");
  if (lists.held_out.count(clip) > 0) return leave_out(LeftOut::kHeldOut, "");
  if (!IsUtf8(video)) return leave_out(LeftOut::kBadName, Quoted(video) + " is not UTF-8");
  const std::string path = absl::StrCat(captions, "/", clip, ".json");
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return leave_out(LeftOut::kNoCaption, "");
  const absl::StatusOr<std::string> text = ReadWholeFile(path, size_t{1} << 20);
  if (!text.ok()) return leave_out(LeftOut::kBadCaption, std::string(text.status().message()));
  absl::StatusOr<std::string> caption = ParseCaption(*text, path);
  if (!caption.ok()) return leave_out(LeftOut::kBadCaption, std::string(caption.status().message()));
  return absl::StrCat(absl::string_view(kPromptPrefix.data(), kPromptPrefix.size()), *caption);
}

// Step 3 for one row: what is wrong, a line each.
std::vector<std::string> TryFiles(const MetadataRow& row, const std::string& folder, bool instance_buffer) {
  std::vector<std::string> problems;
  const auto say = [&](const std::string& column, const absl::Status& status) {
    if (!status.ok()) problems.push_back(absl::StrCat(column, ": ", status.message()));
  };
  const std::vector<BufferColumn> buffers = BufferColumns(instance_buffer);
  say("video", CheckVideo(absl::StrCat(folder, "/", row.fields[0]), /*every_frame=*/false).status());
  for (size_t i = 0; i < buffers.size(); ++i) {
    const std::string path = (fs::path(folder) / row.fields[i + 2]).lexically_normal().string();
    if (buffers[i].ending == ".mp4") {
      say(buffers[i].name, CheckVideo(path, /*every_frame=*/false).status());
      continue;
    }
    for (const absl::Status& bad : CheckArchive(path, buffers[i].attribute, row.clip, /*every_member=*/false).bad) {
      say(buffers[i].name, bad);
    }
  }
  return problems;
}

// Step 3. Rows that are bad leave `report->rows` and are returned.
absl::StatusOr<std::vector<LeftOutVideo>> TryRows(const Metadata& options, const std::string& folder,
                                                  const std::function<void(int64_t, int64_t)>& progress,
                                                  const std::function<bool()>& stop, MetadataReport* report) {
  using Problems = std::vector<std::string>;
  Prefetcher<Problems>::Options prefetch;
  prefetch.end = report->rows.size();
  prefetch.threads = options.threads() > 0 ? options.threads() : ParallelThreads();
  prefetch.capacity = 4 * prefetch.threads;
  const std::vector<MetadataRow> all = std::move(report->rows);
  report->rows.clear();
  Prefetcher<Problems> tried(prefetch, [&](uint64_t k) -> absl::StatusOr<Problems> {
    return TryFiles(all[k], folder, options.instance_buffer());
  });
  std::vector<LeftOutVideo> bad;
  for (size_t k = 0; k < all.size();) {
    if (stop && stop()) return PreemptedError("asked to stop while files were tried; no CSV was written");
    ASSIGN_OR_RETURN(std::optional<Problems> problems, tried.Next(std::chrono::milliseconds(50)));
    if (!problems.has_value()) continue;
    if (problems->empty()) {
      report->rows.push_back(all[k]);
    } else {
      bad.push_back({all[k].fields[0], LeftOut::kBadFiles, *std::move(problems)});
    }
    ++k;
    if (progress) progress(static_cast<int64_t>(k), static_cast<int64_t>(all.size()));
  }
  report->files_tried = true;
  return bad;
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
  report->warnings.push_back(absl::StrCat(
      found.size(), " of ", report->rows.size(), " rows are clips that models are validated on (",
      absl::StrJoin(by_list, ", "), "): for a fair comparison leave them out with --holdout and these lists"));
}

void WarnOfWhatIsOdd(const ClipLists& lists, const std::vector<std::string>& videos, MetadataReport* report) {
  std::map<std::string, int> count;
  for (const std::string& video : videos) ++count[StemOf(video)];
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
        absl::StrCat(without_text.size(),
                     " captions are empty, so that the prompt is the fixed sentence alone: ", ListNames(without_text)));
  }
}

absl::Status NoRowError(const Folders& folders, const ClipLists& lists, const MetadataReport& report) {
  if (report.videos == 0) {
    return DataError(absl::StrCat("'", folders.videos,
                                  "' holds no video; --data_root and --input_attribute say where "
                                  "they are"));
  }
  std::map<LeftOut, std::vector<std::string>> by_reason;
  for (const LeftOutVideo& video : report.left_out) by_reason[video.reason].push_back(video.video);
  std::string text = absl::StrCat("none of the ", report.videos, " videos in '", folders.videos, "' gets a row:");
  for (const auto& [reason, names] : by_reason) {
    absl::StrAppend(&text, "\n  ", names.size(), " ", Describe(reason), ": ", ListNames(names));
    if (reason == LeftOut::kNotAllowed) absl::StrAppend(&text, "\n    the list is ", lists.allowed_path);
    if (reason == LeftOut::kNoCaption) absl::StrAppend(&text, "\n    the captions are in ", folders.captions);
  }
  return DataError(text);
}

absl::Status BadFilesError(const std::vector<LeftOutVideo>& bad, size_t rows, const std::string& csv) {
  std::string text = absl::StrCat(bad.size(), " of ", rows, " clips have files that are missing or damaged:");
  size_t shown = 0, all = 0;
  for (const LeftOutVideo& video : bad) {
    for (const std::string& problem : video.details) {
      if (++all > kProblemsAtMost) continue;
      absl::StrAppend(&text, "\n  ", video.video, ": ", problem);
      ++shown;
    }
  }
  if (all > shown) absl::StrAppend(&text, "\n  and ", all - shown, " more; --report FILE lists all of them");
  return DataError(
      absl::StrCat(text, "\n", csv,
                   " was not written. Mend these clips, leave them out with --leave_out_bad, or do without "
                   "the trial with --no_strict"));
}

}  // namespace

const std::vector<std::string>& MetadataColumns(bool instance_buffer) {
  static const auto* const kColumns = [] {
    auto* columns = new std::array<std::vector<std::string>, 2>;
    for (const bool instance : {false, true}) {
      (*columns)[instance] = {"video", "prompt"};
      for (const BufferColumn& column : BufferColumns(instance)) (*columns)[instance].push_back(column.name);
    }
    return columns;
  }();
  return (*kColumns)[instance_buffer];
}

std::string FormatMetadata(const std::vector<MetadataRow>& rows, bool instance_buffer) {
  std::string csv = FormatCsvRow(MetadataColumns(instance_buffer));
  for (const MetadataRow& row : rows) csv += FormatCsvRow(row.fields);
  return csv;
}

std::string Describe(LeftOut reason) {
  switch (reason) {
    case LeftOut::kNotAllowed:
      return "not in the list of allowed clips";
    case LeftOut::kHeldOut:
      return "held out";
    case LeftOut::kBadName:
      return "with a name that is not UTF-8";
    case LeftOut::kNoCaption:
      return "without a caption";
    case LeftOut::kBadCaption:
      return "with a damaged caption";
    case LeftOut::kBadFiles:
      return "with missing or damaged files";
    case LeftOut::kBeyondLimit:
      return "beyond the limit";
  }
  return "";
}

absl::Status MakeMetadata(FileOps& ops, const Metadata& options,
                          const std::function<void(int64_t done, int64_t total)>& progress,
                          const std::function<bool()>& stop, MetadataReport* report) {
  ASSIGN_OR_RETURN(const ClipLists lists, ReadClipLists(options));
  report->allowed = lists.allowed.has_value() ? absl::StrCat(lists.allowed_path, " (", lists.allowed->size(), " clips)")
                                              : absl::StrCat("all clips: ", lists.why_all);
  ASSIGN_OR_RETURN(const std::vector<std::string> videos,
                   ListVideos((fs::path(options.data_root()) / options.input_attribute()).lexically_normal().string()));
  ASSIGN_OR_RETURN(const Folders folders, FoldersOf(options));
  report->csv = folders.csv;
  report->videos = static_cast<int64_t>(videos.size());

  std::vector<LeftOutVideo> bad;
  for (const std::string& video : videos) {
    LeftOut reason = LeftOut::kBeyondLimit;
    const absl::StatusOr<std::string> prompt = Select(video, lists, folders.captions, &reason);
    if (!prompt.ok()) {
      LeftOutVideo left_out{video, reason, {}};
      if (!prompt.status().message().empty()) left_out.details = {std::string(prompt.status().message())};
      // A damaged caption is a file that is no use; without the trial it only loses its row, as in the reference.
      const bool is_error = reason == LeftOut::kBadCaption && options.strict() && !options.leave_out_bad();
      (is_error ? bad : report->left_out).push_back(std::move(left_out));
    } else if (options.limit() > 0 && report->rows.size() >= static_cast<size_t>(options.limit())) {
      report->left_out.push_back({video, LeftOut::kBeyondLimit, {}});
    } else {
      MetadataRow row{StemOf(video), {video, *prompt}};
      for (const BufferColumn& column : BufferColumns(options.instance_buffer())) {
        row.fields.push_back(absl::StrCat("../", column.attribute, "/", row.clip, column.ending));
      }
      report->rows.push_back(std::move(row));
    }
  }
  const size_t candidates = report->rows.size() + bad.size();
  if (options.strict()) {
    ASSIGN_OR_RETURN(std::vector<LeftOutVideo> tried, TryRows(options, folders.videos, progress, stop, report));
    bad.insert(bad.end(), std::make_move_iterator(tried.begin()), std::make_move_iterator(tried.end()));
  }
  const auto by_name = [](const LeftOutVideo& a, const LeftOutVideo& b) { return a.video < b.video; };
  std::sort(bad.begin(), bad.end(), by_name);
  report->left_out.insert(report->left_out.end(), bad.begin(), bad.end());
  std::sort(report->left_out.begin(), report->left_out.end(), by_name);
  WarnOfValidationClips(lists, report);
  WarnOfWhatIsOdd(lists, videos, report);
  if (!bad.empty() && !options.leave_out_bad()) return BadFilesError(bad, candidates, folders.csv);
  if (report->rows.empty()) return NoRowError(folders, lists, *report);
  if (options.dry_run()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFileAtomically(ops, folders.csv, FormatMetadata(report->rows, options.instance_buffer())));
  report->written = true;
  return absl::OkStatus();
}

}  // namespace cubist
