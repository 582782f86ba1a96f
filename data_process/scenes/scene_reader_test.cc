#include "data_process/scenes/scene_reader.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>

#include "Eigen/Dense"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/scenes/car_mesh.h"
#include "data_process/scenes/prefetcher.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using Eigen::Matrix4d;
using Eigen::Vector3d;
using Eigen::Vector4d;

constexpr char kCloud[] = "pc_with_map_without_car_voxelsize_01";
constexpr int kFrames = 100;
constexpr double kYaw = 30 * 3.14159265358979323846 / 180, kPitch = 5 * 3.14159265358979323846 / 180;
const Vector3d kWorldOrigin(20000, -15000, 30);

// The front camera of frame k, with axes forward, left, up as columns: 0.5 m further along the road each.
Matrix4d CameraFlu(int64_t frame) {
  Matrix4d pose = Matrix4d::Identity();
  const Vector3d forward(std::cos(kYaw) * std::cos(kPitch), std::sin(kYaw) * std::cos(kPitch), std::sin(kPitch));
  const Vector3d left(-std::sin(kYaw), std::cos(kYaw), 0);
  pose.block<3, 1>(0, 0) = forward;
  pose.block<3, 1>(0, 1) = left;
  pose.block<3, 1>(0, 2) = forward.cross(left);
  pose.block<3, 1>(0, 3) =
      kWorldOrigin + 0.5 * static_cast<double>(frame) * Vector3d(std::cos(kYaw), std::sin(kYaw), 0) + Vector3d(0, 0, 2);
  return pose;
}

// Where the middle of the VAE's box lies: 6.4 m above the camera.
Matrix4d GridPoseOf(int64_t frame) {
  Matrix4d pose = CameraFlu(frame);
  pose.block<3, 1>(0, 3) += 6.4 * pose.block<3, 1>(0, 2);
  return pose;
}

Vector3d InWorld(int64_t frame, const Vector3d& in_grid) {
  return (GridPoseOf(frame) * Vector4d(in_grid[0], in_grid[1], in_grid[2], 1)).head<3>();
}

// The first vehicle frame, as the file holds it: float32.
Eigen::Matrix4f CloudPose() {
  Matrix4d pose = Matrix4d::Identity();
  pose.block<3, 3>(0, 0) = Eigen::AngleAxisd(kYaw, Vector3d::UnitZ()).toRotationMatrix();
  pose.block<3, 1>(0, 3) = kWorldOrigin;
  return pose.cast<float>();
}

HostTensor TensorOf(const Eigen::Matrix4f& matrix) {
  std::vector<float> values;
  for (int i = 0; i < 16; ++i) values.push_back(matrix(i / 4, i % 4));
  return HostTensor::Of(values, {4, 4});
}

std::string PoseBytes(const Matrix4d& flu) {
  Matrix4d opencv = flu;
  opencv.col(0) = -flu.col(1);
  opencv.col(1) = -flu.col(2);
  opencv.col(2) = flu.col(0);
  std::vector<double> values;
  for (int i = 0; i < 16; ++i) values.push_back(opencv(i / 4, i % 4));
  return FormatNpy(HostTensor::Of(values, {4, 4}));
}

struct Point {
  Vector3d in_grid;
  int semantic_class;
};

// A cloud file whose points have the given places in the grid frame of `frame`.
template <typename Integer>
std::string CloudOf(int64_t frame, const std::vector<Point>& points) {
  const Eigen::Matrix4d from_world = CloudPose().cast<double>().inverse();
  std::vector<float> xyz;
  std::vector<Integer> classes;
  for (const Point& point : points) {
    const Vector3d world = InWorld(frame, point.in_grid);
    const Vector4d in_cloud = from_world * Vector4d(world[0], world[1], world[2], 1);
    for (int axis = 0; axis < 3; ++axis) xyz.push_back(static_cast<float>(in_cloud[axis]));
    classes.push_back(static_cast<Integer>(point.semantic_class));
  }
  const int64_t count = static_cast<int64_t>(points.size());
  return CloudBytes(HostTensor::Of(xyz, {count, 3}), HostTensor::Of(classes, {count}), TensorOf(CloudPose()));
}

std::string ObjectAt(const std::string& id, const std::string& type, int64_t frame, const Vector3d& in_grid,
                     const std::vector<double>& lwh) {
  const Vector3d world = InWorld(frame, in_grid);
  return ObjectJson(id, type, {world[0], world[1], world[2]}, kYaw, lwh);
}

