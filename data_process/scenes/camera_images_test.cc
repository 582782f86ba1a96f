#include "data_process/scenes/camera_images.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "Eigen/Dense"
#include "base/data_place.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/png.h"
#include "data_process/scenes/scene_reader.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using Eigen::AngleAxisd;
using Eigen::Matrix4d;
using Eigen::Vector3d;

constexpr int kWidth = 40, kHeight = 24, kSideHeight = 16, kFrames = 12;
constexpr char kCloud[] = "pc_voxelsize_01";
const std::vector<std::string> kViews = {"front", "front_left", "side_left"};

bool IsSide(const std::string& view) { return view == "side_left"; }

// Grey values that depend on frame, view, row and column slowly enough for a JPEG.
uint8_t Grey(int64_t frame, const std::string& view, int64_t row, int64_t column) {
  return static_cast<uint8_t>(20 * frame + 3 * static_cast<int64_t>(view.size()) + row / 8 + column / 8);
}

HostTensor ImageOf(int64_t frame, const std::string& view) {
  const int rows = IsSide(view) ? kSideHeight : kHeight;
  HostTensor image(DType::kUInt8, {rows, kWidth, 3});
  for (int64_t i = 0; i < image.size(); ++i) {
    image.data<uint8_t>()[i] = Grey(frame, view, i / 3 / kWidth, i / 3 % kWidth);
  }
  return image;
}

bool IsSky(int64_t frame, int64_t row, int64_t column) { return row < 4 + frame || column == frame; }

// Eight-bit masks in odd frames, one bit in even ones: real data has both.
std::string SkyMask(int64_t frame, int rows) {
  HostTensor bits(DType::kBool, {rows, kWidth}), bytes(DType::kUInt8, {rows, kWidth});
  for (int64_t i = 0; i < bits.size(); ++i) {
    bits.data<bool>()[i] = IsSky(frame, i / kWidth, i % kWidth);
    bytes.data<uint8_t>()[i] = bits.data<bool>()[i] ? 255 : 0;
  }
  return FormatPng(frame % 2 == 1 ? bytes : bits);
}

uint16_t Depth(int64_t frame, int64_t row, int64_t column) {
  return row == 0 ? 0 : static_cast<uint16_t>(5000 * frame + 100 * row + column);
}

std::string DepthImage(int64_t frame, int rows) {
  HostTensor depth(DType::kUInt16, {rows, kWidth});
  for (int64_t i = 0; i < depth.size(); ++i) depth.data<uint16_t>()[i] = Depth(frame, i / kWidth, i % kWidth);
  return FormatPng(depth);
}

// A camera far from the world's origin that turns and moves with the frames. OpenCV axes.
Matrix4d CameraToWorld(int64_t frame, const std::string& view) {
  Matrix4d axes = Matrix4d::Zero();  // of a camera that looks along x with z up
  axes(1, 0) = axes(2, 1) = -1;
  axes(0, 2) = axes(3, 3) = 1;
  Matrix4d vehicle = Matrix4d::Identity();
  const double yaw = 0.03 * static_cast<double>(frame) + 0.7 * static_cast<double>(view.size() - 5);
  vehicle.block<3, 3>(0, 0) =
      (AngleAxisd(yaw, Vector3d::UnitZ()) * AngleAxisd(0.05, Vector3d::UnitY())).toRotationMatrix();
  vehicle.block<3, 1>(0, 3) = Vector3d(20000 + 0.5 * static_cast<double>(frame), -15000, 32);
  return vehicle * axes;
}

HostTensor TensorOf(const Matrix4d& matrix) {
  HostTensor tensor(DType::kFloat64, {4, 4});
  for (int i = 0; i < 16; ++i) tensor.data<double>()[i] = matrix(i / 4, i % 4);
  return tensor;
}

std::string IntrinsicsOf(const std::string& view) {
  const double height = IsSide(view) ? 886 : 1280;
  return FormatNpy(HostTensor::Of<double>({2060, 2050, 950, height / 2, 1920, height}, {6}));
}

