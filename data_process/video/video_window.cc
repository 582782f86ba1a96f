#include "data_process/video/video_window.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/png.h"
#include "data_process/metadata/caption.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/intrinsics.h"

namespace cubist {
namespace {

constexpr size_t kMaxIndices = 1024;

TarLimits ArchiveLimits(const ReadLimits& limits) {
  TarLimits tar;
  tar.max_member_bytes = static_cast<uint64_t>(limits.max_member_bytes());
  return tar;
}

}  // namespace

VideoWindowReader::VideoWindowReader(const std::string& data_root, const VideoWindowAttributes& attributes,
                                     const ReadLimits& limits)
    : data_root_(data_root),
      attributes_(attributes),
      video_limits_{limits.max_image_pixels(), limits.max_video_frames(), limits.max_video_seconds()},
      image_limits_{limits.max_image_pixels()},
      array_limits_{static_cast<uint64_t>(limits.max_array_bytes())},
      archive_(data_root, kMaxIndices, ArchiveLimits(limits)) {}

absl::StatusOr<std::unique_ptr<VideoWindowReader>> VideoWindowReader::Create(const std::string& data_root,
                                                                             const VideoWindowAttributes& attributes,
                                                                             const ReadLimits& limits) {
  if (attributes.video.empty()) return ConfigError("a window of a clip needs the attribute that its video lies in");
  return std::unique_ptr<VideoWindowReader>(new VideoWindowReader(data_root, attributes, limits));
}

absl::StatusOr<HostTensor> VideoWindowReader::ReadVideo(const std::string& attribute, const std::string& clip,
                                                        int64_t first_frame, int64_t count) const {
  if (attribute.empty()) return HostTensor(DType::kUInt8, {0, 0, 0, 3});
  const std::string path = absl::StrCat(data_root_, "/", attribute, "/", clip, ".mp4");
  ASSIGN_OR_RETURN(const std::unique_ptr<VideoReader> video, VideoReader::Open(path, video_limits_));
  HostTensor window(DType::kUInt8, {count, video->height(), video->width(), 3});
  std::byte* out = window.bytes();
  for (int64_t frame = 0; frame < first_frame + count; ++frame) {
    bool is_there = false;
    if (frame < first_frame) {
      ASSIGN_OR_RETURN(is_there, video->Skip());
    } else {
      ASSIGN_OR_RETURN(const std::optional<HostTensor> pixels, video->Next());
      is_there = pixels.has_value();
      if (is_there) out = std::copy_n(pixels->bytes(), pixels->byte_size(), out);
    }
    if (!is_there) {
      return DataError(absl::StrCat(path, ": it has ", frame, " frames, and ", first_frame, " to ",
                                    first_frame + count - 1, " are asked for"));
    }
  }
  return window;
}

absl::StatusOr<HostTensor> VideoWindowReader::ReadBuffer(const std::string& attribute, const std::string& clip,
                                                         int64_t first_frame, int64_t count, const std::string& kind,
                                                         DType dtype, const HostTensor& video) {
  if (attribute.empty()) return HostTensor(dtype, {0, 0, 0});
  const int64_t rows = video.shape()[1], columns = video.shape()[2];
  HostTensor stacked(dtype, {count, rows, columns});
  std::byte* out = stacked.bytes();
  for (int64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(UseMember(
        archive_.ReadFrame(attribute, clip, first_frame + i, kind + ".front.png"),
        [&](const MemberBytes& member) -> absl::Status {
          ASSIGN_OR_RETURN(const HostTensor image, ParsePng(member.bytes, member.what, image_limits_));
          if (image.dtype() != dtype || image.shape() != std::vector<int64_t>{rows, columns}) {
            return DataError(absl::StrCat(member.what, ": it must be ", HostTensor(dtype, {rows, columns}).Describe(),
                                          " as the video is, found ", image.Describe()));
          }
          out = std::copy_n(image.bytes(), image.byte_size(), out);
          return absl::OkStatus();
        }));
  }
  return stacked;
}

absl::StatusOr<VideoWindow> VideoWindowReader::Read(const std::string& clip, int64_t first_frame, int64_t count) {
  if (first_frame < 0 || count < 1) return InternalError("a window of a clip has at least one frame, from 0 on");
  VideoWindow window;
  window.clip = clip;
  window.first_frame = first_frame;
  ASSIGN_OR_RETURN(window.video, ReadVideo(attributes_.video, clip, first_frame, count));
  ASSIGN_OR_RETURN(window.semantic_video, ReadVideo(attributes_.semantic_video, clip, first_frame, count));
  if (window.semantic_video.size() > 0 && window.semantic_video.shape() != window.video.shape()) {
    return DataError(absl::StrCat(data_root_, "/", attributes_.semantic_video, "/", clip, ".mp4: its frames are ",
                                  window.semantic_video.Describe(), ", those of the video ", window.video.Describe()));
  }
  if (!attributes_.caption.empty()) {
    const std::string path = absl::StrCat(data_root_, "/", attributes_.caption, "/", clip, ".json");
    const absl::StatusOr<std::string> json = ReadWholeFile(path);
    if (!json.ok()) return DataError(std::string(json.status().message()));
    ASSIGN_OR_RETURN(const std::string caption, ParseCaption(*json, path));
    window.prompt = absl::StrCat(std::string(kPromptPrefix), caption);
  }
  const auto read_buffer = [&](const std::string& attribute, const char* kind, DType dtype) {
    return ReadBuffer(attribute, clip, first_frame, count, kind, dtype, window.video);
  };
  ASSIGN_OR_RETURN(window.semantic_buffer, read_buffer(attributes_.semantic_buffer, "semantic_buffer", DType::kUInt8));
  ASSIGN_OR_RETURN(window.instance_buffer, read_buffer(attributes_.instance_buffer, "instance_buffer", DType::kUInt16));
  ASSIGN_OR_RETURN(window.depth, read_buffer(attributes_.depth, "voxel_depth_100", DType::kUInt16));

  window.camera_to_world = HostTensor(DType::kFloat64, {attributes_.pose.empty() ? 0 : count, 4, 4});
  for (int64_t i = 0; i < window.camera_to_world.shape()[0]; ++i) {
    RETURN_IF_ERROR(UseMember(archive_.ReadFrame(attributes_.pose, clip, first_frame + i, "pose.front.npy"),
                              [&](const MemberBytes& member) -> absl::Status {
                                ASSIGN_OR_RETURN(const HostTensor found,
                                                 ParseNpy(member.bytes, member.what, array_limits_));
                                ASSIGN_OR_RETURN(const Matrix4 pose, PoseFrom(found, member.what));
                                std::copy(pose.begin(), pose.end(), window.camera_to_world.data<double>() + 16 * i);
                                return absl::OkStatus();
                              }));
  }
  window.intrinsics = HostTensor(DType::kFloat64, {0});
  if (!attributes_.intrinsic.empty()) {
    ASSIGN_OR_RETURN(const Intrinsics full, UseMember(archive_.Read(attributes_.intrinsic, clip, "intrinsic.front.npy"),
                                                      [&](const MemberBytes& member) -> absl::StatusOr<Intrinsics> {
                                                        ASSIGN_OR_RETURN(
                                                            const HostTensor found,
                                                            ParseNpy(member.bytes, member.what, array_limits_));
                                                        return IntrinsicsFrom(found, member.what);
                                                      }));
    const Intrinsics scaled = ScaleIntrinsics(full, window.video.shape()[2], window.video.shape()[1]);
    window.intrinsics = HostTensor::Of(std::vector<double>(scaled.begin(), scaled.end()), {6});
  }
  return window;
}

}  // namespace cubist
