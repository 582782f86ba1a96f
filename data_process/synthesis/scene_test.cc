#include "data_process/synthesis/scene.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data_process/synthesis/point_cloud.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector2d;
using Eigen::Vector3d;

Isometry3d At(double x) {
  Isometry3d pose = Isometry3d::Identity();
  pose.translation() = Vector3d(x, 2, 3);
  return pose;
}

SceneObject Tracked(const std::string& id, std::vector<std::optional<Isometry3d>> track) {
  SceneObject object;
  object.id = id;
  object.track = std::move(track);
  return object;
}

TEST(ClassifyObjectsTest, TheReferencesRules) {
  const auto none = std::optional<Isometry3d>();
  std::vector<SceneObject> objects;
  // Exactly the threshold apart is not moving.
  objects.push_back(Tracked("slow", {At(0), At(0.05), At(0.1), none}));
  objects.push_back(Tracked("fast", {At(0), At(0), At(0.06), At(0.06)}));
  // Moves only while nobody looks: no previous frame, so it is static where it was first seen.
  objects.push_back(Tracked("blink", {none, At(1), none, At(5)}));
  objects.push_back(Tracked("absent", {none, none, none, none}));
  objects.push_back(Tracked("b_late", {none, none, At(4), At(4.2)}));
  SceneObject parked;
  parked.id = "a_parked";
  parked.parked = At(9);
  objects.push_back(parked);

  ClassifyObjects(objects);
  ASSERT_EQ(objects.size(), 5u);
  const std::vector<std::string> ids = {"a_parked", "b_late", "blink", "fast", "slow"};
  const std::vector<bool> dynamic = {false, true, false, true, false};
  const std::vector<int> numbers = {1, 10000, 2, 10001, 3};
  for (size_t k = 0; k < objects.size(); ++k) {
    EXPECT_EQ(objects[k].id, ids[k]);
    EXPECT_EQ(objects[k].is_dynamic, dynamic[k]) << ids[k];
    EXPECT_EQ(objects[k].number, numbers[k]) << ids[k];
  }
  EXPECT_EQ(objects[1].moving, (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(objects[1].PoseAt(1), nullptr);
  EXPECT_EQ(objects[3].moving, (std::vector<bool>{false, false, true, false}));
  for (int frame = 0; frame < 4; ++frame) {
    ASSERT_NE(objects[2].PoseAt(frame), nullptr) << "static objects stand in all frames";
    EXPECT_EQ(objects[2].PoseAt(frame)->translation().x(), 1);
  }
}

TEST(SceneTest, TheSameSeedMakesTheSameSceneAndOthersDiffer) {
  const Scene a = MakeScene(3, 1, 20), b = MakeScene(3, 1, 20), other_clip = MakeScene(3, 2, 20);
  EXPECT_EQ(a.street_to_world.matrix(), b.street_to_world.matrix());
  ASSERT_EQ(a.objects.size(), b.objects.size());
  for (size_t k = 0; k < a.objects.size(); ++k) EXPECT_EQ(a.objects[k].id, b.objects[k].id);
  EXPECT_EQ(StaticPoints(a, 3, 1, 0.5).xyz, StaticPoints(b, 3, 1, 0.5).xyz);
  EXPECT_NE(a.street_to_world.matrix(), other_clip.street_to_world.matrix());
  EXPECT_NE(a.objects[0].id, other_clip.objects[0].id);
}

TEST(SceneTest, TheEgoVehicleDrivesAsPromised) {
  for (uint64_t clip = 0; clip < 6; ++clip) {
    const Scene scene = MakeScene(0, clip, 160);
    ASSERT_EQ(scene.ego.size(), 160u);
    for (size_t frame = 1; frame < scene.ego.size(); ++frame) {
      const Vector3d step = scene.ego[frame].translation() - scene.ego[frame - 1].translation();
      // The distance along the middle of the street is 0.5 to 1.2 m; a lane within a bend is a little shorter
      // or longer.
      EXPECT_GT(step.norm(), 0.5 * 0.94);
      EXPECT_LT(step.norm(), 1.2 * 1.06);
      // It looks where it goes.
      EXPECT_GT(scene.ego[frame].linear().col(0).dot(step.normalized()), 0.999);
    }
    const Vector3d origin = scene.street_to_world.translation();
    EXPECT_LT((origin - Vector3d(20000, -15000, 30)).cwiseAbs().maxCoeff(), 1000);
    EXPECT_LT(std::abs(scene.street_to_world.linear()(2, 0)), std::sin(0.06)) << "steep";
  }
}

// Corners of a rectangle on the ground.
std::array<Vector2d, 4> Rectangle(const Isometry3d& pose, double length, double width) {
  std::array<Vector2d, 4> corners;
  for (int k = 0; k < 4; ++k) {
    const Vector3d corner(k == 0 || k == 3 ? length / 2 : -length / 2, k < 2 ? width / 2 : -width / 2, 0);
    corners[k] = (pose * corner).head<2>();
  }
  return corners;
}

// Whether two convex quadrilaterals share a point: no side of either separates them.
bool Overlap(const std::array<Vector2d, 4>& a, const std::array<Vector2d, 4>& b) {
  for (const auto* shape : {&a, &b}) {
    for (int k = 0; k < 4; ++k) {
      const Vector2d side = (*shape)[(k + 1) % 4] - (*shape)[k], normal(-side.y(), side.x());
      double a_low = 1e9, a_high = -1e9, b_low = 1e9, b_high = -1e9;
      for (int c = 0; c < 4; ++c) {
        a_low = std::min(a_low, normal.dot(a[c])), a_high = std::max(a_high, normal.dot(a[c]));
        b_low = std::min(b_low, normal.dot(b[c])), b_high = std::max(b_high, normal.dot(b[c]));
      }
      if (a_high < b_low || b_high < a_low) return false;
    }
  }
  return true;
}

TEST(SceneTest, NothingDrivesThroughAnythingElse) {
  for (uint64_t clip = 0; clip < 12; ++clip) {
    const Scene scene = MakeScene(9, clip, 120);
    for (int frame = 0; frame < 120; frame += 7) {
      Isometry3d ego = scene.ego[frame];
      ego.translate(Vector3d(1.4, 0, 0));  // from the rear axle to the middle
      const auto ego_corners = Rectangle(ego, 4.8, 1.9);
      std::vector<std::array<Vector2d, 4>> placed;
      for (const SceneObject& object : scene.objects) {
        const Isometry3d* pose = object.PoseAt(frame);
        if (pose == nullptr || object.type == "sign" || object.type == "pedestrian") continue;
        const auto corners = Rectangle(*pose, object.lwh.x(), object.lwh.y());
        EXPECT_FALSE(Overlap(corners, ego_corners)) << "clip " << clip << " frame " << frame << " ego, " << object.type;
        for (const auto& other : placed) {
          EXPECT_FALSE(Overlap(corners, other)) << "clip " << clip << " frame " << frame << " " << object.type;
        }
        placed.push_back(corners);
      }
    }
  }
}

TEST(SceneTest, EveryClipHasWhatAStreetNeeds) {
  for (uint64_t clip = 0; clip < 12; ++clip) {
    const Scene scene = MakeScene(1, clip, 100);
    std::set<std::string> static_types, dynamic_types;
    int parked_cars = 0;
    for (const SceneObject& object : scene.objects) {
      (object.is_dynamic ? dynamic_types : static_types).insert(object.type);
      parked_cars += !object.is_dynamic && object.type == "car";
      EXPECT_EQ(object.id.size(), 22u);
    }
    EXPECT_TRUE(static_types.count("car") && static_types.count("pedestrian") && static_types.count("sign")) << clip;
    EXPECT_TRUE(dynamic_types.count("car") && dynamic_types.count("pedestrian") && dynamic_types.count("cyclist"));
    EXPECT_GE(parked_cars, 4);
    std::set<int> labels;
    const LabelledPoints cloud = StaticPoints(scene, 1, clip, 0.3);
    for (const uint8_t label : cloud.labels) labels.insert(label);
    for (const SemanticClass needed :
         {SemanticClass::kCar, SemanticClass::kSign, SemanticClass::kPole, SemanticClass::kBuilding,
          SemanticClass::kCurb, SemanticClass::kRoad, SemanticClass::kLaneMarker, SemanticClass::kSidewalk}) {
      EXPECT_TRUE(labels.count(static_cast<int>(needed))) << "clip " << clip << " class " << static_cast<int>(needed);
    }
    EXPECT_NEAR(EstimatePoints(scene, 0.3), static_cast<double>(cloud.labels.size()), 0.35 * cloud.labels.size());
  }
}

// Heights and places by class, in the street frame, from the points alone.
TEST(SceneTest, PointsLieWhereTheirClassBelongs) {
  for (uint64_t clip = 0; clip < 4; ++clip) {
    const Scene scene = MakeScene(2, clip, 60);
    const StreetLayout& layout = scene.layout;
    const LabelledPoints cloud = StaticPoints(scene, 2, clip, 0.3);
    double highest_building = 0;
    for (size_t k = 0; k < cloud.labels.size(); ++k) {
      const Vector3d point = scene.ego[0] * Vector3d(cloud.xyz[3 * k], cloud.xyz[3 * k + 1], cloud.xyz[3 * k + 2]);
      const Vector2d street = layout.curve.Project(point.head<2>(), point.x());
      const double away = std::abs(street.y());
      ASSERT_LT(away, 60);
      ASSERT_GT(street.x(), layout.curve.s_min() - 8);
      ASSERT_LT(street.x(), layout.curve.s_max() + 8);
      switch (static_cast<SemanticClass>(cloud.labels[k])) {
        case SemanticClass::kRoad:
        case SemanticClass::kLaneMarker:
          ASSERT_LT(away, layout.half_width + 0.05);
          ASSERT_NEAR(point.z(), layout.RoadHeight(away), 0.03);
          break;
        case SemanticClass::kCurb:
          ASSERT_NEAR(away, layout.half_width + 0.1, 0.15);
          ASSERT_NEAR(point.z(), layout.GroundHeight() - 0.075, 0.1);
          break;
        case SemanticClass::kSidewalk:
          ASSERT_GT(away, layout.half_width + 0.15);
          ASSERT_NEAR(point.z(), layout.GroundHeight(), 0.03);
          break;
        case SemanticClass::kBuilding:
          ASSERT_GT(away, layout.SidewalkEdge(street.y() < 0 ? -1 : 1) - 1);
          highest_building = std::max(highest_building, point.z());
          break;
        case SemanticClass::kCar:
        case SemanticClass::kTruck:
          ASSERT_LT(away, layout.half_width);
          ASSERT_LT(point.z(), 3);
          break;
        default:
          break;
      }
    }
    EXPECT_GT(highest_building, 4);
    EXPECT_LT(highest_building, 21);
  }
}

TEST(PointCloudTest, TheTrainingCloudHasPaintButNoVehiclesOrPeople) {
  const Scene scene = MakeScene(4, 0, 40);
  const LabelledPoints cloud = StaticPoints(scene, 4, 0, 0.3);
  const LabelledPoints training = WithMapWithoutCars(cloud, scene);
  const std::set<int> removed = {1, 2, 3, 4, 5, 6, 7, 12, 13};
  size_t kept = 0, taken = 0;
  for (const uint8_t label : cloud.labels) (removed.count(label) ? taken : kept) += 1;
  EXPECT_GT(taken, 1000u);
  for (const uint8_t label : training.labels) EXPECT_FALSE(removed.count(label));
  ASSERT_GT(training.labels.size(), kept);
  const size_t added = training.labels.size() - kept;
  EXPECT_EQ(added % 3, 0u);
  // Each mark comes three times: as it is, 2.5 cm lower and 2.5 cm higher along the world's z axis.
  const Isometry3d to_world = scene.street_to_world * scene.ego[0];
  const auto world = [&](size_t k) {
    return Vector3d(to_world * Vector3d(training.xyz[3 * k], training.xyz[3 * k + 1], training.xyz[3 * k + 2]));
  };
  for (size_t k = 0; k < added / 3; k += 97) {
    EXPECT_EQ(training.labels[kept + k], 19);
    EXPECT_LT((world(kept + added / 3 + k) - world(kept + k) + Vector3d(0, 0, 0.025)).norm(), 1e-4);
    EXPECT_LT((world(kept + 2 * (added / 3) + k) - world(kept + k) - Vector3d(0, 0, 0.025)).norm(), 1e-4);
  }
}

}  // namespace
}  // namespace cubist