void WriteClip(const std::string& root) {
  Members poses, intrinsics;
  for (const std::string& view : kViews) {
    Members images, masks, depths;
    const int rows = IsSide(view) ? kSideHeight : kHeight;
    for (int frame = 0; frame < kFrames; ++frame) {
      images.emplace_back(FrameMember("clip", frame, "image." + view + ".jpg"), FormatJpeg(ImageOf(frame, view), 100));
      masks.emplace_back(FrameMember("clip", frame, "skymask." + view + ".png"), SkyMask(frame, rows));
      depths.emplace_back(FrameMember("clip", frame, "voxel_depth_100." + view + ".png"), DepthImage(frame, rows));
      poses.emplace_back(FrameMember("clip", frame, "pose." + view + ".npy"),
                         FormatNpy(TensorOf(CameraToWorld(frame, view))));
    }
    WriteTestTar(root, "image_24p_" + view, "clip", images);
    WriteTestTar(root, "skymask_24p_" + view, "clip", masks);
    WriteTestTar(root, "voxel_depth_100_24p_" + view, "clip", depths);
    intrinsics.emplace_back("clip.intrinsic." + view + ".npy", IntrinsicsOf(view));
  }
  WriteTestTar(root, "pose", "clip", poses);
  WriteTestTar(root, "intrinsic", "clip", intrinsics);
  // One point ten metres before the front camera of frame 0, in a cloud frame of its own.
  Eigen::Matrix4f cloud_pose = Eigen::Matrix4f::Identity();
  cloud_pose.block<3, 1>(0, 3) = Eigen::Vector3f(20000, -15000, 32);
  std::vector<float> pose;
  for (int i = 0; i < 16; ++i) pose.push_back(cloud_pose(i / 4, i % 4));
  WriteTestTar(root, kCloud, "clip",
               {{"clip.pcd.vs01.pth", CloudBytes(HostTensor::Of<float>({10, 0, 0}, {1, 3}),
                                                 HostTensor::Of<int64_t>({14}, {1}), HostTensor::Of(pose, {4, 4}))}});
}

Data ConfigOf(const std::string& root, const std::vector<std::string>& views = {"front"}) {
  Data data;
  data.set_data_root(root);
  for (const char* attribute : {"pose", "intrinsic", kCloud}) data.add_attributes(attribute);
  for (const std::string& view : views) {
    data.add_attributes("image_24p_" + view);
    data.add_attributes("skymask_24p_" + view);
    data.add_attributes("voxel_depth_100_24p_" + view);
  }
  for (const double value : {0., -40., -12.8}) data.add_crop_min(value);
  for (const double value : {153.6, 40., 38.4}) data.add_crop_max(value);
  for (const int offset : {0, 3}) data.add_input_frame_offsets(offset);
  for (const int offset : {0, 1, 3, 5, 8}) data.add_supervision_frame_offsets(offset);
  data.add_input_views(FRONT);
  data.add_supervision_views(FRONT);
  return data;
}

absl::StatusOr<SceneSample> ReadSample(const Data& data, int64_t start_frame, uint64_t draw = 0) {
  const auto reader = SceneReader::Create(data, /*seed=*/7);
  if (!reader.ok()) return reader.status();
  return (*reader)->Read("clip", start_frame, draw, /*training=*/true);
}

std::vector<int64_t> Frames(const CameraImages& images) {
  return {images.frames.data<int64_t>(), images.frames.data<int64_t>() + images.frames.size()};
}

