#include "data_process/scenes/camera_images.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status.h"
#include "configs/scene_attributes.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/png.h"
#include "data_process/scenes/cameras.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {

// One frame of one camera.
struct CameraImageReader::Picture {
  HostTensor image;   // uint8 [h,w,3]
  HostTensor is_sky;  // bool [h,w], or [0]
  HostTensor depth;   // uint16 [h,w], or [0]
  Matrix4 camera_to_world;
  Intrinsics intrinsics;  // at the size they were measured at
  int64_t rows() const { return image.shape()[0]; }
  int64_t columns() const { return image.shape()[1]; }
};

namespace {

absl::Status CheckSize(const HostTensor& found, const HostTensor& image, const std::string& what) {
  if (found.shape().size() == 2 && found.shape()[0] == image.shape()[0] && found.shape()[1] == image.shape()[1]) {
    return absl::OkStatus();
  }
  return DataError(absl::StrCat(what, ": it must be ", image.shape()[0], " x ", image.shape()[1],
                                " pixels high and wide as its image is, found ", found.Describe()));
}

// bool [h,w]: what is not 0 is sky, in 1-bit and in 8-bit masks.
absl::StatusOr<HostTensor> SkyOf(const HostTensor& mask, const HostTensor& image, const std::string& what) {
  RETURN_IF_ERROR(CheckSize(mask, image, what));
  if (mask.dtype() == DType::kBool) return mask;
  if (mask.dtype() != DType::kUInt8) {
    return DataError(what + ": a sky mask must be bool or uint8, found " + mask.Describe());
  }
  HostTensor sky(DType::kBool, mask.shape());
  std::transform(mask.data<uint8_t>(), mask.data<uint8_t>() + mask.size(), sky.data<bool>(),
                 [](uint8_t value) { return value != 0; });
  return sky;
}

// Row by row from `source`, [h,w,...] of the same row length, to image i of `target`, [n,H,W,...]; what is below is 0.
void CopyPadded(const HostTensor& source, int64_t i, HostTensor& target) {
  const size_t image_bytes = target.byte_size() / static_cast<size_t>(target.shape()[0]);
  std::byte* out = target.bytes() + static_cast<size_t>(i) * image_bytes;
  std::memcpy(out, source.bytes(), source.byte_size());
  std::memset(out + source.byte_size(), 0, image_bytes - source.byte_size());
}

}  // namespace

std::vector<int64_t> DrawImages(uint32_t seed, uint64_t draw, int64_t total, int64_t count) {
  // The first `count` steps of a shuffle (Fisher and Yates; Durstenfeld, 1964).
  std::vector<int64_t> numbers(static_cast<size_t>(total));
  std::iota(numbers.begin(), numbers.end(), 0);
  const PhiloxKey key(seed, RandomPurpose::kSupervisionImages);
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t left = static_cast<uint64_t>(total - i);
    std::swap(numbers[static_cast<size_t>(i)],
              numbers[static_cast<size_t>(i) + PhiloxInteger(key, draw, static_cast<uint64_t>(i), left)]);
  }
  numbers.resize(static_cast<size_t>(count));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::StatusOr<CameraImageReader> CameraImageReader::Create(const Data& data, uint32_t seed) {
  CameraImageReader reader;
  if (!HasAttributeOfKind(data, kImageKind)) return reader;
  reader.seed_ = seed;
  reader.input_offsets_.assign(data.input_frame_offsets().begin(), data.input_frame_offsets().end());
  reader.supervision_offsets_.assign(data.supervision_frame_offsets().begin(), data.supervision_frame_offsets().end());
  reader.input_views_.assign(data.input_views().begin(), data.input_views().end());
  reader.supervision_views_.assign(data.supervision_views().begin(), data.supervision_views().end());

  if (std::count(data.attributes().begin(), data.attributes().end(), "intrinsic") == 0) {
    return ConfigError("data.attributes names images and lacks 'intrinsic', which says how their cameras see");
  }
  std::set<int> views(reader.input_views_.begin(), reader.input_views_.end());
  views.insert(reader.supervision_views_.begin(), reader.supervision_views_.end());
  if (views.empty()) return ConfigError("data.attributes names images; data.input_views must say of which cameras");
  for (const int number : views) {
    const CameraView view = static_cast<CameraView>(number);
    ViewAttributes attributes{ViewName(view), AttributeOfView(data, kImageKind, view),
                              AttributeOfView(data, kSkyMaskKind, view), AttributeOfView(data, kVoxelDepthKind, view)};
    const auto lacks = [&](const char* kind) {
      return ConfigError(absl::StrCat("data.attributes lacks '", kind, "_..._", attributes.name,
                                      "' for the camera that data.input_views or supervision_views names"));
    };
    if (attributes.image.empty()) return lacks(kImageKind);
    if (attributes.sky_mask.empty() && HasAttributeOfKind(data, kSkyMaskKind)) return lacks(kSkyMaskKind);
    if (attributes.depth.empty() && HasAttributeOfKind(data, kVoxelDepthKind)) return lacks(kVoxelDepthKind);
    reader.views_[number] = std::move(attributes);
  }
  const int64_t total = static_cast<int64_t>(reader.supervision_offsets_.size() * reader.supervision_views_.size());
  reader.supervision_count_ = data.supervision_images_per_sample() > 0 ? data.supervision_images_per_sample() : total;
  if (reader.supervision_count_ > total) {
    return ConfigError(absl::StrCat("data.supervision_images_per_sample is ", reader.supervision_count_, ", but ",
                                    reader.supervision_offsets_.size(), " frames of ", reader.supervision_views_.size(),
                                    " cameras are ", total, " images"));
  }
  return reader;
}

