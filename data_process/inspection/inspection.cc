#include "data_process/inspection/inspection.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/data_place.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/scene_attributes.h"
#include "data_process/inspection/video_check.h"
#include "data_process/metadata/caption.h"
#include "data_process/scenes/archive_check.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/payload.h"
#include "data_process/scenes/prefetcher.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBad = 10;  // of one clip and attribute

// What one attribute has of one clip.
struct FileContents {
  int64_t members = 0;
  uint64_t bytes = 0;
  std::optional<Payload> first;
  // Of archives and videos whose frames are known.
  std::optional<std::map<std::string, std::vector<int64_t>>> frames;
  std::vector<absl::Status> bad;
};

// Adds the file's size to `contents`.
void AddSize(const std::string& path, FileContents* contents) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (!error) {
    contents->bytes += size;
  } else if (contents->bad.empty()) {  // else it says already what is wrong
    contents->bad.push_back(DataError(absl::StrCat("cannot tell the size of '", path, "': ", error.message())));
  }
}

absl::StatusOr<Payload> ReadPayload(const std::string& path, const ReadLimits& limits) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(path, static_cast<size_t>(limits.max_member_bytes())));
  ASSIGN_OR_RETURN(const DecodedFile file, DecodeFile(path, bytes, path, limits));
  return file.Describe();
}

FileContents InspectTar(const ClipFile& file, const std::string& attribute, const std::string& clip, bool full,
                        const ReadLimits& limits) {
  ArchiveContents archive = CheckArchive(file.path, attribute, clip, full, limits);
  FileContents contents;
  contents.members = archive.members;
  contents.first = std::move(archive.first);
  if (archive.members > 0) contents.frames = std::move(archive.frames);
  contents.bad = std::move(archive.bad);
  return contents;
}

FileContents InspectVideo(const ClipFile& file, bool full, const ReadLimits& limits) {
  FileContents contents;
  const absl::StatusOr<VideoContents> video = CheckVideo(file.path, full, VideoLimitsFrom(limits));
  if (!video.ok()) {
    contents.bad.push_back(video.status());
    return contents;
  }
  if (video->frames.has_value()) {
    contents.members = *video->frames;
    std::vector<int64_t> frames(static_cast<size_t>(*video->frames));
    std::iota(frames.begin(), frames.end(), 0);
    contents.frames = {{"", std::move(frames)}};
  }
  contents.first = Payload{"video", {{"", DType::kUInt8, {video->height, video->width, 3}}}};
  return contents;
}

// JSON beside tars and videos are captions.
FileContents InspectJson(const ClipFile& file, const ReadLimits& limits) {
  FileContents contents;
  const absl::StatusOr<std::string> bytes = ReadWholeFile(file.path, static_cast<size_t>(limits.max_member_bytes()));
  const absl::Status caption = bytes.ok() ? ParseCaption(*bytes, file.path).status() : bytes.status();
  if (!caption.ok()) {
    contents.bad.push_back(caption);
    return contents;
  }
  contents.members = 1;
  contents.first = Payload{"json", {}};
  return contents;
}

FileContents InspectFolder(const ClipFile& folder, bool full, const ReadLimits& limits) {
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
  for (const std::string& path : paths) AddSize(path, &contents);
  const size_t step = full ? 1 : std::max<size_t>(1, paths.size() - 1);
  for (size_t i = 0; i < paths.size() && contents.bad.size() < kMostBad; i += step) {
    absl::StatusOr<Payload> payload = ReadPayload(paths[i], limits);
    if (!payload.ok()) {
      contents.bad.push_back(payload.status());
    } else if (i == 0) {
      contents.first = *std::move(payload);
    }
  }
  return contents;
}