// Image i of a set is that frame and view, in everything.
void ExpectImage(const SceneSample& sample, const CameraImages& set, int64_t i, int64_t frame, const std::string& view,
                 int64_t rows) {
  SCOPED_TRACE("image " + std::to_string(i) + ": frame " + std::to_string(frame) + ", " + view);
  const int64_t own_rows = IsSide(view) ? kSideHeight : kHeight;
  EXPECT_EQ(set.frames.data<int64_t>()[i], frame);
  EXPECT_EQ(set.picture_rows.data<int64_t>()[i], own_rows);
  const auto decoded = ParseJpeg(FormatJpeg(ImageOf(frame, view), 100), "test");
  ASSERT_TRUE(decoded.ok());
  const uint8_t* image = set.images.data<uint8_t>() + i * rows * kWidth * 3;
  const bool* sky = set.is_sky.data<bool>() + i * rows * kWidth;
  const uint16_t* depth = set.depth.data<uint16_t>() + i * rows * kWidth;
  int64_t wrong = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < kWidth; ++column) {
      const int64_t at = row * kWidth + column;
      const bool inside = row < own_rows;
      for (int channel = 0; channel < 3; ++channel) {
        const uint8_t value = image[3 * at + channel];
        wrong += value != (inside ? decoded->data<uint8_t>()[3 * at + channel] : 0);
        wrong += inside && std::abs(value - Grey(frame, view, row, column)) > 3;
      }
      wrong += sky[at] != (inside && IsSky(frame, row, column));
      wrong += depth[at] != (inside ? Depth(frame, row, column) : 0);
    }
  }
  EXPECT_EQ(wrong, 0);

  Matrix4d grid_to_world;
  for (int k = 0; k < 16; ++k) grid_to_world(k / 4, k % 4) = sample.grid_to_world.data<double>()[k];
  const Matrix4d expected = grid_to_world.inverse() * CameraToWorld(frame, view);
  for (int k = 0; k < 16; ++k) {
    EXPECT_NEAR(set.camera_to_grid.data<double>()[16 * i + k], expected(k / 4, k % 4), 1e-9) << k;
  }
  const double height = IsSide(view) ? 886 : 1280;
  const double expected_intrinsics[6] = {2060. * kWidth / 1920,
                                         2050. * static_cast<double>(own_rows) / height,
                                         950. * kWidth / 1920,
                                         static_cast<double>(own_rows) / 2,
                                         kWidth,
                                         static_cast<double>(rows)};
  for (int k = 0; k < 6; ++k) EXPECT_NEAR(set.intrinsics.data<double>()[6 * i + k], expected_intrinsics[k], 1e-9) << k;
}

TEST(CameraImages, InputAndSupervisionHaveTheirFrames) {
  const std::string root = NewTestFolder("frames");
  WriteClip(root);
  const auto sample = ReadSample(ConfigOf(root), 2);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->input.images.Describe(), "uint8[2,24,40,3]");
  EXPECT_EQ(sample->supervision.images.Describe(), "uint8[5,24,40,3]");
  EXPECT_EQ(Frames(sample->input), (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(Frames(sample->supervision), (std::vector<int64_t>{2, 3, 5, 7, 10}));
  for (int64_t i = 0; i < 2; ++i) ExpectImage(*sample, sample->input, i, Frames(sample->input)[i], "front", kHeight);
  for (int64_t i = 0; i < 5; ++i) {
    ExpectImage(*sample, sample->supervision, i, Frames(sample->supervision)[i], "front", kHeight);
  }
  // The first input camera stands where the crop says: its box begins at the camera.
  const double* pose = sample->input.camera_to_grid.data<double>();
  EXPECT_NEAR(pose[3], -76.8, 1e-9);
  EXPECT_NEAR(pose[7], 0, 1e-9);
  EXPECT_NEAR(pose[11], -12.8, 1e-9);
}

TEST(CameraImages, CamerasOfLessHeightArePadded) {
  const std::string root = NewTestFolder("views");
  WriteClip(root);
  Data data = ConfigOf(root, kViews);
  data.add_input_views(SIDE_LEFT);
  data.add_input_views(FRONT_LEFT);
  const auto sample = ReadSample(data, 1);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->input.images.Describe(), "uint8[6,24,40,3]");
  const std::vector<std::string> order = {"front", "side_left", "front_left"};
  const std::vector<int64_t> numbers = {0, 3, 1};
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(sample->input.views.data<int64_t>()[i], numbers[i % 3]);
    ExpectImage(*sample, sample->input, i, i < 3 ? 1 : 4, order[i % 3], kHeight);
  }
}

TEST(CameraImages, SomeOfTheSupervisionIsDrawn) {
  const std::string root = NewTestFolder("drawn");
  WriteClip(root);
  Data data = ConfigOf(root);
  data.set_supervision_images_per_sample(3);
  std::set<std::vector<int64_t>> seen;
  for (uint64_t draw = 0; draw < 40; ++draw) {
    const auto sample = ReadSample(data, 2, draw);
    ASSERT_TRUE(sample.ok()) << sample.status();
    const std::vector<int64_t> frames = Frames(sample->supervision);
    ASSERT_EQ(frames.size(), 3u);
    for (int64_t i = 0; i < 3; ++i) ExpectImage(*sample, sample->supervision, i, frames[i], "front", kHeight);
    EXPECT_EQ(Frames(ReadSample(data, 2, draw)->supervision), frames);
    seen.insert(frames);
  }
  EXPECT_GE(seen.size(), 8u);  // of ten; 40 draws miss three or more with a probability below 1e-4
}

