#include "data_process/synthesis/clip_attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/torch_zip.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

using Eigen::Matrix4d;
using Eigen::Vector3d;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kFrames = 40;

Matrix4d MatrixOf(const HostTensor& tensor) {
  const HostTensor doubles = tensor.Cast(DType::kFloat64);
  Matrix4d matrix;
  for (int i = 0; i < 16; ++i) matrix(i / 4, i % 4) = doubles.data<double>()[i];
  return matrix;
}

Matrix4d MatrixOf(const nlohmann::json& rows) {
  Matrix4d matrix;
  for (int i = 0; i < 16; ++i) matrix(i / 4, i % 4) = rows.at(i / 4).at(i % 4).get<double>();
  return matrix;
}

Vector3d Apply(const Matrix4d& transform, const Vector3d& point) {
  return transform.topLeftCorner<3, 3>() * point + transform.topRightCorner<3, 1>();
}

// The members of clips 0 and 1 as any reader of the files sees them.
class ClipAttributesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (uint64_t clip = 0; clip < 2; ++clip) {
      const auto content = MakeClipContent(6, clip, kFrames, 0.3, 1e7);
      ASSERT_TRUE(content.ok()) << content.status();
      for (const std::string& attribute : GeometryAttributes()) {
        const auto members = AttributeMembers(*content, attribute);
        ASSERT_TRUE(members.ok()) << members.status();
        ASSERT_TRUE(std::is_sorted(members->begin(), members->end()));
        for (const auto& [suffix, bytes] : *members) (*clips_)[clip][attribute][suffix] = bytes;
      }
    }
  }

  const std::map<std::string, std::string>& Members(uint64_t clip, const std::string& attribute) {
    return clips_->at(clip).at(attribute);
  }
  HostTensor Npy(uint64_t clip, const std::string& attribute, const std::string& suffix) {
    return *ParseNpy(Members(clip, attribute).at(suffix), suffix);
  }
  nlohmann::json Json(uint64_t clip, const std::string& attribute, const std::string& suffix) {
    return nlohmann::json::parse(Members(clip, attribute).at(suffix));
  }
  static std::string Frame(int frame, const std::string& rest) {
    std::string number = std::to_string(frame);
    return std::string(6 - number.size(), '0') + number + rest;
  }
  Matrix4d Pose(uint64_t clip, int frame) { return MatrixOf(Npy(clip, "pose", Frame(frame, ".pose.front.npy"))); }

  static std::map<uint64_t, std::map<std::string, std::map<std::string, std::string>>>* clips_;
};
std::map<uint64_t, std::map<std::string, std::map<std::string, std::string>>>* ClipAttributesTest::clips_ =
    new std::map<uint64_t, std::map<std::string, std::map<std::string, std::string>>>();

