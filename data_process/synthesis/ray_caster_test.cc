#include "data_process/synthesis/ray_caster.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <filesystem>
#include <variant>

#include "data_process/synthesis/point_cloud.h"
#include "data_process/synthesis/random_stream.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Matrix3d;
using Eigen::Vector3d;

// The oracle: every part, one after the other, by other formulas than the caster's. Nearest distance, or infinity.

// The plane's point, and whether it lies on the inner side of all three edges.
double OracleTriangle(const Vector3d& a, const Vector3d& b, const Vector3d& c, const Ray& ray) {
  const Vector3d n = (b - a).cross(c - a);
  const double t = n.dot(a - ray.origin) / n.dot(ray.direction);
  if (!(t > 0)) return kNoHit;
  const Vector3d p = ray.origin + t * ray.direction;
  const double slack = -1e-9 * n.squaredNorm();
  const bool is_inside = n.dot((b - a).cross(p - a)) >= slack && n.dot((c - b).cross(p - b)) >= slack &&
                         n.dot((a - c).cross(p - c)) >= slack;
  return is_inside ? t : kNoHit;
}

// Newton's method from the middle of the patch: all of a scene's patches are nearly flat.
double Oracle(const Patch& patch, const Ray& ray) {
  const auto& c = patch.corners;
  // What is far from the ray is left out.
  const Vector3d away = (c[0] + c[2]) / 2 - ray.origin;
  const double size = (c[0] - c[2]).norm() + (c[1] - c[3]).norm();
  if (away.cross(ray.direction).norm() > size * ray.direction.norm()) return kNoHit;
  double u = 0.5, v = 0.5, t = 0;
  for (int step = 0; step < 20; ++step) {
    const Vector3d along_u = (1 - v) * (c[1] - c[0]) + v * (c[2] - c[3]);
    const Vector3d along_v = (1 - u) * (c[3] - c[0]) + u * (c[2] - c[1]);
    const Vector3d point = (1 - v) * ((1 - u) * c[0] + u * c[1]) + v * ((1 - u) * c[3] + u * c[2]);
    Matrix3d jacobian;
    jacobian << along_u, along_v, -ray.direction;
    const Vector3d change = jacobian.partialPivLu().solve(point - ray.origin - t * ray.direction);
    u -= change.x();
    v -= change.y();
    t -= change.z();
    if (!std::isfinite(u) || !std::isfinite(v)) return kNoHit;
  }
  const bool is_inside = u > -1e-9 && u < 1 + 1e-9 && v > -1e-9 && v < 1 + 1e-9;
  return is_inside && t > 0 ? t : kNoHit;
}

double Oracle(const Box& box, const Ray& ray) {
  double nearest = kNoHit;
  for (int axis = 0; axis < 3; ++axis) {
    for (const double side : {-0.5, 0.5}) {
      std::array<Vector3d, 4> corners;
      for (int k = 0; k < 4; ++k) {
        Vector3d p;
        p[axis] = side;
        p[(axis + 1) % 3] = k == 1 || k == 2 ? 0.5 : -0.5;
        p[(axis + 2) % 3] = k >= 2 ? 0.5 : -0.5;
        corners[k] = box.pose * p.cwiseProduct(box.size);
      }
      nearest = std::min({nearest, OracleTriangle(corners[0], corners[1], corners[2], ray),
                          OracleTriangle(corners[0], corners[2], corners[3], ray)});
    }
  }
  return nearest;
}

// The first zero of `level` before and after the place where it is lowest, if it is negative there and `counts`.
template <typename Level, typename Counts>
double FirstZero(double lowest, double reach, const Level& level, const Counts& counts) {
  if (level(lowest) >= 0) return kNoHit;
  for (const double direction : {-1.0, 1.0}) {
    double inside = lowest, outside = lowest + direction * reach;
    for (int step = 0; step < 100; ++step) {
      const double middle = 0.5 * (inside + outside);
      (level(middle) < 0 ? inside : outside) = middle;
    }
    if (inside > 0 && counts(inside)) return inside;
  }
  return kNoHit;
}

double Oracle(const Cylinder& cylinder, const Ray& ray) {
  const Vector3d along = cylinder.axis.normalized();
  // Where the line comes nearest to the axis: the two are joined by a line across both.
  const Vector3d across = ray.direction.cross(along), from = cylinder.base - ray.origin;
  const double lowest = from.cross(along).dot(across) / across.squaredNorm();
  const auto level = [&](double t) {
    return (ray.origin + t * ray.direction - cylinder.base).cross(along).norm() - cylinder.radius;
  };
  const auto is_on_tube = [&](double t) {
    const double height = (ray.origin + t * ray.direction - cylinder.base).dot(along);
    return height > -1e-9 && height < cylinder.axis.norm() + 1e-9;
  };
  return FirstZero(lowest, 1e4, level, is_on_tube);
}

