#include "data_process/video/video_window.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/png.h"
#include "data_process/formats/video.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

constexpr int kWidth = 64, kHeight = 32, kFrames = 10;

HostTensor Filled(DType dtype, const std::vector<int64_t>& shape, int value) {
  HostTensor bytes(DType::kInt64, shape);
  for (int64_t i = 0; i < bytes.size(); ++i) bytes.data<int64_t>()[i] = value;
  return bytes.Cast(dtype);
}

void WriteVideo(const std::string& path, int step, int width = kWidth, int frames = kFrames) {
  VideoWriterOptions options;
  options.width = width;
  options.height = kHeight;
  options.preset = "superfast";
  auto writer = VideoWriter::Create(SystemFileOps(), path, options);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int frame = 0; frame < frames; ++frame) {
    ASSERT_TRUE((*writer)->Append(Filled(DType::kUInt8, {kHeight, width, 3}, 20 + step * frame)).ok());
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

void WriteText(const std::string& path, const std::string& text) {
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, text).ok());
}

std::string Pose(int frame) {
  return FormatNpy(HostTensor::Of<double>({0, 0, 1, 5. + frame, -1, 0, 0, 0, 0, -1, 0, 2, 0, 0, 0, 1}, {4, 4}));
}

// All attributes of one clip. What a frame holds tells its number.
std::string WriteClip(const std::string& name) {
  const std::string root = NewTestFolder(name);
  for (const char* folder : {"video_480p_front", "semantic_buffer_video_480p_front", "caption"}) {
    EXPECT_TRUE(MakeDirectories(SystemFileOps(), root + "/" + folder).ok());
  }
  WriteVideo(root + "/video_480p_front/clip.mp4", 20);
  WriteVideo(root + "/semantic_buffer_video_480p_front/clip.mp4", 10);
  WriteText(root + "/caption/clip.json", "{\n    \"weather\": \"Rain, at dusk.\"\n}");
  Members semantics, instances, depths, poses;
  for (int frame = 0; frame < kFrames; ++frame) {
    const std::vector<int64_t> shape = {kHeight, kWidth};
    semantics.emplace_back(FrameMember("clip", frame, "semantic_buffer.front.png"),
                           FormatPng(Filled(DType::kUInt8, shape, frame)));
    instances.emplace_back(FrameMember("clip", frame, "instance_buffer.front.png"),
                           FormatPng(Filled(DType::kUInt16, shape, 10000 + frame)));
    depths.emplace_back(FrameMember("clip", frame, "voxel_depth_100.front.png"),
                        FormatPng(Filled(DType::kUInt16, shape, 40000 + frame)));
    poses.emplace_back(FrameMember("clip", frame, "pose.front.npy"), Pose(frame));
  }
  WriteTestTar(root, "semantic_buffer_480p_front", "clip", semantics);
  WriteTestTar(root, "instance_buffer_480p_front", "clip", instances);
  WriteTestTar(root, "voxel_depth_100_480p_front", "clip", depths);
  WriteTestTar(root, "pose", "clip", poses);
  WriteTestTar(
      root, "intrinsic", "clip",
      {{"clip.intrinsic.front.npy", FormatNpy(HostTensor::Of<double>({2060, 2050, 950, 640, 1920, 1280}, {6}))}});
  return root;
}

VideoWindowAttributes AllAttributes() {
  VideoWindowAttributes attributes;
  attributes.semantic_buffer = "semantic_buffer_480p_front";
  attributes.instance_buffer = "instance_buffer_480p_front";
  return attributes;
}

absl::StatusOr<VideoWindow> Read(const std::string& root, const VideoWindowAttributes& attributes = AllAttributes(),
                                 int64_t first = 3, int64_t count = 4) {
  const auto reader = VideoWindowReader::Create(root, attributes, ReadLimits());
  if (!reader.ok()) return reader.status();
  return (*reader)->Read("clip", first, count);
}

TEST(VideoWindow, HasItsFramesOfEveryAttribute) {
  const auto window = Read(WriteClip("all"));
  ASSERT_TRUE(window.ok()) << window.status();
  EXPECT_EQ(window->prompt, "This video is capture by a camera mounted on a vehicle. Rain, at dusk.");
  ASSERT_EQ(window->video.Describe(), "uint8[4,32,64,3]");
  ASSERT_EQ(window->semantic_video.Describe(), "uint8[4,32,64,3]");
  ASSERT_EQ(window->semantic_buffer.Describe(), "uint8[4,32,64]");
  ASSERT_EQ(window->instance_buffer.Describe(), "uint16[4,32,64]");
  ASSERT_EQ(window->depth.Describe(), "uint16[4,32,64]");
  ASSERT_EQ(window->camera_to_world.Describe(), "float64[4,4,4]");
  constexpr int64_t kPixels = kWidth * kHeight;
  for (int i = 0; i < 4; ++i) {
    const int frame = 3 + i;
    for (int64_t p = 0; p < kPixels; ++p) {
      // H.264 moves grey by a little.
      ASSERT_NEAR(window->video.data<uint8_t>()[3 * (i * kPixels + p)], 20 + 20 * frame, 4) << frame;
      ASSERT_NEAR(window->semantic_video.data<uint8_t>()[3 * (i * kPixels + p)], 20 + 10 * frame, 4) << frame;
      ASSERT_EQ(window->semantic_buffer.data<uint8_t>()[i * kPixels + p], frame);
      ASSERT_EQ(window->instance_buffer.data<uint16_t>()[i * kPixels + p], 10000 + frame);
      ASSERT_EQ(window->depth.data<uint16_t>()[i * kPixels + p], 40000 + frame);
    }
    EXPECT_EQ(window->camera_to_world.data<double>()[16 * i + 3], 5. + frame);
    EXPECT_EQ(window->camera_to_world.data<double>()[16 * i + 2], 1);
  }
  const double expected[6] = {
      2060. * kWidth / 1920, 2050. * kHeight / 1280, 950. * kWidth / 1920, 640. * kHeight / 1280, kWidth, kHeight};
  for (int k = 0; k < 6; ++k) EXPECT_NEAR(window->intrinsics.data<double>()[k], expected[k], 1e-12) << k;
}