TEST(CameraImages, EverySetIsDrawnEquallyOften) {
  constexpr int kDraws = 20000;
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const std::vector<int64_t> numbers = DrawImages(3, draw, 6, 3);
    ASSERT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    ASSERT_EQ(std::set<int64_t>(numbers.begin(), numbers.end()).size(), 3u);
    ASSERT_TRUE(numbers.front() >= 0 && numbers.back() < 6);
    ++counts[numbers];
  }
  EXPECT_EQ(counts.size(), 20u);
  double chi_square = 0;
  for (const auto& [numbers, count] : counts) chi_square += std::pow(count - kDraws / 20.0, 2) / (kDraws / 20.0);
  EXPECT_LT(chi_square, 50);  // 19 degrees of freedom: 99.99 % lie below 50.8
  EXPECT_NE(DrawImages(3, 0, 17, 9), DrawImages(4, 0, 17, 9));
  EXPECT_EQ(DrawImages(3, 0, 4, 4), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_TRUE(DrawImages(3, 0, 0, 0).empty());
}

TEST(CameraImages, WithoutImagesAmongTheAttributesNothingIsRead) {
  const std::string root = NewTestFolder("none");
  WriteClip(root);
  const auto sample = ReadSample(ConfigOf(root, {}), 2);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->input.images.size(), 0);
  EXPECT_EQ(sample->supervision.frames.size(), 0);
}

TEST(CameraImages, WhatDoesNotFitIsAConfigError) {
  const std::string root = NewTestFolder("config");
  WriteClip(root);
  const auto expect = [](const Data& data, const std::string& part) {
    const absl::Status status = ReadSample(data, 2).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << status;
    EXPECT_NE(status.message().find(part), std::string::npos) << status;
  };
  Data data = ConfigOf(root);
  data.add_supervision_views(FRONT_RIGHT);
  expect(data, "image_..._front_right");
  data = ConfigOf(root);
  data.set_supervision_images_per_sample(6);
  expect(data, "5 images");
  data = ConfigOf(root);
  data.mutable_attributes()->erase(std::find(data.attributes().begin(), data.attributes().end(), "intrinsic"));
  expect(data, "'intrinsic'");
  data = ConfigOf(root);
  data.clear_input_views();
  data.clear_supervision_views();
  expect(data, "data.input_views");
  data = ConfigOf(root, kViews);
  data.mutable_attributes()->erase(
      std::find(data.attributes().begin(), data.attributes().end(), "skymask_24p_side_left"));
  data.add_input_views(SIDE_LEFT);
  expect(data, "skymask_..._side_left");
}

TEST(CameraImages, AnImageOfAnotherWidthIsNamed) {
  const std::string root = NewTestFolder("width");
  WriteClip(root);
  Members images;
  for (int frame = 0; frame < kFrames; ++frame) {
    HostTensor image(DType::kUInt8, {kHeight, frame == 7 ? kWidth + 1 : kWidth, 3});
    std::memset(image.bytes(), 9, image.byte_size());
    images.emplace_back(FrameMember("clip", frame, "image.front.jpg"), FormatJpeg(image, 100));
  }
  WriteTestTar(root, "image_24p_front", "clip", images);
  const absl::Status status = ReadSample(ConfigOf(root), 2).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
  EXPECT_NE(status.message().find("41 pixels wide"), std::string::npos) << status;
  ASSERT_TRUE(DataPlaceOf(status).has_value());
  EXPECT_EQ(DataPlaceOf(status)->member, "clip.000007.image.front.jpg");
}

TEST(CameraImages, LimitsOfTheConfigHold) {
  const std::string root = NewTestFolder("limits");
  WriteClip(root);
  Data data = ConfigOf(root);
  data.mutable_limits()->set_max_image_pixels(kWidth * kHeight);
  EXPECT_TRUE(ReadSample(data, 2).ok());
  data.mutable_limits()->set_max_image_pixels(kWidth * kHeight - 1);
  EXPECT_EQ(ExitCodeOf(ReadSample(data, 2).status()), ExitCode::kData);
  data = ConfigOf(root);
  data.mutable_limits()->set_max_array_bytes(20);
  EXPECT_EQ(ExitCodeOf(ReadSample(data, 2).status()), ExitCode::kData);
  data = ConfigOf(root);
  data.mutable_limits()->set_max_member_bytes(100);
  EXPECT_EQ(ExitCodeOf(ReadSample(data, 2).status()), ExitCode::kData);
}

}  // namespace
}  // namespace cubist