TEST_F(ClipAttributesTest, MembersDtypesAndShapesAreThoseOfTheLayout) {
  for (uint64_t clip = 0; clip < 2; ++clip) {
    ASSERT_EQ(Members(clip, "pose").size(), static_cast<size_t>(kFrames));
    EXPECT_EQ(Npy(clip, "pose", "000000.pose.front.npy").Describe(), "float64[4,4]");
    EXPECT_EQ(Npy(clip, "pose", "000039.pose.front.npy").Describe(), "float64[4,4]");
    EXPECT_EQ(Npy(clip, "intrinsic", "intrinsic.front.npy").Describe(), "float64[6]");
    ASSERT_EQ(Members(clip, "extrinsic").size(), 2u);
    EXPECT_EQ(Npy(clip, "extrinsic", "extrinsic.front.npy").Describe(), "float64[4,4]");
    EXPECT_EQ(Npy(clip, "extrinsic", "extrinsic.lidar_TOP.npy").Describe(), "float64[4,4]");
    for (const std::string kind : {"static", "dynamic"}) {
      const std::string attribute = kind + "_object_info";
      ASSERT_EQ(Members(clip, attribute).size(), static_cast<size_t>(kFrames));
      EXPECT_TRUE(Json(clip, attribute, Frame(17, "." + attribute + ".json")).is_object());
    }
    for (const std::string name : {"lane", "road_edge", "road_line"}) {
      const nlohmann::json lines = Json(clip, "3d_" + name, name + ".json");
      ASSERT_GE(lines.size(), 1u);
      EXPECT_EQ(lines.at(0).at(0).size(), 3u);
      const HostTensor points = Npy(clip, "3d_" + name + "_voxelsize_025", name + ".npy");
      EXPECT_EQ(points.dtype(), DType::kFloat64);
      ASSERT_EQ(points.shape().size(), 2u);
      EXPECT_EQ(points.shape()[1], 3);
    }
    const HostTensor surface = Npy(clip, "3d_road_surface_voxelsize_04", "road_surface.npy");
    EXPECT_EQ(surface.dtype(), DType::kFloat64);
    EXPECT_GT(surface.shape()[0], 1000);
    for (const std::string cloud : {"pc_voxelsize_01", "pc_with_map_without_car_voxelsize_01"}) {
      const auto tensors = ReadTorchTensors(Members(clip, cloud).at("pcd.vs01.pth"), cloud);
      ASSERT_TRUE(tensors.ok()) << tensors.status();
      ASSERT_EQ(tensors->size(), 3u);
      const int64_t count = tensors->at("points").shape()[0];
      EXPECT_GT(count, 10000);
      EXPECT_EQ(tensors->at("points").dtype(), DType::kFloat32);
      EXPECT_THAT(tensors->at("points").shape(), ElementsAre(count, 3));
      EXPECT_EQ(tensors->at("semantics").dtype(), clip == 0 ? DType::kUInt8 : DType::kInt64);
      EXPECT_THAT(tensors->at("semantics").shape(), ElementsAre(count));
      EXPECT_EQ(tensors->at("pc_to_world").Describe(), "float32[4,4]");
    }
  }
}

TEST_F(ClipAttributesTest, PosesAreOpenCvCamerasThatDriveForward) {
  const HostTensor extrinsic = Npy(0, "extrinsic", "extrinsic.front.npy");
  for (int frame = 0; frame + 1 < kFrames; ++frame) {
    const Matrix4d pose = Pose(0, frame);
    const Eigen::Matrix3d rotation = pose.topLeftCorner<3, 3>();
    EXPECT_LT((rotation * rotation.transpose() - Eigen::Matrix3d::Identity()).norm(), 1e-9);
    EXPECT_NEAR(rotation.determinant(), 1, 1e-9);
    const Vector3d step = (Pose(0, frame + 1) - pose).topRightCorner<3, 1>();
    EXPECT_GT(rotation.col(2).dot(step.normalized()), 0.99) << "z is forward";
    EXPECT_LT(rotation.col(1).z(), -0.99) << "y is down";
  }
  // The first vehicle frame is what the cloud's points are given in.
  const auto cloud = ReadTorchTensors(Members(0, "pc_voxelsize_01").at("pcd.vs01.pth"), "cloud");
  const Matrix4d vehicle = MatrixOf(cloud->at("pc_to_world"));
  Matrix4d flu_to_opencv = Matrix4d::Zero();
  flu_to_opencv(1, 0) = flu_to_opencv(2, 1) = -1;
  flu_to_opencv(0, 2) = flu_to_opencv(3, 3) = 1;
  // float32 translations of 20 km are known to 2 mm.
  EXPECT_LT((vehicle * MatrixOf(extrinsic) * flu_to_opencv - Pose(0, 0)).norm(), 0.004);
}

TEST_F(ClipAttributesTest, TheRoadLiesBelowTheCamera) {
  for (uint64_t clip = 0; clip < 2; ++clip) {
    const auto cloud =
        ReadTorchTensors(Members(clip, "pc_with_map_without_car_voxelsize_01").at("pcd.vs01.pth"), "cloud");
    const Matrix4d to_world = MatrixOf(cloud->at("pc_to_world"));
    const HostTensor labels = cloud->at("semantics").Cast(DType::kInt64);
    const float* xyz = cloud->at("points").data<float>();
    const Matrix4d to_camera = Pose(clip, 30).inverse();
    int below = 0;
    for (int64_t k = 0; k < labels.size(); ++k) {
      const Vector3d point = Apply(to_camera, Apply(to_world, Vector3d(xyz[3 * k], xyz[3 * k + 1], xyz[3 * k + 2])));
      if (std::hypot(point.x(), point.z()) > 1) continue;
      ++below;
      EXPECT_TRUE(labels.data<int64_t>()[k] == 18 || labels.data<int64_t>()[k] == 19);
      EXPECT_NEAR(point.y(), 2.11, 0.1);
    }
    EXPECT_GT(below, 20);
  }
}