std::vector<CameraImageReader::FrameAndView> CameraImageReader::Wanted(const std::vector<int64_t>& offsets,
                                                                       const std::vector<int>& views,
                                                                       int64_t start_frame) {
  std::vector<FrameAndView> wanted;
  for (const int64_t offset : offsets) {
    for (const int view : views) wanted.emplace_back(start_frame + offset, view);
  }
  return wanted;
}

absl::StatusOr<CameraImageReader::Picture> CameraImageReader::ReadPicture(ClipArchive& archive, const std::string& clip,
                                                                          const FrameAndView& which,
                                                                          int64_t columns) const {
  const auto [frame, number] = which;
  const ViewAttributes& view = views_.at(number);
  const ImageLimits limits = ImageLimitsFrom(archive.limits());
  Picture picture;
  ASSIGN_OR_RETURN(
      picture.image,
      UseMember(archive.ReadFrame(view.image, clip, frame, absl::StrCat("image.", view.name, ".jpg")),
                [&](const MemberBytes& member) -> absl::StatusOr<HostTensor> {
                  ASSIGN_OR_RETURN(HostTensor image, ParseJpeg(member.bytes, member.what, limits));
                  if (image.shape().size() != 3) {
                    return DataError(member.what + ": an image must have three colours, found " + image.Describe());
                  }
                  if (columns == 0 || image.shape()[1] == columns) return image;
                  return DataError(absl::StrCat(member.what, ": the image is ", image.shape()[1],
                                                " pixels wide, others of the sample are ", columns));
                }));
  if (!view.sky_mask.empty()) {
    ASSIGN_OR_RETURN(
        picture.is_sky,
        UseMember(archive.ReadFrame(view.sky_mask, clip, frame, absl::StrCat("skymask.", view.name, ".png")),
                  [&](const MemberBytes& member) -> absl::StatusOr<HostTensor> {
                    ASSIGN_OR_RETURN(const HostTensor mask, ParsePng(member.bytes, member.what, limits));
                    return SkyOf(mask, picture.image, member.what);
                  }));
  }
  if (!view.depth.empty()) {
    ASSIGN_OR_RETURN(
        picture.depth,
        UseMember(archive.ReadFrame(view.depth, clip, frame, absl::StrCat("voxel_depth_100.", view.name, ".png")),
                  [&](const MemberBytes& member) -> absl::StatusOr<HostTensor> {
                    ASSIGN_OR_RETURN(HostTensor depth, ParsePng(member.bytes, member.what, limits));
                    RETURN_IF_ERROR(CheckSize(depth, picture.image, member.what));
                    if (depth.dtype() == DType::kUInt16) return depth;
                    return DataError(member.what + ": depth must be uint16, found " + depth.Describe());
                  }));
  }
  ASSIGN_OR_RETURN(picture.camera_to_world, ReadPose(archive, clip, frame, view.name));
  ASSIGN_OR_RETURN(picture.intrinsics, ReadIntrinsics(archive, clip, view.name));
  return picture;
}

