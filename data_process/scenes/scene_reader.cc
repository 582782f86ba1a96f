#include "data_process/scenes/scene_reader.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/data_place.h"
#include "base/philox.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/scenes/camera_images.h"
#include "data_process/scenes/cameras.h"
#include "data_process/scenes/car_mesh.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/cloud.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/read_limits.h"
#include "data_process/scenes/scene_objects.h"
#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

constexpr char kPose[] = "pose";
constexpr char kStaticObjects[] = "static_object_info";
constexpr char kDynamicObjects[] = "dynamic_object_info";
constexpr char kDynamicPoints[] = "dynamic_object_points_canonical";
constexpr char kCloudPrefix[] = "pc_";
// Some hundred bytes a member: the indices of 4096 tars of 200 members take about 100 MB.
constexpr size_t kMaxIndices = 4096;

// Which of data.attributes plays which part; empty where none does.
struct Attributes {
  std::string cloud;
  bool static_objects = false;
  bool dynamic_objects = false;
  bool dynamic_points = false;
  std::map<std::string, std::string> maps;  // map type -> attribute
};

bool StartsWith(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

absl::StatusOr<Attributes> ResolveAttributes(const Data& data) {
  Attributes attributes;
  const auto has = [&](const std::string& name) {
    return std::find(data.attributes().begin(), data.attributes().end(), name) != data.attributes().end();
  };
  if (!has(kPose)) return ConfigError("data.attributes lacks 'pose': it says where the crop box lies");
  for (const std::string& name : data.attributes()) {
    if (!StartsWith(name, kCloudPrefix)) continue;
    if (!attributes.cloud.empty()) {
      return ConfigError("data.attributes names two point clouds, '" + attributes.cloud + "' and '" + name +
                         "'; keep one");
    }
    attributes.cloud = name;
  }
  if (attributes.cloud.empty()) {
    return ConfigError(
        "data.attributes names no point cloud: add 'pc_voxelsize_01' or 'pc_with_map_without_car_voxelsize_01'");
  }
  attributes.static_objects = has(kStaticObjects);
  attributes.dynamic_objects = has(kDynamicObjects);
  attributes.dynamic_points = has(kDynamicPoints) && !data.replace_cars_with_cad();
  if (data.replace_cars_with_cad() && !(attributes.static_objects && attributes.dynamic_objects)) {
    return ConfigError(
        "data.replace_cars_with_cad needs 'static_object_info' and 'dynamic_object_info' in data.attributes");
  }
  if (attributes.dynamic_points && !attributes.dynamic_objects) {
    return ConfigError("'dynamic_object_points_canonical' needs 'dynamic_object_info' beside it in data.attributes");
  }
  for (const std::string& type : data.map_types()) {
    const std::string prefix = "3d_" + type + "_voxelsize";
    for (const std::string& name : data.attributes()) {
      if (StartsWith(name, prefix)) attributes.maps[type] = name;
    }
    if (attributes.maps.count(type) == 0) {
      return ConfigError("data.map_types names '" + type + "', but data.attributes has no '" + prefix + "_...'");
    }
  }
  return attributes;
}

absl::StatusOr<Vector3> VectorField(const google::protobuf::RepeatedField<double>& field, const std::string& name) {
  if (field.size() != 3) return ConfigError(name + " must have 3 values, it has " + std::to_string(field.size()));
  return Vector3{field[0], field[1], field[2]};
}

// Points as they are gathered for a sample.
struct SamplePoints {
  std::vector<float> points;  // 3 a point
  std::vector<uint8_t> semantics;

  void Add(const std::array<float, 3>& point, uint8_t semantic_class) {
    points.insert(points.end(), point.begin(), point.end());
    semantics.push_back(semantic_class);
  }
};

class FolderSceneReader : public SceneReader {
 public:
  FolderSceneReader(const Data& data, uint32_t seed, Attributes attributes, const Vector3& crop_min,
                    const Vector3& crop_max, const Vector3& jitter_range, std::optional<TriangleMesh> car,
                    CameraImageReader images)
      : seed_(seed),
        attributes_(std::move(attributes)),
        crop_centre_(CropCentre(crop_min, crop_max)),
        half_extent_(CropHalfExtent(crop_min, crop_max)),
        jitter_range_(jitter_range),
        first_input_offset_(data.input_frame_offsets_size() > 0 ? data.input_frame_offsets(0) : 0),
        car_(std::move(car)),
        images_(std::move(images)),
        archive_(data.data_root(), kMaxIndices, data.limits()) {}

  absl::StatusOr<SceneSample> Read(const std::string& clip, int64_t start_frame, uint64_t draw,
                                   bool training) const override {
    const int64_t frame = start_frame + first_input_offset_;
    ASSIGN_OR_RETURN(const Matrix4 camera_to_world, ReadPose(archive_, clip, frame, "front"));
    const Matrix4 grid_to_world = GridToWorld(camera_to_world, crop_centre_, WorldShift(draw, training));
    const Matrix4 world_to_grid = InverseTransform(grid_to_world);

    ASSIGN_OR_RETURN(const SceneObjects static_objects,
                     ReadObjects(attributes_.static_objects, kStaticObjects, clip, frame));
    ASSIGN_OR_RETURN(const SceneObjects dynamic_objects,
                     ReadObjects(attributes_.dynamic_objects, kDynamicObjects, clip, frame));
    const SceneObjects objects = MergeSceneObjects(static_objects, dynamic_objects);

    SceneSample sample;
    sample.clip = clip;
    sample.start_frame = start_frame;
    sample.draw = draw;
    sample.grid_to_world = ToTensor(grid_to_world);
    sample.half_extent = ToTensor(half_extent_);

    SamplePoints cloud;
    DataPlace cloud_place;
    RETURN_IF_ERROR(UseMember(archive_.Read(attributes_.cloud, clip, "pcd.vs01.pth"), [&](const MemberBytes& member) {
      cloud_place = member.place;
      return AddStaticPoints(member, world_to_grid, &cloud);
    }));
    if (attributes_.dynamic_points && !dynamic_objects.empty()) {
      RETURN_IF_ERROR(UseMember(archive_.Read(kDynamicPoints, clip, std::string(kDynamicPoints) + ".npz"),
                                [&](const MemberBytes& member) {
                                  return AddDynamicPoints(member, frame, dynamic_objects, world_to_grid, &cloud);
                                }));
    }
    if (cloud.semantics.empty()) {
      return WithDataPlace(
          DataError("clip '" + clip + "', frame " + std::to_string(frame) + ": no point of '" + attributes_.cloud +
                    "' lies inside the crop box; see data.crop_min and crop_max, or leave the clip "
                    "out"),
          cloud_place);
    }
    const int64_t count = static_cast<int64_t>(cloud.semantics.size());
    sample.points = HostTensor::Of(cloud.points, {count, 3});
    sample.semantics = HostTensor::Of(cloud.semantics, {count});

    TriangleMesh meshes{HostTensor(DType::kFloat32, {0, 3}), HostTensor(DType::kInt32, {0, 3})};
    if (car_) meshes = PlaceCarMeshes(objects, *car_, world_to_grid, half_extent_);
    sample.mesh_vertices = meshes.vertices;
    sample.mesh_faces = meshes.faces;
    sample.boxes = CarBoxes(objects, world_to_grid, half_extent_);
    for (const auto& [type, attribute] : attributes_.maps) {
      ASSIGN_OR_RETURN(sample.maps[type],
                       UseMember(archive_.Read(attribute, clip, type + ".npy"),
                                 [&](const MemberBytes& member) { return MapLayer(member, world_to_grid); }));
    }
    if (images_.reads_images()) {
      ASSIGN_OR_RETURN(CameraImageReader::Images images,
                       images_.Read(archive_, clip, start_frame, draw, world_to_grid));
      sample.input = std::move(images.input);
      sample.supervision = std::move(images.supervision);
    }
    return sample;
  }

 private:
  // Uniform in plus and minus the range on each of the world's axes; zero outside of training.
  Vector3 WorldShift(uint64_t draw, bool training) const {
    Vector3 shift = {0, 0, 0};
    if (!training) return shift;
    const PhiloxKey key(seed_, RandomPurpose::kCropJitter);
    for (int axis = 0; axis < 3; ++axis) {
      shift[axis] = (2 * PhiloxUniform(key, draw, axis) - 1) * jitter_range_[axis];
    }
    return shift;
  }

  absl::StatusOr<SceneObjects> ReadObjects(bool wanted, const std::string& attribute, const std::string& clip,
                                           int64_t frame) const {
    if (!wanted) return SceneObjects();
    return UseMember(archive_.ReadFrame(attribute, clip, frame, attribute + ".json"),
                     [](const MemberBytes& member) { return ParseSceneObjects(member.bytes, member.what); });
  }

  // The clip's cloud, cropped, without vehicles where a mesh replaces them.
  absl::Status AddStaticPoints(const MemberBytes& member, const Matrix4& world_to_grid, SamplePoints* cloud) const {
    ASSIGN_OR_RETURN(const PointCloud all, ReadCloud(member.bytes, member.what, TorchLimitsFrom(archive_.limits())));
    // One transform from cloud to grid: no point ever has world coordinates.
    const Matrix4 cloud_to_grid = Multiply(world_to_grid, all.to_world);
    ForEachRow(all.points, [&](int64_t i, const Vector3& p) {
      const uint8_t class_id = all.classes[static_cast<size_t>(i)];
      if (car_ && IsVehicle(class_id)) return;
      const std::array<float, 3> point = ApplyToFloat(cloud_to_grid, p);
      if (StrictlyInside(point, half_extent_)) cloud->Add(point, class_id);
    });
    return absl::OkStatus();
  }

  // The points of each dynamic object of the frame, where it stands then, cropped.
  absl::Status AddDynamicPoints(const MemberBytes& member, int64_t frame, const SceneObjects& objects,
                                const Matrix4& world_to_grid, SamplePoints* cloud) const {
    ASSIGN_OR_RETURN(const auto arrays, ParseNpz(member.bytes, member.what, NpzLimitsFrom(archive_.limits())));
    for (const auto& [id, object] : objects) {
      const std::string what = member.what + ", for an object of frame " + std::to_string(frame);
      ASSIGN_OR_RETURN(const ObjectPoints found, ObjectPointsFrom(arrays, id, what));
      if (found.points.size() == 0) continue;
      const Matrix4 object_to_grid = Multiply(world_to_grid, object.object_to_world);
      ForEachRow(found.points, [&](int64_t, const Vector3& p) {
        const std::array<float, 3> point = ApplyToFloat(object_to_grid, p);
        if (StrictlyInside(point, half_extent_)) cloud->Add(point, found.class_id);
      });
    }
    return absl::OkStatus();
  }

  absl::StatusOr<HostTensor> MapLayer(const MemberBytes& member, const Matrix4& world_to_grid) const {
    ASSIGN_OR_RETURN(const HostTensor array, ParseNpy(member.bytes, member.what, NpyLimitsFrom(archive_.limits())));
    ASSIGN_OR_RETURN(const HostTensor points, MapPointsFrom(array, member.what));
    HostTensor result(DType::kFloat32, {points.shape()[0], 3});
    float* out = result.data<float>();
    ForEachRow(points, [&](int64_t i, const Vector3& p) {
      const std::array<float, 3> point = ApplyToFloat(world_to_grid, p);
      std::copy(point.begin(), point.end(), out + i * 3);
    });
    return result;
  }

  const uint32_t seed_;
  const Attributes attributes_;
  const Vector3 crop_centre_;
  const Vector3 half_extent_;
  const Vector3 jitter_range_;  // zero when the crop is not shifted
  const int64_t first_input_offset_;
  const std::optional<TriangleMesh> car_;  // set when cars are replaced
  const CameraImageReader images_;
  mutable ClipArchive archive_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SceneReader>> SceneReader::Create(const Data& data, uint32_t seed) {
  ASSIGN_OR_RETURN(Attributes attributes, ResolveAttributes(data));
  ASSIGN_OR_RETURN(const Vector3 crop_min, VectorField(data.crop_min(), "data.crop_min"));
  ASSIGN_OR_RETURN(const Vector3 crop_max, VectorField(data.crop_max(), "data.crop_max"));
  for (int axis = 0; axis < 3; ++axis) {
    if (!(crop_min[axis] < crop_max[axis])) {
      return ConfigError("data.crop_min must lie below data.crop_max on every axis; on axis " + std::to_string(axis) +
                         " they are " + std::to_string(crop_min[axis]) + " and " + std::to_string(crop_max[axis]));
    }
  }
  Vector3 jitter_range = {0, 0, 0};
  if (data.crop_jitter()) {
    ASSIGN_OR_RETURN(jitter_range, VectorField(data.crop_jitter_range(), "data.crop_jitter_range"));
  }
  std::optional<TriangleMesh> car;
  if (data.replace_cars_with_cad()) {
    ASSIGN_OR_RETURN(car, LoadCarMesh(data));
  }
  ASSIGN_OR_RETURN(CameraImageReader images, CameraImageReader::Create(data, seed));
  return std::make_unique<FolderSceneReader>(data, seed, std::move(attributes), crop_min, crop_max, jitter_range,
                                             std::move(car), std::move(images));
}

}  // namespace cubist
