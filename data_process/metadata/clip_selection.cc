#include "data_process/metadata/clip_selection.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/inspection/video_check.h"
#include "data_process/metadata/caption.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<std::string> ReadPrompt(const std::string& caption_path) {
  ASSIGN_OR_RETURN(const std::string json, ReadWholeFile(caption_path, size_t{1} << 20));
  ASSIGN_OR_RETURN(const std::string caption, ParseCaption(json, caption_path));
  return absl::StrCat(std::string(kPromptPrefix), caption);
}

}  // namespace

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
      return "with files that are missing, damaged or too short";
    case LeftOut::kBeyondLimit:
      return "beyond the limit";
  }
  return "";
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

std::vector<Candidate> SelectClips(const Metadata& options, const std::vector<std::string>& videos,
                                   const ClipLists& lists, const std::string& captions,
                                   std::vector<LeftOutVideo>* left_out) {
  std::vector<Candidate> candidates;
  int64_t rows = 0;
  for (const std::string& video : videos) {
    const std::string clip = ClipOfVideo(video);
    const std::string caption = absl::StrCat(captions, "/", clip, ".json");
    std::error_code ignored;
    const auto leave_out = [&](LeftOut reason) { left_out->push_back({video, reason, {}}); };
    if (lists.allowed.has_value() && lists.allowed->count(clip) == 0) {
      leave_out(LeftOut::kNotAllowed);
    } else if (lists.held_out.count(clip) > 0) {
      leave_out(LeftOut::kHeldOut);
    } else if (!IsUtf8(video)) {
      leave_out(LeftOut::kBadName);
      left_out->back().details = {Quoted(video) + " is not UTF-8"};
    } else if (options.limit() > 0 && rows == options.limit()) {
      leave_out(LeftOut::kBeyondLimit);
    } else if (!fs::exists(caption, ignored)) {
      leave_out(LeftOut::kNoCaption);
    } else {
      const absl::StatusOr<std::string> prompt = ReadPrompt(caption);
      Candidate candidate;
      candidate.row = MakeMetadataRow(video, prompt.value_or(""), options.instance_buffer());
      if (prompt.ok()) {
        ++rows;
      } else {
        candidate.reason = LeftOut::kBadCaption;
        candidate.problems = {std::string(prompt.status().message())};
      }
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

}  // namespace cubist
