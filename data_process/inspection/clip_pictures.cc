#include "data_process/inspection/clip_pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/png.h"
#include "data_process/formats/tar.h"
#include "data_process/formats/video.h"
#include "data_process/scenes/birds_eye.h"
#include "data_process/scenes/cameras.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/read_limits.h"
#include "data_process/scenes/scene_objects.h"
#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

using Colour = std::array<uint8_t, 3>;

constexpr std::array<const char*, 4> kFronts = {"image_480p_front", "image_front", "video_480p_front", "video_front"};
constexpr std::array<const char*, 2> kDepths = {"voxel_depth_100_480p_front", "lidar_depth_100_480p_front"};
constexpr std::array<const char*, 2> kClouds = {"pc_with_map_without_car_voxelsize_01", "pc_voxelsize_01"};

constexpr double kBehind = 20, kAhead = 84, kAside = 30;  // m
constexpr double kScale = 8;                              // pixels a metre
constexpr int kWidth = static_cast<int>((kBehind + kAhead) * kScale), kHeight = static_cast<int>(2 * kAside * kScale);
constexpr Colour kGround = {30, 32, 40};
constexpr Colour kEgo = {255, 86, 34};
constexpr int kHoleRounds = 3;

cv::Scalar ScalarOf(const Colour& colour) { return cv::Scalar(colour[0], colour[1], colour[2]); }

// Shares the memory.
cv::Mat MatOf(HostTensor& picture) {
  return cv::Mat(static_cast<int>(picture.shape()[0]), static_cast<int>(picture.shape()[1]), CV_8UC3, picture.bytes());
}

// The frames that any series of members has.
std::vector<int64_t> FramesOfTar(const std::string& path, const std::string& clip, const ReadLimits& limits) {
  std::set<int64_t> frames;
  const auto tar = TarIndex::Open(path, TarLimitsFrom(limits));
  if (!tar.ok()) return {};
  for (const auto& [suffix, numbers] : FramesBySuffix(**tar, clip)) frames.insert(numbers.begin(), numbers.end());
  return {frames.begin(), frames.end()};
}

absl::StatusOr<HostTensor> AsColours(HostTensor image, const std::string& what) {
  if (image.dtype() == DType::kUInt8 && image.shape().size() == 3 && image.shape()[2] == 3) return image;
  return DataError(what + ": a picture is uint8[H,W,3], this is " + image.Describe());
}

Colour ColourOfType(const std::string& type) {
  const auto of = [](SemanticClass which) { return kSemanticClasses[static_cast<size_t>(which)].colour; };
  if (type == "car") return of(SemanticClass::kCar);
  if (type == "pedestrian") return of(SemanticClass::kPedestrian);
  if (type == "cyclist") return of(SemanticClass::kBicyclist);
  if (type == "sign") return of(SemanticClass::kSign);
  return of(SemanticClass::kUndefined);
}

// Sixteenths of a pixel, which OpenCV draws with a shift of 4.
constexpr int kShift = 4;
cv::Point PixelOf(const Vector3& camera) {
  const double x = (camera[0] + kBehind) * kScale, y = kHeight - (camera[1] + kAside) * kScale;
  const auto fixed = [](double v) {
    return static_cast<int>(std::lround(std::clamp(v, -4000.0, 4000.0) * (1 << kShift)));
  };
  return {fixed(x), fixed(y)};
}

void DrawObject(const SceneObject& object, const Matrix4& world_to_camera, cv::Mat& picture) {
  const Matrix4 to_camera = Multiply(world_to_camera, object.object_to_world);
  const double x = object.lwh[0] / 2, y = object.lwh[1] / 2;
  std::vector<cv::Point> corners;
  for (const auto& [sx, sy] : {std::pair(x, y), std::pair(-x, y), std::pair(-x, -y), std::pair(x, -y)}) {
    corners.push_back(PixelOf(Apply(to_camera, {sx, sy, 0})));
  }
  cv::fillConvexPoly(picture, corners, ScalarOf(ColourOfType(object.type)), cv::LINE_AA, kShift);
  cv::polylines(picture, corners, true, cv::Scalar(255, 255, 255), 1, cv::LINE_AA, kShift);
  cv::line(picture, PixelOf(Apply(to_camera, {0, 0, 0})), PixelOf(Apply(to_camera, {x, 0, 0})),
           cv::Scalar(255, 255, 255), 1, cv::LINE_AA, kShift);
}

}  // namespace

