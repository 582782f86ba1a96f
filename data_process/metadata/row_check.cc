#include "data_process/metadata/row_check.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data_process/inspection/frame_table.h"
#include "data_process/metadata/video_length.h"
#include "data_process/scenes/archive_check.h"

namespace cubist {
namespace {

// A file with frames that could be opened.
struct Sequence {
  std::string column, path, series;
  std::vector<int64_t> frames;  // ascending
};

std::vector<int64_t> FramesUpTo(int64_t count) {
  std::vector<int64_t> frames(static_cast<size_t>(count));
  std::iota(frames.begin(), frames.end(), 0);
  return frames;
}

// Step 2. The video is the first of `sequences`.
void CompareFrames(const std::vector<Sequence>& sequences, const std::string& clip, RowCheck* check) {
  const auto length = static_cast<int64_t>(sequences[0].frames.size());
  FrameTable within_video;
  std::vector<std::string> longer;
  for (const Sequence& sequence : sequences) {
    std::vector<int64_t> frames = sequence.frames;
    frames.erase(std::lower_bound(frames.begin(), frames.end(), length), frames.end());
    if (frames.size() < sequence.frames.size()) {
      longer.push_back(absl::StrCat(sequence.column, " has ", sequence.frames.size()));
    }
    within_video.Add(clip, sequence.column, {{sequence.series, std::move(frames)}});
  }
  for (const MissingFrames& missing : within_video.Missing()) {
    const auto sequence = std::find_if(sequences.begin(), sequences.end(),
                                       [&](const Sequence& each) { return each.column == missing.attribute; });
    int64_t lacks = 0;
    for (const FrameRange& range : missing.ranges) lacks += range.last - range.first + 1;
    check->problems.push_back(absl::StrCat(
        sequence->column, ": ", sequence->path, ": it has ", length - lacks, " of the video's ", length, " frames",
        missing.series.empty() ? "" : " as NNNNNN.", missing.series, ", without ", ListRanges(missing.ranges)));
  }
  if (!longer.empty()) check->remark = absl::StrCat(length, " frames, ", absl::StrJoin(longer, ", "));
}

}  // namespace

RowCheck CheckRow(const MetadataRow& row, const std::string& folder, bool instance_buffer) {
  RowCheck check;
  std::vector<Sequence> sequences;
  const auto add_problem = [&check](const std::string& column, const absl::Status& bad) {
    check.problems.push_back(absl::StrCat(column, ": ", bad.message()));
  };
  const auto try_video = [&](const std::string& column, const std::string& path) {
    const absl::StatusOr<int64_t> length = VideoLength(path);
    if (!length.ok()) return add_problem(column, length.status());
    sequences.push_back({column, path, "", FramesUpTo(*length)});
  };
  try_video("video", absl::StrCat(folder, "/", row.fields[0]));
  const bool video_opens = !sequences.empty();
  const std::vector<BufferColumn> columns = BufferColumns(instance_buffer);
  for (size_t i = 0; i < columns.size(); ++i) {
    const BufferColumn& column = columns[i];
    const std::string path = (std::filesystem::path(folder) / row.fields[i + 2]).lexically_normal().string();
    if (column.ending == ".mp4") {
      try_video(column.name, path);
      continue;
    }
    ArchiveContents archive = CheckArchive(path, column.attribute, row.clip, /*every_member=*/false);
    for (const absl::Status& bad : archive.bad) add_problem(column.name, bad);
    if (archive.members == 0 || column.series.empty()) continue;
    sequences.push_back({column.name, path, column.series, std::move(archive.frames[column.series])});
  }
  if (video_opens) CompareFrames(sequences, row.clip, &check);
  return check;
}

}  // namespace cubist
