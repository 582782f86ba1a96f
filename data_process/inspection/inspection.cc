#include "data_process/inspection/inspection.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/data_place.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/inspection/video_check.h"
#include "data_process/scenes/archive_check.h"
#include "data_process/scenes/payload.h"
#include "data_process/scenes/prefetcher.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBad = 10;  // of one clip and attribute
constexpr size_t kMostFileBytes = size_t{4} << 30;

// What one attribute has of one clip.
struct FileContents {
  int64_t members = 0;
  uint64_t bytes = 0;
  std::optional<Payload> first;
  std::vector<absl::Status> bad;
};

uint64_t SizeOnDisk(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

absl::StatusOr<Payload> DecodeFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(path, kMostFileBytes));
  return DecodePayload(path, bytes, path);
}

FileContents InspectTar(const ClipFile& file, const std::string& attribute, const std::string& clip, bool full) {
  ArchiveContents archive = CheckArchive(file.path, attribute, clip, full);
  return {archive.members, SizeOnDisk(file.path), std::move(archive.first), std::move(archive.bad)};
}

FileContents InspectVideo(const ClipFile& file, bool full) {
  FileContents contents;
  contents.bytes = SizeOnDisk(file.path);
  const absl::StatusOr<VideoContents> video = CheckVideo(file.path, full);
  if (!video.ok()) {
    contents.bad.push_back(video.status());
    return contents;
  }
  contents.members = video->frames.value_or(0);
  contents.first = Payload{"video", {{"", DType::kUInt8, {video->height, video->width, 3}}}};
  return contents;
}

FileContents InspectJson(const ClipFile& file) {
  FileContents contents;
  contents.bytes = SizeOnDisk(file.path);
  absl::StatusOr<Payload> payload = DecodeFile(file.path);
  if (!payload.ok()) {
    contents.bad.push_back(payload.status());
    return contents;
  }
  contents.members = 1;
  contents.first = *std::move(payload);
  return contents;
}

FileContents InspectFolder(const ClipFile& folder, bool full) {
  FileContents contents;
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder.path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) paths.push_back(it->path().string());
  }
  if (error) {
    contents.bad.push_back(DataError(absl::StrCat("cannot list the folder '", folder.path, "': ", error.message())));
    return contents;
  }
  if (paths.empty()) contents.bad.push_back(DataError(folder.path + ": the folder is empty"));
  std::sort(paths.begin(), paths.end());
  contents.members = static_cast<int64_t>(paths.size());
  for (const std::string& path : paths) contents.bytes += SizeOnDisk(path);
  const size_t step = full ? 1 : std::max<size_t>(1, paths.size() - 1);
  for (size_t i = 0; i < paths.size() && contents.bad.size() < kMostBad; i += step) {
    absl::StatusOr<Payload> payload = DecodeFile(paths[i]);
    if (!payload.ok()) {
      contents.bad.push_back(payload.status());
    } else if (i == 0) {
      contents.first = *std::move(payload);
    }
  }
  return contents;
}

FileContents InspectFile(const ClipFile& file, const std::string& attribute, const std::string& clip, bool full) {
  FileContents contents;
  switch (file.kind) {
    case ClipFile::Kind::kTar:
      contents = InspectTar(file, attribute, clip, full);
      break;
    case ClipFile::Kind::kVideo:
      contents = InspectVideo(file, full);
      break;
    case ClipFile::Kind::kJson:
      contents = InspectJson(file);
      break;
    case ClipFile::Kind::kFolder:
      contents = InspectFolder(file, full);
      break;
  }
  for (absl::Status& status : contents.bad) {
    status = WithDataPlace(status, {clip, attribute, file.path, "", 0, 0});
  }
  return contents;
}

void AddFile(const std::string& clip, FileContents contents, AttributeSummary* summary,
             std::vector<absl::Status>* broken) {
  summary->bytes += contents.bytes;
  // A file that does not open has no number of members to compare.
  if (contents.members > 0 || contents.bad.empty()) {
    const bool first = summary->most_members == 0 && summary->least_members == 0;
    summary->least_members = first ? contents.members : std::min(summary->least_members, contents.members);
    summary->most_members = std::max(summary->most_members, contents.members);
  }
  if (contents.first.has_value()) summary->holds.Add(clip, *contents.first);
  broken->insert(broken->end(), contents.bad.begin(), contents.bad.end());
}

}  // namespace

bool Inspection::complete() const {
  return broken.empty() && std::all_of(attributes.begin(), attributes.end(),
                                       [](const AttributeSummary& attribute) { return attribute.missing.empty(); });
}

absl::StatusOr<Inspection> Inspect(const DataTree& tree, bool full, int threads,
                                   const std::function<void(int64_t done, int64_t total)>& progress,
                                   const std::function<bool()>& stop) {
  Inspection inspection;
  inspection.root = tree.root;
  inspection.clips = tree.clips;
  inspection.remarks = tree.remarks;
  struct Task {
    size_t attribute;
    const std::string* clip;
    const ClipFile* file;
  };
  std::vector<Task> tasks;
  for (const AttributeFolder& folder : tree.attributes) {
    AttributeSummary summary;
    summary.name = folder.name;
    summary.clips = static_cast<int64_t>(folder.clips.size());
    for (const std::string& clip : tree.clips) {
      if (folder.clips.count(clip) == 0) summary.missing.push_back(clip);
    }
    for (const auto& [clip, file] : folder.clips) tasks.push_back({inspection.attributes.size(), &clip, &file});
    inspection.attributes.push_back(std::move(summary));
  }
  Prefetcher<FileContents>::Options options;
  options.end = tasks.size();
  options.threads = threads;
  options.capacity = 4 * std::max(1, threads);
  Prefetcher<FileContents> files(options, [&](uint64_t k) -> absl::StatusOr<FileContents> {
    const Task& task = tasks[k];
    return InspectFile(*task.file, inspection.attributes[task.attribute].name, *task.clip, full);
  });
  for (size_t k = 0; k < tasks.size();) {
    if (stop && stop()) return PreemptedError("asked to stop while files were looked at");
    ASSIGN_OR_RETURN(std::optional<FileContents> contents, files.Next(std::chrono::milliseconds(50)));
    if (!contents.has_value()) continue;
    AddFile(*tasks[k].clip, *std::move(contents), &inspection.attributes[tasks[k].attribute], &inspection.broken);
    ++k;
    if (progress) progress(static_cast<int64_t>(k), static_cast<int64_t>(tasks.size()));
  }
  return inspection;
}

}  // namespace cubist