double Oracle(const Ellipsoid& ellipsoid, const Ray& ray) {
  const Vector3d o = (ray.origin - ellipsoid.centre).cwiseQuotient(ellipsoid.radii),
                 d = ray.direction.cwiseQuotient(ellipsoid.radii);
  return FirstZero(
      -o.dot(d) / d.squaredNorm(), 1e4, [&](double t) { return (o + t * d).norm() - 1; }, [](double) { return true; });
}

double Oracle(const MeshInstance& instance, const Ray& ray) {
  double nearest = kNoHit;
  for (int64_t f = 0; f < instance.mesh->faces.shape()[0]; ++f) {
    std::array<Vector3d, 3> corners;
    for (int k = 0; k < 3; ++k) {
      const float* vertex =
          instance.mesh->vertices.data<float>() + 3 * int64_t{instance.mesh->faces.data<int32_t>()[3 * f + k]};
      corners[k] = instance.pose * Vector3d(vertex[0], vertex[1], vertex[2]).cwiseProduct(instance.scale);
    }
    nearest = std::min(nearest, OracleTriangle(corners[0], corners[1], corners[2], ray));
  }
  return nearest;
}

double OracleOf(const ScenePart& part, int frame, const Ray& ray) {
  Ray local = ray;
  if (part.object != nullptr) {
    const Isometry3d* pose = part.object->PoseAt(frame);
    if (pose == nullptr) return kNoHit;
    // What is far from the ray is left out.
    const Vector3d away = pose->translation() - ray.origin;
    if (away.cross(ray.direction).norm() > part.object->lwh.norm() * ray.direction.norm()) return kNoHit;
    local = {pose->inverse() * ray.origin, pose->linear().transpose() * ray.direction};
  }
  return std::visit([&](const auto& shape) { return Oracle(shape, local); }, part.primitive->shape);
}

// Rays from around the ego vehicle and from anywhere above the street, into all directions.
Ray RandomRay(const Scene& scene, int frame, bool from_camera, RandomStream& random) {
  const StreetLayout& layout = scene.layout;
  const Vector3d direction =
      Vector3d(random.Uniform(-1, 1), random.Uniform(-1, 1), random.Uniform(-0.6, 0.4)).normalized();
  if (from_camera) {
    const Isometry3d camera = scene.ego[frame] * scene.camera_to_vehicle;
    return {camera.translation(),
            camera.linear() * Vector3d(1, random.Uniform(-0.45, 0.45), random.Uniform(-0.4, 0.3))};
  }
  return {layout.Point(random.Uniform(layout.curve.s_min(), layout.curve.s_max()), random.Uniform(-9, 9),
                       random.Uniform(0.4, 6)),
          direction};
}