// Writes what the VAE's recipe reads, for one clip: all poses, the cloud, and objects of every frame.
void WriteClip(const std::string& root, const std::string& clip, const std::string& cloud,
               const std::string& static_objects, const std::string& dynamic_objects) {
  Members poses, statics, dynamics;
  for (int frame = 0; frame < kFrames; ++frame) {
    poses.emplace_back(FrameMember(clip, frame, "pose.front.npy"), PoseBytes(CameraFlu(frame)));
    statics.emplace_back(FrameMember(clip, frame, "static_object_info.json"), "{" + static_objects + "}");
    dynamics.emplace_back(FrameMember(clip, frame, "dynamic_object_info.json"), "{" + dynamic_objects + "}");
  }
  WriteTestTar(root, "pose", clip, poses);
  WriteTestTar(root, "static_object_info", clip, statics);
  WriteTestTar(root, "dynamic_object_info", clip, dynamics);
  WriteTestTar(root, kCloud, clip, {{clip + ".pcd.vs01.pth", cloud}});
}

std::unique_ptr<SceneReader> ReaderOf(const Data& data, uint32_t seed = 0) {
  auto reader = SceneReader::Create(data, seed);
  if (!reader.ok()) {
    ADD_FAILURE() << reader.status();
    return nullptr;
  }
  return *std::move(reader);
}

void ExpectDataError(const absl::Status& status, const std::vector<std::string>& parts) {
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos) << "no '" << part << "' in: " << status.message();
  }
}

void ExpectSame(const HostTensor& a, const HostTensor& b) {
  ASSERT_EQ(a.Describe(), b.Describe());
  if (a.byte_size() > 0) {
    EXPECT_EQ(std::memcmp(a.bytes(), b.bytes(), a.byte_size()), 0);
  }
}

TEST(SceneReader, PointsThatAreNotFiniteAreNamed) {
  const std::string root = NewTestFolder("not_finite");
  WriteClip(root, "clip", CloudOf<int64_t>(30, {{{1, 2, 0}, 14}, {{std::nan(""), 2, 0}, 14}}), "", "");
  ExpectDataError(ReaderOf(VoxelVaeData(root))->Read("clip", 30, 0, false).status(),
                  {"pcd.vs01.pth", "points: row 1", "not finite"});
}