TEST_F(ClipAttributesTest, StaticObjectsStandInAllFramesWithTheirPointsInTheirBoxes) {
  const nlohmann::json first = Json(0, "static_object_info", "000000.static_object_info.json");
  ASSERT_GE(first.size(), 5u);
  std::set<int> numbers;
  for (const auto& [id, object] : first.items()) {
    EXPECT_EQ(object.size(), 5u);
    EXPECT_FALSE(object.at("object_is_moving").get<bool>());
    EXPECT_EQ(object.at("object_lwh").size(), 3u);
    EXPECT_TRUE((std::set<std::string>{"car", "pedestrian", "cyclist", "sign"}).count(object.at("object_type")));
    numbers.insert(object.at("object_id_int").get<int>());
  }
  EXPECT_EQ(*numbers.begin(), 1);
  EXPECT_EQ(*numbers.rbegin(), static_cast<int>(first.size()));
  for (int frame = 1; frame < kFrames; ++frame) {
    EXPECT_EQ(Json(0, "static_object_info", Frame(frame, ".static_object_info.json")), first);
  }
  const auto cloud = ReadTorchTensors(Members(0, "pc_voxelsize_01").at("pcd.vs01.pth"), "cloud");
  const Matrix4d to_world = MatrixOf(cloud->at("pc_to_world"));
  const HostTensor& labels = cloud->at("semantics");
  const float* xyz = cloud->at("points").data<float>();
  std::map<std::string, int> in_box;
  int cars = 0;
  for (int64_t k = 0; k < labels.size(); ++k) {
    if (labels.data<uint8_t>()[k] != 1 && labels.data<uint8_t>()[k] != 2) continue;
    ++cars;
    const Vector3d world = Apply(to_world, Vector3d(xyz[3 * k], xyz[3 * k + 1], xyz[3 * k + 2]));
    for (const auto& [id, object] : first.items()) {
      const Vector3d local = Apply(MatrixOf(object.at("object_to_world")).inverse(), world);
      bool is_inside = object.at("object_type") == "car";
      for (int axis = 0; axis < 3; ++axis) {
        is_inside = is_inside && std::abs(local[axis]) < object.at("object_lwh").at(axis).get<double>() / 2 + 0.005;
      }
      in_box[id] += is_inside;
    }
  }
  EXPECT_GT(cars, 500);
  int in_boxes = 0;
  for (const auto& [id, object] : first.items()) {
    in_boxes += in_box[id];
    if (object.at("object_type") == "car") {
      EXPECT_GT(in_box[id], 50);
    }
  }
  EXPECT_EQ(in_boxes, cars) << "each car point lies in exactly one box";
}