TEST(RayCasterTest, TheNearestSurfaceIsTheOneThatComparingAllOfThemGives) {
  int hits = 0, misses = 0, shapes[5] = {}, objects = 0;
  for (const uint64_t clip : {0, 3}) {
    const Scene scene = MakeScene(11, clip, 12);
    RayCaster caster(scene);
    RandomStream random(11, clip, SceneStream::kSampling);
    for (const int frame : {0, 7}) {
      caster.SetFrame(frame);
      for (int k = 0; k < 500; ++k) {
        const Ray ray = RandomRay(scene, frame, k % 2 == 0, random);
        double nearest = kNoHit;
        for (const ScenePart& part : caster.parts()) nearest = std::min(nearest, OracleOf(part, frame, ray));
        const auto hit = caster.Cast(ray);
        ASSERT_EQ(hit.has_value(), nearest != kNoHit) << "clip " << clip << " ray " << k << " oracle " << nearest;
        if (!hit.has_value()) {
          ++misses;
          EXPECT_FALSE(caster.IsBlocked(ray, 0, 1e4));
          continue;
        }
        ++hits;
        ASSERT_NEAR(hit->distance, nearest, 1e-6 * (1 + nearest)) << "clip " << clip << " ray " << k;
        // The part that it names is there, and the point is on it.
        const ScenePart& part = caster.parts()[hit->part];
        EXPECT_NEAR(OracleOf(part, frame, ray), nearest, 1e-6 * (1 + nearest));
        ++shapes[part.primitive->shape.index()];
        objects += part.object != nullptr;
        const Vector3d point = ray.origin + hit->distance * ray.direction;
        const Vector3d placed = part.object == nullptr ? hit->local : *part.object->PoseAt(frame) * hit->local;
        EXPECT_LT((placed - point).norm(), 1e-9);
        EXPECT_EQ(hit->triangle >= 0, std::holds_alternative<MeshInstance>(part.primitive->shape));
        // The normal has length 1, faces the ray, and is the slope of the distance: a ray beside this one meets the
        // plane through the point.
        EXPECT_NEAR(hit->normal.norm(), 1, 1e-12);
        EXPECT_LE(hit->normal.dot(ray.direction), 0);
        const Ray beside = {ray.origin + 1e-6 * ray.direction.unitOrthogonal(), ray.direction};
        const auto other = caster.Cast(beside);
        if (other.has_value() && other->part == hit->part && other->triangle == hit->triangle &&
            std::abs(other->distance - hit->distance) < 1e-4 && !std::holds_alternative<Box>(part.primitive->shape)) {
          const Vector3d step = beside.origin + other->distance * beside.direction - point;
          EXPECT_LT(std::abs(step.dot(hit->normal)), 1e-8 + 1e-3 * step.norm())
              << "shape " << part.primitive->shape.index();
        }
        EXPECT_TRUE(caster.IsBlocked(ray, 0, hit->distance + 1e-6 * (1 + nearest)));
        EXPECT_FALSE(caster.IsBlocked(ray, 0, hit->distance * (1 - 1e-9)));
      }
    }
  }
  RecordProperty("hits", hits);
  EXPECT_GT(hits, 1200);
  EXPECT_GT(misses, 50);
  EXPECT_GT(objects, 100);
  for (const int count : shapes) EXPECT_GT(count, 5);
}

Scene EmptyScene() {
  Scene scene = MakeScene(1, 0, 2);
  scene.surfaces.clear();
  scene.backdrop.clear();
  scene.objects.clear();
  return scene;
}

TEST(RayCasterTest, StronglyTwistedPatches) {
  RandomStream random(5, 0, SceneStream::kSampling);
  int met = 0;
  for (int k = 0; k < 300; ++k) {
    const auto place = [&] { return Vector3d(random.Uniform(-3, 3), random.Uniform(-3, 3), random.Uniform(-3, 3)); };
    Scene scene = EmptyScene();
    const Patch patch = {{place(), place(), place(), place()}};
    scene.surfaces.push_back({patch, SemanticClass::kRoad});
    const RayCaster caster(scene);
    // A ray to a point of the patch meets the patch there or before.
    const double u = random.Uniform(), v = random.Uniform();
    const auto& c = patch.corners;
    const Vector3d target = (1 - v) * ((1 - u) * c[0] + u * c[1]) + v * ((1 - u) * c[3] + u * c[2]);
    const Vector3d origin = 4 * place();
    const auto hit = caster.Cast({origin, target - origin});
    ASSERT_TRUE(hit.has_value()) << k;
    EXPECT_LT(hit->distance, 1 + 1e-9);
    met += hit->distance > 1 - 1e-9;
    // The point is on the surface: from some place of a grid, Gauss-Newton steps come down to it.
    const auto at = [&](double a, double b) {
      return Vector3d((1 - b) * ((1 - a) * c[0] + a * c[1]) + b * ((1 - a) * c[3] + a * c[2]));
    };
    double nearest = kNoHit;
    for (int start = 0; start < 21 * 21 && nearest > 1e-7; ++start) {
      double a = start / 21 / 20.0, b = start % 21 / 20.0;
      for (int step = 0; step < 10; ++step) {
        Eigen::Matrix<double, 3, 2> jacobian;
        jacobian << (1 - b) * (c[1] - c[0]) + b * (c[2] - c[3]), (1 - a) * (c[3] - c[0]) + a * (c[2] - c[1]);
        const Eigen::Vector2d change =
            (jacobian.transpose() * jacobian).ldlt().solve(jacobian.transpose() * (at(a, b) - hit->local));
        a -= change.x();
        b -= change.y();
      }
      if (std::abs(a - 0.5) < 0.51 && std::abs(b - 0.5) < 0.51) {
        nearest = std::min(nearest, (at(a, b) - hit->local).norm());
      }
    }
    EXPECT_LT(nearest, 1e-7) << k;
  }
  EXPECT_GT(met, 200);
  EXPECT_LT(met, 300) << "some patch must be met twice";
}

