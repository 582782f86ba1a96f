// A small data set with every kind of file, for tests: make_test_data ROOT FRAMES CLIP...
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/png.h"
#include "data_process/formats/video.h"
#include "data_process/scenes/semantic_classes.h"
#include "data_process/scenes/test_clips.h"

namespace cubist {
namespace {

constexpr int kHeight = 60, kWidth = 104;  // an eighth of the data's

absl::Status WriteVideo(const std::string& path, int frames) {
  VideoWriterOptions options;
  options.width = 64;
  options.height = 36;
  options.preset = "superfast";
  ASSIGN_OR_RETURN(const auto writer, VideoWriter::Create(SystemFileOps(), path, options));
  for (int frame = 0; frame < frames; ++frame) {
    HostTensor image(DType::kUInt8, {options.height, options.width, 3});
    for (int64_t i = 0; i < image.size(); ++i) image.data<uint8_t>()[i] = static_cast<uint8_t>(i / 3 % 64 * 3 + frame);
    RETURN_IF_ERROR(writer->Append(image));
  }
  return writer->Finish();
}

HostTensor FrontImage(int frame) {
  HostTensor image(DType::kUInt8, {kHeight, kWidth, 3});
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      uint8_t* pixel = image.data<uint8_t>() + (int64_t{y} * kWidth + x) * 3;
      const bool sky = y < kHeight / 2;
      pixel[0] = static_cast<uint8_t>(sky ? 120 + y : 90);
      pixel[1] = static_cast<uint8_t>(sky ? 170 + y : 90 + x / 4);
      pixel[2] = static_cast<uint8_t>(sky ? 230 : 95 + frame);
    }
  }
  return image;
}

// A level ground 1.6 m below the camera; nothing is hit above the horizon.
HostTensor GroundDepth() {
  HostTensor depth(DType::kUInt16, {kHeight, kWidth});
  for (int y = 0; y < kHeight; ++y) {
    const double metres = y > kHeight / 2 ? 1.6 * kHeight / (y - kHeight / 2) : 0;
    for (int x = 0; x < kWidth; ++x) {
      depth.data<uint16_t>()[int64_t{y} * kWidth + x] = static_cast<uint16_t>(std::lround(100 * metres));
    }
  }
  return depth;
}

// A road along x with sidewalks, in world coordinates.
std::string Street() {
  std::vector<float> points;
  std::vector<int64_t> classes;
  for (double x = -30; x < 110; x += 0.5) {
    for (double y = -12; y <= 12; y += 0.5) {
      const bool road = std::abs(y) < 8;
      for (const double v : {x, y, road ? -1.6 : -1.45}) points.push_back(static_cast<float>(v));
      classes.push_back(static_cast<int64_t>(road ? SemanticClass::kRoad : SemanticClass::kSidewalk));
    }
  }
  const auto count = static_cast<int64_t>(classes.size());
  HostTensor identity(DType::kFloat32, {4, 4});
  for (int i = 0; i < 16; ++i) identity.data<float>()[i] = i % 5 == 0 ? 1.0F : 0.0F;
  return CloudBytes(HostTensor::Of(points, {count, 3}), HostTensor::Of(classes, {count}), identity);
}

absl::Status WriteClip(const std::string& root, const std::string& clip, int frames) {
  Members images, depths, poses, instances, objects;
  for (int frame = 0; frame < frames; ++frame) {
    images.emplace_back(FrameMember(clip, frame, "image.front.jpg"), FormatJpeg(FrontImage(frame), 90));
    depths.emplace_back(FrameMember(clip, frame, "voxel_depth_100.front.png"), FormatPng(GroundDepth()));
    instances.emplace_back(FrameMember(clip, frame, "instance_buffer.front.png"), FormatPng(GroundDepth()));
    // The camera looks along the world's x: columns are right (-y), down (-z), forward (x), position.
    const std::vector<double> pose = {0, 0, 1, 1.0 * frame, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1};
    poses.emplace_back(FrameMember(clip, frame, "pose.front.npy"), FormatNpy(HostTensor::Of(pose, {4, 4})));
    objects.emplace_back(FrameMember(clip, frame, "dynamic_object_info.json"),
                         absl::StrCat("{", ObjectJson("a", "car", {20, 3, -0.8}, 0, {4.5, 1.9, 1.6}), "}"));
  }
  const HostTensor intrinsic = HostTensor::Of<double>({2000, 2000, 960, 640, 1920, 1280}, {6});
  WriteTestTar(root, "image_480p_front", clip, images);
  WriteTestTar(root, "voxel_depth_100_480p_front", clip, depths);
  WriteTestTar(root, "instance_buffer_480p_front", clip, instances);
  WriteTestTar(root, "pose", clip, poses);
  WriteTestTar(root, "dynamic_object_info", clip, objects);
  WriteTestTar(root, "intrinsic", clip, {{clip + ".intrinsic.front.npy", FormatNpy(intrinsic)}});
  WriteTestTar(root, "pc_voxelsize_01", clip, {{clip + ".pcd.vs01.pth", Street()}});
  for (const char* video : {"video_480p_front", "semantic_buffer_video_480p_front"}) {
    RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), absl::StrCat(root, "/", video)));
    RETURN_IF_ERROR(WriteVideo(absl::StrCat(root, "/", video, "/", clip, ".mp4"), frames));
  }
  RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), root + "/caption"));
  RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), absl::StrCat(root, "/caption/", clip, ".json"),
                                      absl::StrCat("{\n    \"weather\": \"A dry day in ", clip, ".\"\n}")));
  const std::string lidar = absl::StrCat(root, "/lidars/", clip, "/lidar_TOP");
  RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), lidar));
  for (int frame = 0; frame < frames; ++frame) {
    ASSIGN_OR_RETURN(
        const std::string sweep,
        FormatNpz({{"points", HostTensor::Of<float>(std::vector<float>(3 * (frame + 5)), {frame + 5, 3})}}));
    RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), absl::StrCat(lidar, "/", 1000000 + frame, ".npz"), sweep));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  for (int i = 3; i < argc; ++i) {
    const absl::Status status = cubist::WriteClip(argv[1], argv[i], std::atoi(argv[2]));
    if (status.ok()) continue;
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
