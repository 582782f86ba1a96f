#include "data_process/video/video_window.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/png.h"
#include "data_process/formats/video.h"
#include "data_process/metadata/caption.h"
#include "data_process/scenes/cameras.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {
namespace {

constexpr size_t kMaxIndices = 1024;

}  // namespace

VideoWindowReader::VideoWindowReader(const std::string& data_root, const VideoWindowAttributes& attributes,
                                     const ReadLimits& limits)
    : data_root_(data_root), attributes_(attributes), archive_(data_root, kMaxIndices, limits) {}

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
  return ReadFrames(path, first_frame, count, VideoLimitsFrom(archive_.limits()));
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
          ASSIGN_OR_RETURN(const HostTensor image,
                           ParsePng(member.bytes, member.what, ImageLimitsFrom(archive_.limits())));
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

  window.camera_to_world = HostTensor(DType::kFloat64, {attributes_.cameras ? count : 0, 4, 4});
  window.intrinsics = HostTensor(DType::kFloat64, {0});
  if (attributes_.cameras) {
    for (int64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const Matrix4 pose, ReadPose(archive_, clip, first_frame + i, "front"));
      std::copy(pose.begin(), pose.end(), window.camera_to_world.data<double>() + 16 * i);
    }
    ASSIGN_OR_RETURN(const Intrinsics full, ReadIntrinsics(archive_, clip, "front"));
    const Intrinsics scaled = ScaleIntrinsics(full, window.video.shape()[2], window.video.shape()[1]);
    window.intrinsics = HostTensor::Of(std::vector<double>(scaled.begin(), scaled.end()), {6});
  }
  return window;
}

}  // namespace cubist