HostTensor ColourDepth(const HostTensor& centimetres) {
  const int64_t height = centimetres.shape()[0], width = centimetres.shape()[1];
  HostTensor nearness(DType::kUInt8, {height, width}), picture(DType::kUInt8, {height, width, 3});
  const auto* depth = centimetres.data<uint16_t>();
  for (int64_t i = 0; i < height * width; ++i) {
    // By the square root: most of a street's pixels are near.
    const double part = std::sqrt(std::min(1.0, depth[i] / (100 * kDepthPictureMetres)));
    nearness.data<uint8_t>()[i] = static_cast<uint8_t>(std::lround(255 * (1 - part)));
  }
  const cv::Mat grey(static_cast<int>(height), static_cast<int>(width), CV_8UC1, nearness.bytes());
  cv::Mat coloured, rgb = MatOf(picture);
  cv::applyColorMap(grey, coloured, cv::COLORMAP_TURBO);
  cv::cvtColor(coloured, rgb, cv::COLOR_BGR2RGB);
  for (int64_t i = 0; i < height * width; ++i) {
    if (depth[i] == 0) std::copy(kGround.begin(), kGround.end(), picture.data<uint8_t>() + 3 * i);
  }
  return picture;
}

ClipPictures::ClipPictures(const DataTree& tree, const std::string& clip, const ReadLimits& limits)
    : tree_(tree), clip_(clip), limits_(limits) {
  for (const char* attribute : {"pose", kFronts[0], kFronts[1], kDepths[0], kDepths[1]}) {
    const ClipFile* file = Find(attribute);
    if (file == nullptr || file->kind != ClipFile::Kind::kTar) continue;
    frames_ = FramesOfTar(file->path, clip, limits_);
    if (!frames_.empty()) return;
  }
  for (const char* attribute : kFronts) {
    const ClipFile* file = Find(attribute);
    if (file == nullptr || file->kind != ClipFile::Kind::kVideo) continue;
    const absl::StatusOr<int64_t> count = CountFrames(file->path, VideoLimitsFrom(limits_));
    for (int64_t frame = 0; frame < (count.ok() ? *count : 0); ++frame) frames_.push_back(frame);
    if (!frames_.empty()) return;
  }
}

// The part of an error that fits into a panel: files by name only.
std::string ClipPictures::InFewWords(const absl::Status& status) const {
  std::vector<std::pair<std::string, std::string>> folders;
  for (const AttributeFolder& folder : tree_.attributes) {
    folders.emplace_back(absl::StrCat(tree_.root, "/", folder.name, "/"), "");
  }
  return absl::StrReplaceAll(status.message(), folders);
}

const ClipFile* ClipPictures::Find(const std::string& attribute) const {
  for (const AttributeFolder& folder : tree_.attributes) {
    const auto file = folder.clips.find(clip_);
    if (folder.name == attribute && file != folder.clips.end()) return &file->second;
  }
  return nullptr;
}

absl::StatusOr<HostTensor> ClipPictures::ReadFront(const std::string& attribute, const ClipFile& file,
                                                   int64_t frame) const {
  if (file.kind == ClipFile::Kind::kVideo) {
    ASSIGN_OR_RETURN(const HostTensor images, ReadFrames(file.path, frame, 1, VideoLimitsFrom(limits_)));
    return images.Select(0);
  }
  ClipArchive archive(tree_.root, 1, limits_);
  ASSIGN_OR_RETURN(const MemberBytes member, archive.ReadFrame(attribute, clip_, frame, "image.front.jpg"));
  ASSIGN_OR_RETURN(HostTensor image, ParseJpeg(member.bytes, member.what, ImageLimitsFrom(limits_)));
  return AsColours(std::move(image), member.what);
}

ClipPicture ClipPictures::Front(int64_t frame) const {
  ClipPicture picture{"front image", HostTensor(DType::kUInt8, {0, 0, 3}), "no image or video of the front", 0};
  for (const char* attribute : kFronts) {
    const ClipFile* file = Find(attribute);
    if (file == nullptr) continue;
    picture.title = attribute;
    absl::StatusOr<HostTensor> image = ReadFront(attribute, *file, frame);
    picture.reason = image.ok() ? "" : InFewWords(image.status());
    if (image.ok()) picture.pixels = *std::move(image);
    break;
  }
  return picture;
}