TEST(VideoWindow, ReadsOnlyWhatIsAsked) {
  const std::string root = WriteClip("some");
  VideoWindowAttributes attributes;
  attributes.caption = attributes.semantic_video = attributes.depth = "";
  attributes.cameras = false;
  for (const char* folder : {"caption", "pose", "intrinsic", "voxel_depth_100_480p_front"}) {
    std::filesystem::remove_all(root + "/" + folder);
  }
  const auto window = Read(root, attributes, 0, 10);
  ASSERT_TRUE(window.ok()) << window.status();
  EXPECT_EQ(window->video.shape()[0], 10);
  EXPECT_EQ(window->prompt, "");
  for (const HostTensor* none : {&window->semantic_video, &window->semantic_buffer, &window->depth,
                                 &window->camera_to_world, &window->intrinsics}) {
    EXPECT_EQ(none->size(), 0);
  }
}

TEST(VideoWindow, NeedsAVideoAndAFrame) {
  const std::string root = WriteClip("needs");
  VideoWindowAttributes attributes;
  attributes.video = "";
  EXPECT_EQ(ExitCodeOf(Read(root, attributes).status()), ExitCode::kConfig);
  EXPECT_EQ(ExitCodeOf(Read(root, AllAttributes(), 0, 0).status()), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(Read(root, AllAttributes(), -1, 2).status()), ExitCode::kInternal);
}

TEST(VideoWindow, LimitsHold) {
  const std::string root = WriteClip("limits");
  const auto read = [&](const ReadLimits& limits) {
    return ExitCodeOf((*VideoWindowReader::Create(root, AllAttributes(), limits))->Read("clip", 3, 4).status());
  };
  ReadLimits limits;
  limits.set_max_image_pixels(kWidth * kHeight);
  limits.set_max_video_frames(10);
  EXPECT_EQ(read(limits), ExitCode::kDone);
  limits.set_max_video_frames(5);
  EXPECT_EQ(read(limits), ExitCode::kData);
  limits.set_max_video_frames(10);
  limits.set_max_image_pixels(kWidth * kHeight - 1);
  EXPECT_EQ(read(limits), ExitCode::kData);
  limits.set_max_image_pixels(kWidth * kHeight);
  limits.set_max_member_bytes(50);
  EXPECT_EQ(read(limits), ExitCode::kData);
  limits.set_max_member_bytes(1000000);
  limits.set_max_array_bytes(100);
  EXPECT_EQ(read(limits), ExitCode::kData);
}

TEST(VideoWindow, WhatIsWrongIsNamed) {
  const auto expect = [](const std::string& root, const std::vector<std::string>& parts, int64_t first = 3) {
    const absl::Status status = Read(root, AllAttributes(), first).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
    for (const std::string& part : parts) EXPECT_NE(status.message().find(part), std::string::npos) << status;
  };
  expect(WriteClip("end"), {"video_480p_front/clip.mp4", "10 frames", "7 to 10"}, /*first=*/7);
  expect(WriteClip("far"), {"video_480p_front/clip.mp4", "10 frames"}, /*first=*/20);

  std::string root = WriteClip("no_video");
  std::filesystem::remove(root + "/video_480p_front/clip.mp4");
  expect(root, {"video_480p_front/clip.mp4"});

  root = WriteClip("no_caption");
  std::filesystem::remove(root + "/caption/clip.json");
  expect(root, {"caption/clip.json"});

  root = WriteClip("bad_caption");
  WriteText(root + "/caption/clip.json", "{\"weather\": 3");
  expect(root, {"caption/clip.json", "JSON"});

  root = WriteClip("other_size");
  WriteVideo(root + "/semantic_buffer_video_480p_front/clip.mp4", 10, 2 * kWidth);
  expect(root, {"semantic_buffer_video_480p_front/clip.mp4", "uint8[4,32,128,3]"});

  root = WriteClip("bad_depth");
  Members depths;
  for (int frame = 0; frame < kFrames; ++frame) {
    depths.emplace_back(FrameMember("clip", frame, "voxel_depth_100.front.png"),
                        FormatPng(Filled(frame == 5 ? DType::kUInt8 : DType::kUInt16, {kHeight, kWidth}, 1)));
  }
  WriteTestTar(root, "voxel_depth_100_480p_front", "clip", depths);
  expect(root, {"clip.000005.voxel_depth_100.front.png", "uint8[32,64]"});

  root = WriteClip("few_poses");
  WriteTestTar(root, "pose", "clip", {{FrameMember("clip", 3, "pose.front.npy"), Pose(3)}});
  expect(root, {"clip.000004.pose.front.npy"});
}

}  // namespace
}  // namespace cubist
