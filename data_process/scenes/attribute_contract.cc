#include "data_process/scenes/attribute_contract.h"

#include <fnmatch.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/scenes/cloud.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/intrinsics.h"
#include "data_process/scenes/scene_objects.h"

namespace cubist {
namespace {

// What a check is given.
struct Member {
  std::string_view bytes;
  const DecodedFile& file;
  const std::string& what;

  const HostTensor& array() const { return file.arrays.at(""); }
};

absl::Status Image(const Member& member) {
  const HostTensor& image = member.array();
  if (image.dtype() == DType::kUInt8 && image.shape().size() == 3 && image.shape()[2] == 3) return absl::OkStatus();
  return DataError(absl::StrCat(member.what, ": an image must be uint8[H,W,3], found ", image.Describe()));
}

absl::Status SkyMask(const Member& member) {
  const HostTensor& mask = member.array();
  const bool is_mask = mask.dtype() == DType::kBool || mask.dtype() == DType::kUInt8;
  if (is_mask && mask.shape().size() == 2) return absl::OkStatus();
  return DataError(absl::StrCat(member.what, ": a sky mask must be bool[H,W] or uint8[H,W], found ", mask.Describe()));
}

absl::Status Grey16(const Member& member) {
  const HostTensor& picture = member.array();
  if (picture.dtype() == DType::kUInt16 && picture.shape().size() == 2) return absl::OkStatus();
  return DataError(absl::StrCat(member.what, ": it must be uint16[H,W], found ", picture.Describe()));
}

absl::Status ClassPicture(const Member& member) {
  const HostTensor& picture = member.array();
  if (picture.dtype() == DType::kUInt8 && picture.shape().size() == 2) {
    return ClassIdsFrom(picture, member.what).status();
  }
  return DataError(absl::StrCat(member.what, ": it must be uint8[H,W], found ", picture.Describe()));
}

absl::Status PointsOfObjects(const Member& member) {
  for (const auto& [name, array] : member.file.arrays) {
    if (!absl::EndsWith(name, "_xyz")) continue;
    RETURN_IF_ERROR(ObjectPointsFrom(member.file.arrays, name.substr(0, name.size() - 4), member.what).status());
  }
  return absl::OkStatus();
}

absl::Status Pose(const Member& member) { return PoseFrom(member.array(), member.what).status(); }
absl::Status CameraIntrinsics(const Member& member) { return IntrinsicsFrom(member.array(), member.what).status(); }
absl::Status WholeCloud(const Member& member) { return CloudFrom(member.file.arrays, member.what).status(); }
absl::Status MapLayer(const Member& member) { return MapPointsFrom(member.array(), member.what).status(); }
absl::Status Objects(const Member& member) { return ParseSceneObjects(member.bytes, member.what).status(); }

struct Contract {
  const char* attributes;  // a pattern of names
  const char* kind;        // Payload::kind of the members
  absl::Status (*check)(const Member&);
};

constexpr Contract kContracts[] = {
    {"pose", "npy", Pose},
    {"intrinsic", "npy", CameraIntrinsics},
    {"image_*", "jpg", Image},
    {"skymask_*", "png", SkyMask},
    {"voxel_depth_100_*", "png", Grey16},
    {"lidar_depth_100_*", "png", Grey16},
    {"instance_buffer_*", "png", Grey16},
    {"semantic_buffer_*", "png", ClassPicture},
    {"pc_*", "pth", WholeCloud},
    {"3d_*_voxelsize*", "npy", MapLayer},
    {"static_object_info", "json", Objects},
    {"dynamic_object_info", "json", Objects},
    {"dynamic_object_points_canonical", "npz", PointsOfObjects},
};

}  // namespace

absl::Status CheckContract(const std::string& attribute, std::string_view bytes, const DecodedFile& file,
                           const std::string& what) {
  for (const Contract& contract : kContracts) {
    if (fnmatch(contract.attributes, attribute.c_str(), 0) != 0) continue;
    if (file.kind == contract.kind) return contract.check({bytes, file, what});
    return DataError(absl::StrCat(what, ": members of '", attribute, "' must end in .", contract.kind));
  }
  return absl::OkStatus();
}

}  // namespace cubist