TEST(RayCasterTest, TheLowerOfTwoEqualPartsIsNamed) {
  Scene scene = EmptyScene();
  const Primitive wall = {Box{Isometry3d(Eigen::Translation3d(10, 0, 0)), Vector3d(2, 4, 4)}, SemanticClass::kBuilding};
  for (int k = 0; k < 20; ++k) scene.surfaces.push_back(wall);
  const RayCaster caster(scene);
  for (const double y : {-1.0, 0.0, 1.5}) {
    const auto hit = caster.Cast({Vector3d(0, y, 0.5), Vector3d(1, 0, 0)});
    ASSERT_TRUE(hit.has_value());
    EXPECT_EQ(hit->part, 0u);
    EXPECT_EQ(hit->distance, 9);
    EXPECT_EQ(hit->normal, Vector3d(-1, 0, 0));
  }
  // From inside, and from beyond `near`, the far wall.
  EXPECT_EQ(caster.Cast({Vector3d(10, 0, 0), Vector3d(1, 0, 0)})->distance, 1);
  EXPECT_EQ(caster.Cast({Vector3d(0, 0, 0), Vector3d(1, 0, 0)}, 9.5)->distance, 11);
  EXPECT_FALSE(caster.Cast({Vector3d(0, 0, 0), Vector3d(-1, 0, 0)}).has_value());
}

TEST(RayCasterTest, ObjectsAreWhereTheirTracksSay) {
  Scene scene = EmptyScene();
  SceneObject object;
  object.label = SemanticClass::kCar;
  object.lwh = Vector3d(2, 2, 2);
  object.shape.push_back({Box{Isometry3d::Identity(), object.lwh}, object.label});
  object.track = {Isometry3d(Eigen::Translation3d(10, 0, 0)), std::nullopt, Isometry3d(Eigen::Translation3d(20, 0, 0))};
  scene.objects.push_back(object);
  RayCaster caster(scene);
  const Ray ray = {Vector3d::Zero(), Vector3d(1, 0, 0)};
  EXPECT_EQ(caster.Cast(ray)->distance, 9);
  caster.SetFrame(1);
  EXPECT_FALSE(caster.Cast(ray).has_value());
  caster.SetFrame(2);
  EXPECT_EQ(caster.Cast(ray)->distance, 19);
  EXPECT_EQ(caster.parts()[caster.Cast(ray)->part].object, &scene.objects[0]);
  EXPECT_EQ(caster.Cast(ray)->local, Vector3d(-1, 0, 0));
}

// 24 mm of noise at most are between a point and its surface; foliage has its points up to a quarter of the radius
// inside of it. So a ray from the camera to a point ends at the point or before, but for points beside an edge.
TEST(RayCasterTest, RaysEndWherePointsAre) {
  const Scene scene = MakeScene(4, 2, 2);
  const RayCaster caster(scene);
  const LabelledPoints cloud = StaticPoints(scene, 4, 2, 0.4);
  const Vector3d camera = (scene.ego[0] * scene.camera_to_vehicle).translation();
  int64_t behind = 0, on_surface = 0, before = 0;
  for (size_t k = 0; k < cloud.labels.size(); ++k) {
    const Vector3d point = scene.ego[0] * Vector3d(cloud.xyz[3 * k], cloud.xyz[3 * k + 1], cloud.xyz[3 * k + 2]);
    const double away = (point - camera).norm();
    if (away > 60) continue;
    const auto hit = caster.Cast({camera, (point - camera) / away});
    // How far the ray runs along the surface for noise across it.
    const double slack = hit.has_value() ? 0.03 / std::max(0.02, -hit->normal.dot((point - camera) / away)) : 0;
    if (!hit.has_value() || hit->distance > away + slack) {
      ++behind;
    } else if (hit->distance > away - slack) {
      ++on_surface;
    } else {
      ++before;
    }
  }
  const double all = static_cast<double>(behind + on_surface + before);
  EXPECT_GT(all, 10000);
  EXPECT_LT(behind / all, 0.01) << "rays go past points as if there were nothing";
  EXPECT_GT(on_surface / all, 0.2) << "what the camera sees of the points";
}

TEST(RayCasterTest, NoThreadsAreStarted) {
  const Scene scene = MakeScene(4, 1, 2);
  RayCaster caster(scene);
  caster.SetFrame(1);
  EXPECT_TRUE(
      caster.Cast({scene.ego[0] * Vector3d(1, 0, 2), scene.ego[0].linear() * Vector3d(1, 0, -0.2)}).has_value());
  int threads = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++threads;
  EXPECT_EQ(threads, 1);
}

}  // namespace
}  // namespace cubist