ClipPicture ClipPictures::Depth(int64_t frame) const {
  ClipPicture picture{"depth", HostTensor(DType::kUInt8, {0, 0, 3}), "no depth", 0};
  for (const char* attribute : kDepths) {
    if (Find(attribute) == nullptr) continue;
    picture.title = attribute;
    ClipArchive archive(tree_.root, 1, limits_);
    // The member is named after the attribute without the camera: voxel_depth_100.front.png.
    const std::string kind(attribute, std::string(attribute).find("_480p"));
    const auto read = [&]() -> absl::StatusOr<HostTensor> {
      ASSIGN_OR_RETURN(const MemberBytes member, archive.ReadFrame(attribute, clip_, frame, kind + ".front.png"));
      ASSIGN_OR_RETURN(const HostTensor depth, ParsePng(member.bytes, member.what, ImageLimitsFrom(limits_)));
      if (depth.dtype() == DType::kUInt16 && depth.shape().size() == 2) return ColourDepth(depth);
      return DataError(member.what + ": depth is uint16[H,W], this is " + depth.Describe());
    };
    absl::StatusOr<HostTensor> image = read();
    picture.reason = image.ok() ? "" : InFewWords(image.status());
    if (image.ok()) {
      picture.pixels = *std::move(image);
      picture.metres = kDepthPictureMetres;
    }
    break;
  }
  return picture;
}

absl::Status ClipPictures::LoadCloud() const {
  if (cloud_.has_value()) return absl::OkStatus();
  std::string attribute;
  for (const char* name : kClouds) {
    if (attribute.empty() && Find(name) != nullptr) attribute = name;
  }
  if (attribute.empty()) return DataError("no point cloud");
  ClipArchive archive(tree_.root, 1, limits_);
  ASSIGN_OR_RETURN(const MemberBytes member, archive.Read(attribute, clip_, "pcd.vs01.pth"));
  ASSIGN_OR_RETURN(cloud_, ReadCloud(member.bytes, member.what, TorchLimitsFrom(limits_)));
  return absl::OkStatus();
}

absl::StatusOr<HostTensor> ClipPictures::DrawBirdsEye(int64_t frame) const {
  if (Find("pose") == nullptr) return DataError("no pose");
  RETURN_IF_ERROR(LoadCloud());
  ClipArchive archive(tree_.root, 4, limits_);
  ASSIGN_OR_RETURN(const Matrix4 camera_to_world, ReadPose(archive, clip_, frame, "front"));
  const Matrix4 world_to_camera = InverseTransform(OpenCvToFlu(camera_to_world));
  BirdsEyeCanvas canvas(kWidth, kHeight, kScale, kGround);
  const Matrix4 cloud_to_camera = Multiply(world_to_camera, cloud_->to_world);
  ForEachRow(cloud_->points, [&](int64_t i, const Vector3& point) {
    const Vector3 p = Apply(cloud_to_camera, point);
    canvas.Point(p[0] + kBehind, p[1] + kAside, p[2], kSemanticClasses[cloud_->classes[static_cast<size_t>(i)]].colour);
  });
  for (int round = 0; round < kHoleRounds; ++round) canvas.FillHoles();
  HostTensor picture = canvas.Picture();
  cv::Mat drawn = MatOf(picture);
  for (const char* attribute : {"static_object_info", "dynamic_object_info"}) {
    if (Find(attribute) == nullptr) continue;
    ASSIGN_OR_RETURN(const MemberBytes member,
                     archive.ReadFrame(attribute, clip_, frame, absl::StrCat(attribute, ".json")));
    ASSIGN_OR_RETURN(const SceneObjects objects, ParseSceneObjects(member.bytes, member.what));
    for (const auto& [id, object] : objects) DrawObject(object, world_to_camera, drawn);
  }
  const std::vector<cv::Point> ego = {PixelOf({2.2, 0, 0}), PixelOf({-2.2, 1.4, 0}), PixelOf({-2.2, -1.4, 0})};
  cv::fillConvexPoly(drawn, ego, ScalarOf(kEgo), cv::LINE_AA, kShift);
  constexpr int kRulerMetres = 20, kRulerEnd = kWidth - 24, kRulerHeight = kHeight - 20;
  constexpr int kRulerBegin = kRulerEnd - static_cast<int>(kRulerMetres * kScale);
  const cv::Scalar white(236, 238, 242);
  cv::line(drawn, {kRulerBegin, kRulerHeight}, {kRulerEnd, kRulerHeight}, white, 3);
  cv::putText(drawn, absl::StrCat(kRulerMetres, " m"), {kRulerBegin, kRulerHeight - 10}, cv::FONT_HERSHEY_SIMPLEX, 0.75,
              white, 1, cv::LINE_AA);
  return picture;
}

ClipPicture ClipPictures::BirdsEye(int64_t frame) const {
  ClipPicture picture{"bird's eye", HostTensor(DType::kUInt8, {0, 0, 3}), "", 0};
  for (auto name = kClouds.rbegin(); name != kClouds.rend(); ++name) {
    if (Find(*name) != nullptr) picture.title = *name;
  }
  absl::StatusOr<HostTensor> drawn = DrawBirdsEye(frame);
  if (drawn.ok()) {
    picture.pixels = *std::move(drawn);
  } else {
    picture.reason = InFewWords(drawn.status());
  }
  return picture;
}

}  // namespace cubist