TEST_F(ClipAttributesTest, DynamicObjectsFollowTheMovingRule) {
  std::map<std::string, bool> ever_moved;
  std::map<std::string, int> numbers;
  nlohmann::json before = nlohmann::json::object();
  for (int frame = 0; frame < kFrames; ++frame) {
    const nlohmann::json now = Json(0, "dynamic_object_info", Frame(frame, ".dynamic_object_info.json"));
    const nlohmann::json fixed = Json(0, "static_object_info", Frame(frame, ".static_object_info.json"));
    for (const auto& [id, object] : now.items()) {
      EXPECT_FALSE(fixed.contains(id));
      bool is_moving = false;
      if (before.contains(id)) {
        const Matrix4d change = MatrixOf(object.at("object_to_world")) - MatrixOf(before.at(id).at("object_to_world"));
        is_moving = change.topRightCorner<3, 1>().norm() > 0.05;
      }
      EXPECT_EQ(object.at("object_is_moving").get<bool>(), is_moving) << id << " in frame " << frame;
      ever_moved[id] = ever_moved[id] || is_moving;
      numbers[id] = object.at("object_id_int").get<int>();
    }
    before = now;
  }
  ASSERT_GE(ever_moved.size(), 3u);
  int expected = 10000;
  for (const auto& [id, number] : numbers) {  // sorted by id
    EXPECT_EQ(number, expected++);
    EXPECT_TRUE(ever_moved[id]);
  }

  const auto arrays =
      ParseNpz(Members(0, "dynamic_object_points_canonical").at("dynamic_object_points_canonical.npz"), "npz");
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  EXPECT_EQ(arrays->size(), 3 * numbers.size());
  const nlohmann::json any = Json(0, "dynamic_object_info", "000020.dynamic_object_info.json");
  const std::map<std::string, int64_t> classes = {{"car", 1}, {"pedestrian", 7}, {"cyclist", 6}};
  for (const auto& [id, object] : any.items()) {
    const HostTensor& xyz = arrays->at(id + "_xyz");
    const HostTensor& corner = arrays->at(id + "_corner");
    EXPECT_EQ(arrays->at(id + "_semantic").Describe(), "int64[]");
    EXPECT_EQ(arrays->at(id + "_semantic").data<int64_t>()[0], classes.at(object.at("object_type")));
    EXPECT_EQ(corner.Describe(), "float64[8,3]");
    ASSERT_EQ(xyz.dtype(), DType::kFloat64);
    ASSERT_GT(xyz.shape()[0], 10);
    const auto half = [&](int axis) { return object.at("object_lwh").at(axis).get<double>() / 2; };
    for (int64_t k = 0; k < xyz.shape()[0]; ++k) {
      for (int axis = 0; axis < 3; ++axis) EXPECT_LE(std::abs(xyz.data<double>()[3 * k + axis]), half(axis));
    }
    // Rows 0, 1, 2 and 7 of the order that the data has: +++, +-+, --+ and -+-.
    const double signs[4][3] = {{1, 1, 1}, {1, -1, 1}, {-1, -1, 1}, {-1, 1, -1}};
    const int rows[4] = {0, 1, 2, 7};
    for (int r = 0; r < 4; ++r) {
      for (int axis = 0; axis < 3; ++axis) {
        EXPECT_DOUBLE_EQ(corner.data<double>()[3 * rows[r] + axis], signs[r][axis] * half(axis));
      }
    }
  }
}

TEST_F(ClipAttributesTest, MapLayersFollowFromThePolylines) {
  const nlohmann::json lines = Json(1, "3d_road_line", "road_line.json");
  const HostTensor points = Npy(1, "3d_road_line_voxelsize_025", "road_line.npy");
  int64_t row = 0;
  for (const nlohmann::json& line : lines) {
    for (size_t k = 0; k < line.size(); ++k) {
      const auto vertex = [&](size_t v) { return Vector3d(line[v][0], line[v][1], line[v][2]); };
      ASSERT_LT(row, points.shape()[0]);
      const double* at = points.data<double>() + 3 * row;
      EXPECT_LT((Vector3d(at[0], at[1], at[2]) - vertex(k)).norm(), 1e-9);
      if (k + 1 == line.size()) {
        ++row;
      } else {
        row += std::max(2, static_cast<int>(std::ceil((vertex(k + 1) - vertex(k)).norm() / 0.25))) - 1;
      }
    }
  }
  EXPECT_EQ(row, points.shape()[0]);
}

TEST(ClipContentTest, TooManyPointsAreRefusedBeforeTheyAreMade) {
  const auto content = MakeClipContent(0, 0, 10, 1e-4, 40e6);
  ASSERT_FALSE(content.ok());
  EXPECT_EQ(ExitCodeOf(content.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(content.status().message()), HasSubstr("raise point_spacing"));
}

TEST(ClipContentTest, AClipOfOneFrameHasNoDynamicObjects) {
  const auto content = MakeClipContent(0, 0, 1, 0.5, 40e6);
  ASSERT_TRUE(content.ok()) << content.status();
  const auto info = AttributeMembers(*content, "dynamic_object_info");
  ASSERT_EQ(info->size(), 1u);
  EXPECT_EQ((*info)[0].second, "{}");
  const auto points = AttributeMembers(*content, "dynamic_object_points_canonical");
  ASSERT_TRUE(points.ok()) << points.status();
  EXPECT_TRUE(ParseNpz((*points)[0].second, "npz")->empty());
}

TEST(ClipContentTest, UnknownAttributesAreOurBug) {
  const auto content = MakeClipContent(0, 0, 1, 0.9, 40e6);
  EXPECT_EQ(ExitCodeOf(AttributeMembers(*content, "image_front").status()), ExitCode::kInternal);
}

}  // namespace
}  // namespace cubist