FileContents InspectFile(const ClipFile& file, const std::string& attribute, const std::string& clip, bool full,
                         const ReadLimits& limits) {
  FileContents contents;
  switch (file.kind) {
    case ClipFile::Kind::kTar:
      contents = InspectTar(file, attribute, clip, full, limits);
      break;
    case ClipFile::Kind::kVideo:
      contents = InspectVideo(file, full, limits);
      break;
    case ClipFile::Kind::kJson:
      contents = InspectJson(file, limits);
      break;
    case ClipFile::Kind::kFolder:
      contents = InspectFolder(file, full, limits);
      break;
  }
  if (file.kind != ClipFile::Kind::kFolder) AddSize(file.path, &contents);
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

// Height and width of what each attribute has of a clip, where that is pictures.
using PictureSizes = std::map<std::string, std::pair<int64_t, int64_t>>;

// Step 4 for sky masks and depth: readers of samples ask for it.
void CheckPictureSizes(const DataTree& tree, const std::map<std::string, PictureSizes>& clips,
                       std::vector<absl::Status>* broken) {
  for (const auto& [clip, sizes] : clips) {
    for (const auto& [attribute, size] : sizes) {
      for (const std::string kind : {kSkyMaskKind, kVoxelDepthKind}) {
        if (!absl::StartsWith(attribute, kind + "_")) continue;
        const std::string image_attribute = kImageKind + attribute.substr(kind.size());
        const auto image = sizes.find(image_attribute);
        if (image == sizes.end() || image->second == size) continue;
        const std::string path = ClipTarPath(tree.root, attribute, clip);
        broken->push_back(
            WithDataPlace(DataError(absl::StrCat(path, ": its pictures are ", size.first, " x ", size.second,
                                                 " pixels high and wide, those of ", image_attribute, " are ",
                                                 image->second.first, " x ", image->second.second)),
                          {clip, attribute, path, "", 0, 0}));
      }
    }
  }
}

}  // namespace

bool Inspection::complete() const {
  return broken.empty() && missing_frames.empty() &&
         std::all_of(attributes.begin(), attributes.end(),
                     [](const AttributeSummary& attribute) { return attribute.missing.empty(); });
}

absl::StatusOr<Inspection> Inspect(const DataTree& tree, bool full, const ReadLimits& limits, int threads,
                                   const std::function<void(int64_t done, int64_t total)>& progress,
                                   const std::function<bool()>& stop) {
  Inspection inspection;
  inspection.root = tree.root;
  inspection.full = full;
  inspection.clips = tree.clips;
  inspection.broken = tree.broken;
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
  // Clip by clip, so that the slow files, videos, are spread evenly and the time left can be told from the time gone.
  std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return *a.clip < *b.clip; });
  Prefetcher<FileContents>::Options options;
  options.end = tasks.size();
  options.threads = threads;
  options.capacity = 4 * std::max(1, threads);
  Prefetcher<FileContents> files(options, [&](uint64_t k) -> absl::StatusOr<FileContents> {
    const Task& task = tasks[k];
    return InspectFile(*task.file, inspection.attributes[task.attribute].name, *task.clip, full, limits);
  });
  std::vector<std::vector<absl::Status>> broken(inspection.attributes.size());
  FrameTable frames;
  std::map<std::string, PictureSizes> sizes;
  for (size_t k = 0; k < tasks.size();) {
    if (stop && stop()) return PreemptedError("asked to stop while files were looked at");
    ASSIGN_OR_RETURN(std::optional<FileContents> contents, files.Next(std::chrono::milliseconds(50)));
    if (!contents.has_value()) continue;
    const std::string& clip = *tasks[k].clip;
    const std::string& attribute = inspection.attributes[tasks[k].attribute].name;
    if (contents->frames.has_value()) frames.Add(clip, attribute, *contents->frames);
    if (contents->first.has_value() && contents->first->arrays.size() == 1) {
      const std::vector<int64_t>& shape = contents->first->arrays[0].shape;
      if (shape.size() >= 2) sizes[clip][attribute] = {shape[0], shape[1]};
    }
    AddFile(clip, *std::move(contents), &inspection.attributes[tasks[k].attribute], &broken[tasks[k].attribute]);
    ++k;
    if (progress) progress(static_cast<int64_t>(k), static_cast<int64_t>(tasks.size()));
  }
  for (const auto& of_one : broken) inspection.broken.insert(inspection.broken.end(), of_one.begin(), of_one.end());
  inspection.missing_frames = frames.Missing();
  CheckPictureSizes(tree, sizes, &inspection.broken);
  return inspection;
}

}  // namespace cubist