CameraImages CameraImageReader::Stack(const std::vector<FrameAndView>& wanted,
                                      const std::map<FrameAndView, Picture>& pictures, const Matrix4& world_to_grid) {
  int64_t rows = 0, columns = 0;
  for (const auto& [which, picture] : pictures) {
    rows = std::max(rows, picture.rows());
    columns = picture.columns();
  }
  const int64_t count = static_cast<int64_t>(wanted.size());
  const auto counted = [&](bool there) { return there && count > 0 ? count : 0; };
  const bool has_sky = count > 0 && pictures.at(wanted[0]).is_sky.size() > 0;
  const bool has_depth = count > 0 && pictures.at(wanted[0]).depth.size() > 0;
  CameraImages set;
  set.frames = HostTensor(DType::kInt64, {count});
  set.views = HostTensor(DType::kInt64, {count});
  set.images = HostTensor(DType::kUInt8, {count, rows, columns, 3});
  set.is_sky = HostTensor(DType::kBool, {counted(has_sky), rows, columns});
  set.depth = HostTensor(DType::kUInt16, {counted(has_depth), rows, columns});
  set.picture_rows = HostTensor(DType::kInt64, {count});
  set.camera_to_grid = HostTensor(DType::kFloat64, {count, 4, 4});
  set.intrinsics = HostTensor(DType::kFloat64, {count, 6});
  for (int64_t i = 0; i < count; ++i) {
    const FrameAndView& which = wanted[static_cast<size_t>(i)];
    const Picture& picture = pictures.at(which);
    set.frames.data<int64_t>()[i] = which.first;
    set.views.data<int64_t>()[i] = which.second;
    set.picture_rows.data<int64_t>()[i] = picture.rows();
    CopyPadded(picture.image, i, set.images);
    if (has_sky) CopyPadded(picture.is_sky, i, set.is_sky);
    if (has_depth) CopyPadded(picture.depth, i, set.depth);
    const Matrix4 camera_to_grid = Multiply(world_to_grid, picture.camera_to_world);
    std::copy(camera_to_grid.begin(), camera_to_grid.end(), set.camera_to_grid.data<double>() + 16 * i);
    const Intrinsics scaled = ScaleIntrinsics(picture.intrinsics, picture.columns(), picture.rows());
    std::copy(scaled.begin(), scaled.end(), set.intrinsics.data<double>() + 6 * i);
    // The height with its padding, as in the reference.
    set.intrinsics.data<double>()[6 * i + 5] = static_cast<double>(rows);
  }
  return set;
}

absl::StatusOr<CameraImageReader::Images> CameraImageReader::Read(ClipArchive& archive, const std::string& clip,
                                                                  int64_t start_frame, uint64_t draw,
                                                                  const Matrix4& world_to_grid) const {
  const std::vector<FrameAndView> input = Wanted(input_offsets_, input_views_, start_frame);
  const std::vector<FrameAndView> all = Wanted(supervision_offsets_, supervision_views_, start_frame);
  std::vector<FrameAndView> supervision;
  for (const int64_t i : DrawImages(seed_, draw, static_cast<int64_t>(all.size()), supervision_count_)) {
    supervision.push_back(all[static_cast<size_t>(i)]);
  }
  std::vector<FrameAndView> both = input;
  both.insert(both.end(), supervision.begin(), supervision.end());
  std::map<FrameAndView, Picture> pictures;
  for (const FrameAndView& which : both) {
    if (pictures.count(which) > 0) continue;
    const int64_t columns = pictures.empty() ? 0 : pictures.begin()->second.columns();
    ASSIGN_OR_RETURN(Picture picture, ReadPicture(archive, clip, which, columns));
    pictures.emplace(which, std::move(picture));
  }
  return Images{Stack(input, pictures, world_to_grid), Stack(supervision, pictures, world_to_grid)};
}

}  // namespace cubist