TEST(SceneReader, GridFrameAndPointsFarFromTheWorldsOrigin) {
  const std::string root = NewTestFolder("reader_points");
  const std::vector<Point> inside = {
      {{0, 0, 0}, 18}, {{-25.5, 25.5, -12.7}, 17}, {{13.37, -7.5, 12.7}, 14}, {{25.5, -25.5, 0.1}, 22}};
  std::vector<Point> all = inside;
  all.insert(all.begin() + 1, {{25.7, 0, 0}, 18});
  all.push_back({{0, 0, -12.9}, 18});
  all.push_back({{3, -26, 1}, 18});
  WriteClip(root, "clip", CloudOf<int64_t>(40, all), "", "");
  const auto reader = ReaderOf(VoxelVaeData(root));
  const auto sample = reader->Read("clip", 40, 3, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->clip, "clip");
  EXPECT_EQ(sample->start_frame, 40);
  EXPECT_EQ(sample->draw, 3u);
  const Matrix4d grid = GridPoseOf(40);
  ASSERT_EQ(sample->grid_to_world.Describe(), HostTensor(DType::kFloat64, {4, 4}).Describe());
  for (int i = 0; i < 16; ++i) EXPECT_NEAR(sample->grid_to_world.data<double>()[i], grid(i / 4, i % 4), 1e-9);
  const double half[] = {25.6, 25.6, 12.8};
  for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(sample->half_extent.data<double>()[axis], half[axis], 1e-12);
  ASSERT_EQ(sample->points.shape(), (std::vector<int64_t>{static_cast<int64_t>(inside.size()), 3}));
  ASSERT_EQ(sample->semantics.dtype(), DType::kUInt8);
  for (size_t i = 0; i < inside.size(); ++i) {
    EXPECT_EQ(sample->semantics.data<uint8_t>()[i], inside[i].semantic_class);
    for (int axis = 0; axis < 3; ++axis) {
      // The file's float32 coordinates, up to 60 m, resolve 4e-6 m; float32 world coordinates would 2e-3 m.
      EXPECT_NEAR(sample->points.data<float>()[i * 3 + axis], inside[i].in_grid[axis], 1e-5);
    }
  }
  EXPECT_EQ(sample->boxes.shape(), (std::vector<int64_t>{0, 8, 3}));
  EXPECT_EQ(sample->mesh_vertices.shape(), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(sample->mesh_faces.shape(), (std::vector<int64_t>{0, 3}));
  EXPECT_TRUE(sample->maps.empty());
}

TEST(SceneReader, TheFirstInputOffsetChoosesTheFrame) {
  const std::string root = NewTestFolder("reader_offset");
  WriteClip(root, "clip", CloudOf<uint8_t>(50, {{{1, 2, 3}, 18}}), "", "");
  Data data = VoxelVaeData(root);
  data.set_input_frame_offsets(0, 10);
  const auto reader = ReaderOf(data);
  const auto sample = reader->Read("clip", 40, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_NEAR(sample->points.data<float>()[0], 1, 1e-5);
  EXPECT_NEAR(sample->grid_to_world.data<double>()[3], GridPoseOf(50)(0, 3), 1e-9);
}

// Camera axes are the world's and the cloud's, so that coordinates on the border stay exact.
TEST(SceneReader, CropsPointsOnTheBorder) {
  const std::string root = NewTestFolder("reader_border");
  const float x = 25.6f, below = std::nextafter(x, 0.0f);
  const std::vector<float> xyz = {x, 0, 6.5f, below, 0, 6.5f, -x, 0, 6.5f, 0, -below, 6.5f, 0, x, 6.5f};
  WriteClip(root, "clip",
            CloudBytes(HostTensor::Of(xyz, {5, 3}), HostTensor::Of(std::vector<int32_t>{1, 18, 18, 19, 20}, {5}),
                       TensorOf(Eigen::Matrix4f::Identity())),
            "", "");
  WriteTestTar(root, "pose", "clip", {{FrameMember("clip", 0, "pose.front.npy"), PoseBytes(Matrix4d::Identity())}});
  const auto sample = ReaderOf(VoxelVaeData(root))->Read("clip", 0, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  ASSERT_EQ(sample->points.shape()[0], 2);
  EXPECT_EQ(sample->points.data<float>()[0], below);
  EXPECT_EQ(sample->points.data<float>()[4], -below);
  EXPECT_EQ(sample->semantics.data<uint8_t>()[0], 18);
  EXPECT_EQ(sample->semantics.data<uint8_t>()[1], 19);
}

TEST(SceneReader, JitterIsAFunctionOfSeedAndDraw) {
  const std::string root = NewTestFolder("reader_jitter");
  WriteClip(root, "clip", CloudOf<uint8_t>(20, {{{0, 0, 0}, 18}}), "", "");
  const Data data = VoxelVaeData(root);
  const auto reader = ReaderOf(data, 5), again = ReaderOf(data, 5), other = ReaderOf(data, 6);
  const Vector3d centre = GridPoseOf(20).block<3, 1>(0, 3);
  const double range[] = {3.2, 3.2, 0.8};
  const auto shift_of = [&](const SceneReader& r, uint64_t draw, bool training) {
    const auto sample = r.Read("clip", 20, draw, training);
    EXPECT_TRUE(sample.ok()) << sample.status();
    const double* m = sample->grid_to_world.data<double>();
    return Vector3d(Vector3d(m[3], m[7], m[11]) - centre);
  };
  Vector3d low = Vector3d::Zero(), high = Vector3d::Zero();
  for (uint64_t draw = 200; draw-- > 0;) {
    const Vector3d shift = shift_of(*reader, draw, true);
    low = low.cwiseMin(shift);
    high = high.cwiseMax(shift);
  }
  for (int axis = 0; axis < 3; ++axis) {  // along the world's axes, the whole range and no more
    EXPECT_GE(low[axis], -range[axis] - 1e-9);
    EXPECT_LE(high[axis], range[axis] + 1e-9);
    EXPECT_LT(low[axis], -0.9 * range[axis]);
    EXPECT_GT(high[axis], 0.9 * range[axis]);
  }
  EXPECT_EQ(shift_of(*reader, 17, true), shift_of(*again, 17, true));
  EXPECT_GT((shift_of(*reader, 17, true) - shift_of(*other, 17, true)).norm(), 1e-3);
  EXPECT_GT((shift_of(*reader, 17, true) - shift_of(*reader, 18, true)).norm(), 1e-3);
  EXPECT_LT(shift_of(*reader, 17, false).norm(), 1e-9);
  // The grid moves, so the point at the old centre appears the other way, in turned axes.
  const auto sample = reader->Read("clip", 20, 17, true);
  const Vector3d expected = GridPoseOf(20).block<3, 3>(0, 0).transpose() * -shift_of(*reader, 17, true);
  for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(sample->points.data<float>()[axis], expected[axis], 1e-5);
}

TEST(SceneReader, PutsTheMeshWhereCarsLieWhollyInside) {
  const std::string root = NewTestFolder("reader_cars");
  const std::vector<Point> points = {{{0, 0, 0}, 18}, {{1, 0, 0}, 1}, {{2, 0, 0}, 2}, {{3, 0, 0}, 3},
                                     {{4, 0, 0}, 4},  {{5, 0, 0}, 5}, {{6, 0, 0}, 0}};
  const std::string statics = ObjectAt("s", "car", 30, {5, 5, -5}, {4, 2, 1.5}) + "," +
                              ObjectAt("both", "car", 30, {-5, 5, -5}, {4, 2, 1.5}) + "," +
                              ObjectAt("cut", "car", 30, {25, 0, -5}, {4, 2, 1.5}) + "," +
                              ObjectAt("sign", "sign", 30, {0, 3, -5}, {1, 1, 1});
  const std::string dynamics = ObjectAt("both", "car", 30, {-15, 5, -5}, {4, 2, 1.5}) + "," +
                               ObjectAt("d", "car", 30, {5, -5, -5}, {4.5, 2, 1.5}) + "," +
                               ObjectAt("rider", "cyclist", 30, {0, -3, -5}, {2, 1, 2});
  WriteClip(root, "clip", CloudOf<int64_t>(30, points), statics, dynamics);
  const auto sample = ReaderOf(VoxelVaeData(root))->Read("clip", 30, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  const std::vector<uint8_t> classes(sample->semantics.data<uint8_t>(),
                                     sample->semantics.data<uint8_t>() + sample->semantics.size());
  EXPECT_EQ(classes, (std::vector<uint8_t>{18, 5, 0}));  // vehicles of all four classes are gone
  const TriangleMesh car = MakeCarMesh();
  ASSERT_EQ(sample->mesh_vertices.shape()[0], 3 * car.vertices.shape()[0]);
  ASSERT_EQ(sample->mesh_faces.shape()[0], 3 * car.faces.shape()[0]);
  ASSERT_EQ(sample->boxes.shape(), (std::vector<int64_t>{3, 8, 3}));
  // In the order of ids: both (where the static one stands), d, s. The middle of each box is its place.
  const Vector3d places[] = {{-5, 5, -5}, {5, -5, -5}, {5, 5, -5}};
  for (int box = 0; box < 3; ++box) {
    for (int axis = 0; axis < 3; ++axis) {
      double mean = 0;
      for (int corner = 0; corner < 8; ++corner) mean += sample->boxes.view<float, 3>()(box, corner, axis) / 8;
      EXPECT_NEAR(mean, places[box][axis], 1e-5);
    }
    // The mesh fills the box: its first vertex lies where scaling, turning and moving put it.
    const double lwh[] = {box == 1 ? 4.5 : 4, 2, 1.5};
    Vector4d vertex(0, 0, 0, 1);
    for (int axis = 0; axis < 3; ++axis)
      vertex[axis] = car.vertices.data<float>()[axis] * lwh[axis] / kCarExtents[axis];
    Matrix4d object = Matrix4d::Identity();
    object.block<3, 3>(0, 0) = Eigen::AngleAxisd(kYaw, Vector3d::UnitZ()).toRotationMatrix();
    object.block<3, 1>(0, 3) = InWorld(30, places[box]);
    const Vector4d expected = GridPoseOf(30).inverse() * object * vertex;
    const float* placed = sample->mesh_vertices.data<float>() + box * car.vertices.shape()[0] * 3;
    for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(placed[axis], expected[axis], 1e-5);
  }
}

TEST(SceneReader, AddsPointsOfDynamicObjectsWhereCarsAreNotReplaced) {
  const std::string root = NewTestFolder("reader_dynamic");
  const std::string dynamics = ObjectAt("a-1_x", "cyclist", 30, {5, 0, 0}, {2, 1, 2}) + "," +
                               ObjectAt("empty", "car", 30, {0, 0, 0}, {4, 2, 1}) + "," +
                               ObjectAt("edge", "car", 30, {25.5, 0, 0}, {4, 2, 1});
  WriteClip(root, "clip", CloudOf<int64_t>(30, {{{0, 0, 0}, 18}, {{1, 0, 0}, 1}}), "", dynamics);
  const auto npz = FormatNpz({{"a-1_x_xyz", HostTensor::Of(std::vector<double>{0, 0, 0, 0, 0, 1}, {2, 3})},
                              {"a-1_x_semantic", HostTensor::Of(std::vector<int64_t>{6}, {})},
                              {"a-1_x_corner", HostTensor::Of(std::vector<double>(24, 0), {8, 3})},
                              {"empty_xyz", HostTensor::Of(std::vector<double>{}, {0, 3})},
                              {"empty_semantic", HostTensor::Of(std::vector<int64_t>{1}, {})},
                              {"edge_xyz", HostTensor::Of(std::vector<double>{-1, 0, 0, 1, 0, 0}, {2, 3})},
                              {"edge_semantic", HostTensor::Of(std::vector<int64_t>{1}, {})}});
  ASSERT_TRUE(npz.ok()) << npz.status();
  WriteTestTar(root, "dynamic_object_points_canonical", "clip", {{"clip.dynamic_object_points_canonical.npz", *npz}});
  Data data = VoxelVaeData(root);
  data.set_replace_cars_with_cad(false);
  data.add_attributes("dynamic_object_points_canonical");
  auto sample = ReaderOf(data)->Read("clip", 30, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  const std::vector<uint8_t> classes(sample->semantics.data<uint8_t>(),
                                     sample->semantics.data<uint8_t>() + sample->semantics.size());
  EXPECT_EQ(classes, (std::vector<uint8_t>{18, 1, 6, 6, 1}));
  EXPECT_EQ(sample->mesh_vertices.shape()[0], 0);
  // One metre above the object's middle, in the world's up direction.
  const Vector3d world = InWorld(30, {5, 0, 0}) + Vector3d(0, 0, 1);
  const Vector4d expected = GridPoseOf(30).inverse() * Vector4d(world[0], world[1], world[2], 1);
  for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(sample->points.data<float>()[9 + axis], expected[axis], 1e-5);

  const auto incomplete = FormatNpz({{"empty_xyz", HostTensor::Of(std::vector<double>{}, {0, 3})}});
  ASSERT_TRUE(incomplete.ok());
  WriteTestTar(root, "dynamic_object_points_canonical", "clip",
               {{"clip.dynamic_object_points_canonical.npz", *incomplete}});
  ExpectDataError(ReaderOf(data)->Read("clip", 30, 0, false).status(),
                  {root + "/dynamic_object_points_canonical/clip.tar", "frame 30", "'a-1_x_xyz'"});
}

TEST(SceneReader, ReadsMapLayersUncropped) {
  const std::string root = NewTestFolder("reader_maps");
  WriteClip(root, "clip", CloudOf<uint8_t>(30, {{{0, 0, 0}, 18}}), "", "");
  const Vector3d far = InWorld(30, {100, -50, 3}), near = InWorld(30, {1, 2, 3});
  WriteTestTar(
      root, "3d_road_edge_voxelsize_025", "clip",
      {{"clip.road_edge.npy",
        FormatNpy(HostTensor::Of(std::vector<double>{far[0], far[1], far[2], near[0], near[1], near[2]}, {2, 3}))}});
  WriteTestTar(root, "3d_road_line_voxelsize_025", "clip",
               {{"clip.road_line.npy", FormatNpy(HostTensor::Of(std::vector<double>{}, {0}))}});
  Data data = VoxelVaeData(root);
  for (const char* attribute :
       {"3d_road_edge_voxelsize_025", "3d_road_line_voxelsize_025", "3d_road_surface_voxelsize_04"}) {
    data.add_attributes(attribute);
  }
  // Listed attributes that no field needs are not read: there is no road surface on disk.
  auto sample = ReaderOf(data)->Read("clip", 30, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_TRUE(sample->maps.empty());

  data.add_map_types("road_edge");
  data.add_map_types("road_line");
  sample = ReaderOf(data)->Read("clip", 30, 0, false);
  ASSERT_TRUE(sample.ok()) << sample.status();
  ASSERT_EQ(sample->maps.size(), 2u);
  const HostTensor& edge = sample->maps["road_edge"];
  ASSERT_EQ(edge.Describe(), HostTensor(DType::kFloat32, {2, 3}).Describe());
  const float expected[] = {100, -50, 3, 1, 2, 3};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(edge.data<float>()[i], expected[i], 1e-5);
  EXPECT_EQ(sample->maps["road_line"].Describe(), HostTensor(DType::kFloat32, {0, 3}).Describe());

  data.add_map_types("road_surface");
  ExpectDataError(ReaderOf(data)->Read("clip", 30, 0, false).status(),
                  {root + "/3d_road_surface_voxelsize_04/clip.tar"});
  WriteTestTar(root, "3d_road_surface_voxelsize_04", "clip",
               {{"clip.road_surface.npy", FormatNpy(HostTensor::Of(std::vector<double>(8, 0), {4, 2}))}});
  ExpectDataError(ReaderOf(data)->Read("clip", 30, 0, false).status(),
                  {"3d_road_surface_voxelsize_04/clip.tar", "clip.road_surface.npy", "float64[4,2]"});
}

TEST(SceneReader, NamesTarMemberAndFrameOfWhatIsWrong) {
  const std::string root = NewTestFolder("reader_errors");
  const std::string good = CloudOf<int64_t>(30, {{{0, 0, 0}, 18}});
  WriteClip(root, "clip", good, "", "");
  const auto read = [&](int64_t frame) { return ReaderOf(VoxelVaeData(root))->Read("clip", frame, 0, false).status(); };
  ASSERT_TRUE(read(30).ok()) << read(30);
  ExpectDataError(ReaderOf(VoxelVaeData(root))->Read("none", 30, 0, false).status(), {root + "/pose/none.tar"});
  ExpectDataError(read(100), {root + "/pose/clip.tar", "clip.000100.pose.front.npy", "frame 100", "0 to 99"});
  ExpectDataError(read(-1), {root + "/pose/clip.tar", "frame -1"});

  const std::string cloud = root + "/" + kCloud + "/clip.tar";
  const auto with_cloud = [&](const std::string& bytes) {
    WriteTestTar(root, kCloud, "clip", {{"clip.pcd.vs01.pth", bytes}});
    return read(30);
  };
  ExpectDataError(with_cloud(CloudOf<int64_t>(30, {{{40, 0, 0}, 18}})), {"'clip'", "frame 30", kCloud, "crop_min"});
  ExpectDataError(with_cloud(CloudOf<int64_t>(30, {{{0, 0, 0}, 1}})), {"'clip'", "frame 30", kCloud});
  ExpectDataError(with_cloud(CloudOf<int64_t>(30, {{{0, 0, 0}, 23}})), {cloud, "clip.pcd.vs01.pth", "class 23"});
  ExpectDataError(with_cloud(CloudOf<int64_t>(30, {{{0, 0, 0}, -1}})), {cloud, "clip.pcd.vs01.pth", "class -1"});
  const HostTensor one = HostTensor::Of(std::vector<float>{0, 0, 0}, {1, 3});
  const HostTensor id = HostTensor::Of(std::vector<int64_t>{18}, {1});
  const HostTensor pose = TensorOf(CloudPose());
  ExpectDataError(with_cloud(CloudBytes(id, id, pose)), {cloud, "points must be", "int64[1]"});
  ExpectDataError(with_cloud(CloudBytes(one, one, pose)), {cloud, "semantics must be", "float32[1,3]"});
  ExpectDataError(with_cloud(CloudBytes(one, HostTensor::Of(std::vector<int64_t>{18, 18}, {2}), pose)),
                  {cloud, "semantics must be", "int64[2]"});
  ExpectDataError(with_cloud(CloudBytes(one, id, one)), {cloud, "pc_to_world", "float32[1,3]"});
  ExpectDataError(with_cloud("no zip archive"), {cloud, "clip.pcd.vs01.pth"});
  WriteTestTar(root, kCloud, "clip", {{"clip.something.pth", good}});
  ExpectDataError(read(30), {cloud, "'clip.pcd.vs01.pth'", "clip.something.pth"});
  ASSERT_TRUE(with_cloud(good).ok());
  std::filesystem::resize_file(cloud, 700);
  ExpectDataError(read(30), {cloud});
  ASSERT_TRUE(with_cloud(good).ok());

  Matrix4d mirrored = CameraFlu(30);
  mirrored.col(1) *= -1;
  WriteTestTar(root, "pose", "clip", {{FrameMember("clip", 30, "pose.front.npy"), PoseBytes(mirrored)}});
  ExpectDataError(read(30), {root + "/pose/clip.tar", "clip.000030.pose.front.npy", "rotation"});
  WriteTestTar(root, "pose", "clip", {{FrameMember("clip", 30, "pose.front.npy"), PoseBytes(CameraFlu(30))}});
  WriteTestTar(root, "static_object_info", "clip",
               {{FrameMember("clip", 30, "static_object_info.json"), "{\"a\": {}}"}});
  ExpectDataError(read(30), {root + "/static_object_info/clip.tar", "clip.000030.static_object_info.json", "'a'"});
  WriteTestTar(root, "static_object_info", "clip", {{FrameMember("clip", 29, "static_object_info.json"), "{}"}});
  ExpectDataError(read(30), {root + "/static_object_info/clip.tar", "frame 30"});
}

TEST(SceneReader, ChecksTheConfigFirst) {
  const std::string root = NewTestFolder("reader_config");
  const auto code_of = [](const Data& data) { return ExitCodeOf(SceneReader::Create(data, 0).status()); };
  EXPECT_EQ(code_of(VoxelVaeData(root)), ExitCode::kDone);
  Data data = VoxelVaeData(root);
  data.add_attributes("pc_voxelsize_01");
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.set_attributes(0, "intrinsic");  // no pose
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.set_attributes(1, "intrinsic");  // no cloud
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.set_attributes(2, "intrinsic");  // no static objects
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.add_map_types("road_edge");
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.set_crop_max(1, -25.6);
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.clear_crop_min();
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.clear_crop_jitter_range();
  EXPECT_EQ(code_of(data), ExitCode::kConfig);
  data = VoxelVaeData(root);
  data.set_car_mesh(root + "/none.ply");
  EXPECT_EQ(code_of(data), ExitCode::kData);
}

TEST(SceneReader, GivesTheSameSamplesToAnyNumberOfThreads) {
  const std::string root = NewTestFolder("reader_threads");
  const std::vector<std::string> clips = {"a", "b", "c"};
  for (const std::string& clip : clips) {
    std::vector<Point> points;
    for (int i = 0; i < 200; ++i) points.push_back({{0.3 * i - 30, 5.0 * (clip[0] - 'b'), 0.01 * i - 8}, i % 23});
    WriteClip(root, clip, CloudOf<int32_t>(30, points), ObjectAt("s", "car", 30, {5, 5, -5}, {4, 2, 1.5}), "");
  }
  Data data = VoxelVaeData(root);
  data.set_frame_start(20);
  data.set_frame_end(40);
  const auto sampler = TrainingSampler::Create(clips, data, 9);
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const auto reader = ReaderOf(data, 9);
  constexpr uint64_t kDraws = 24;
  for (int threads = 1; threads <= 4; ++threads) {
    Prefetcher<SceneSample>::Options options;
    options.threads = threads;
    options.capacity = 6;
    options.end = kDraws;
    Prefetcher<SceneSample> prefetcher(options, [&](uint64_t n) { return reader->Read(sampler->At(n), true); });
    for (uint64_t n = 0; n < kDraws; ++n) {
      const auto item = prefetcher.Next(std::chrono::seconds(60));
      ASSERT_TRUE(item.ok()) << item.status();
      ASSERT_TRUE(item->has_value());
      const auto expected = ReaderOf(data, 9)->Read(sampler->At(n), true);
      ASSERT_TRUE(expected.ok()) << expected.status();
      EXPECT_EQ((*item)->clip, expected->clip);
      EXPECT_EQ((*item)->start_frame, expected->start_frame);
      EXPECT_EQ((*item)->draw, n);
      ExpectSame((*item)->grid_to_world, expected->grid_to_world);
      ExpectSame((*item)->points, expected->points);
      ExpectSame((*item)->semantics, expected->semantics);
      ExpectSame((*item)->mesh_vertices, expected->mesh_vertices);
      ExpectSame((*item)->boxes, expected->boxes);
    }
  }
}

}  // namespace
}  // namespace cubist
