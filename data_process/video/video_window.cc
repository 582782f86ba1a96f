#include "data_process/video/video_window.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/image_limits.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/png.h"
#include "data_process/metadata/caption.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/intrinsics.h"

namespace cubist {
namespace {

constexpr size_t kMaxIndices = 1024;

}  // namespace

VideoWindowReader::VideoWindowReader(const std::string& data_root, const VideoWindowAttributes& attributes,
                                     const VideoLimits& limits)
    : data_root_(data_root), attributes_(attributes), limits_(limits), archive_(data_root, kMaxIndices) {}

absl::StatusOr<HostTensor> VideoWindowReader::ReadVideo(const std::string& attribute, const std::string& clip,
                                                        int64_t first_frame, int64_t count) const {
  if (attribute.empty()) return HostTensor(DType::kUInt8, {0, 0, 0, 3});
  const std::string path = absl::StrCat(data_root_, "/", attribute, "/", clip, ".mp4");
  ASSIGN_OR_RETURN(const std::vector<HostTensor> frames, ReadFrames(path, first_frame, count, limits_));
  const std::vector<int64_t>& shape = frames[0].shape();
  HostTensor stacked(DType::kUInt8, {count, shape[0], shape[1], 3});
  std::byte* out = stacked.bytes();
  for (const HostTensor& frame : frames) out = std::copy_n(frame.bytes(), frame.byte_size(), out);
  return stacked;
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
          ASSIGN_OR_RETURN(const HostTensor image, ParsePng(member.bytes, member.what, {limits_.max_pixels}));
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
                                ASSIGN_OR_RETURN(const HostTensor found, ParseNpy(member.bytes, member.what));
                                ASSIGN_OR_RETURN(const Matrix4 pose, PoseFrom(found, member.what));
                                std::copy(pose.begin(), pose.end(), window.camera_to_world.data<double>() + 16 * i);
                                return absl::OkStatus();
                              }));
  }
  window.intrinsics = HostTensor(DType::kFloat64, {0});
  if (!attributes_.intrinsic.empty()) {
    ASSIGN_OR_RETURN(const Intrinsics full, UseMember(archive_.Read(attributes_.intrinsic, clip, "intrinsic.front.npy"),
                                                      [](const MemberBytes& member) -> absl::StatusOr<Intrinsics> {
                                                        ASSIGN_OR_RETURN(const HostTensor found,
                                                                         ParseNpy(member.bytes, member.what));
                                                        return IntrinsicsFrom(found, member.what);
                                                      }));
    const Intrinsics scaled = ScaleIntrinsics(full, window.video.shape()[2], window.video.shape()[1]);
    window.intrinsics = HostTensor::Of(std::vector<double>(scaled.begin(), scaled.end()), {6});
  }
  return window;
}

}  // namespace cubist
