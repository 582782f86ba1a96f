#include "data_process/synthesis/frame_renderer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "base/parallel_for.h"
#include "data_process/synthesis/point_cloud.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

constexpr int kWidth = 208, kHeight = 120;

bool Equal(const HostTensor& a, const HostTensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.bytes(), b.bytes(), a.byte_size()) == 0;
}

// A camera as the data has it: OpenCV axes, intrinsics scaled by each axis' own factor.
struct DataCamera {
  DataCamera(const Scene& scene, int frame, int width, int height) {
    const Isometry3d flu = scene.ego[frame] * scene.camera_to_vehicle;
    to_street = flu;
    to_street.linear() << -flu.linear().col(1), -flu.linear().col(2), flu.linear().col(0);
    fx = 2060 * width / 1920.0;
    fy = 2060 * height / 1280.0;
    cx = 960 * width / 1920.0;
    cy = 640 * height / 1280.0;
  }
  Vector3d PointAt(double u, double v, double z) const {
    return to_street * Vector3d((u - cx) / fx * z, (v - cy) / fy * z, z);
  }
  Isometry3d to_street;
  double fx, fy, cx, cy;
};

TEST(FrameRendererTest, TheSameWhateverTheThreadsAndTheFramesBefore) {
  const Scene scene = MakeScene(2, 1, 6);
  SetParallelThreads(1);
  FrameRenderer one(scene, 2, 1, kWidth, kHeight);
  const RenderedFrame first = one.Render(4, true);
  SetParallelThreads(3);
  FrameRenderer three(scene, 2, 1, kWidth, kHeight);
  const RenderedFrame buffers = three.Render(0, false), second = three.Render(4, true);
  SetParallelThreads(1);
  EXPECT_TRUE(Equal(first.image, second.image));
  EXPECT_TRUE(Equal(first.sky, second.sky));
  EXPECT_TRUE(Equal(first.depth, second.depth));
  EXPECT_TRUE(Equal(first.classes, second.classes));
  EXPECT_TRUE(Equal(first.instances, second.instances));
  EXPECT_EQ(buffers.image.size(), 0);
  EXPECT_FALSE(Equal(buffers.depth, second.depth)) << "the vehicle moves";
  // Other looks, the same things.
  const RenderedFrame other = FrameRenderer(scene, 3, 1, kWidth, kHeight).Render(4, true);
  EXPECT_FALSE(Equal(first.image, other.image));
  EXPECT_TRUE(Equal(first.classes, other.classes));
}

TEST(FrameRendererTest, BuffersAgreeWithEachOther) {
  for (const uint64_t clip : {0, 1, 2, 3, 4, 5}) {
    const Scene scene = MakeScene(6, clip, 3);
    const RenderedFrame frame = FrameRenderer(scene, 6, clip, kWidth, kHeight).Render(2, true);
    std::set<int> numbers;
    for (const SceneObject& object : scene.objects) {
      if (object.type == "car") numbers.insert(object.number);
    }
    int64_t sky = 0, far = 0, cars = 0;
    for (int64_t pixel = 0; pixel < kWidth * kHeight; ++pixel) {
      const bool is_sky = frame.sky.data<bool>()[pixel];
      const int depth = frame.depth.data<uint16_t>()[pixel], label = frame.classes.data<uint8_t>()[pixel],
                instance = frame.instances.data<uint16_t>()[pixel];
      EXPECT_EQ(is_sky, label == 0);
      EXPECT_TRUE(!is_sky || depth == 0);
      EXPECT_LT(label, kSemanticClassCount);
      far += !is_sky && depth == 0;
      EXPECT_EQ(instance > 0, label == 1 || label == 2) << "only vehicles have instances here";
      EXPECT_TRUE(instance == 0 || numbers.count(instance) == 1) << instance;
      cars += instance > 0;
      sky += is_sky;
      // The sky is above: the backdrop closes the view below the horizon.
      EXPECT_FALSE(is_sky && pixel / kWidth > kHeight / 2 + 2);
    }
    EXPECT_GT(sky, kWidth * kHeight / 50);
    EXPECT_GT(cars, kWidth * kHeight / 200);
    EXPECT_LT(far, kWidth * kHeight / 50) << "beyond 655 m are hills at most";
  }
}

// Pixels of the road, lifted into space with the depth and the data's pinhole, lie on the road within 8 mm; half a
// pixel would be 13 mm or more.
TEST(FrameRendererTest, DepthAndPixelsAreThoseOfTheDataPinhole) {
  for (const uint64_t clip : {0, 1, 2}) {
    const Scene scene = MakeScene(7, clip, 3);
    constexpr int kFullWidth = 832, kFullHeight = 480;
    const RenderedFrame frame = FrameRenderer(scene, 7, clip, kFullWidth, kFullHeight).Render(1, false);
    const DataCamera camera(scene, 1, kFullWidth, kFullHeight);
    int64_t checked = 0;
    for (int v = 0; v < kFullHeight; ++v) {
      for (int u = 0; u < kFullWidth; u += 3) {
        const int64_t pixel = int64_t{v} * kFullWidth + u;
        if (frame.classes.data<uint8_t>()[pixel] != static_cast<uint8_t>(SemanticClass::kRoad)) continue;
        // The middle of the centimetre that was cut off.
        const double z = (frame.depth.data<uint16_t>()[pixel] + 0.5) / 100;
        if (z < 20 || z > 38) continue;
        const Vector3d point = camera.PointAt(u, v, z);
        const double d = scene.layout.curve.Project(point.head<2>(), point.x()).y();
        ASSERT_NEAR(point.z(), scene.layout.RoadHeight(d), 0.008) << u << " " << v << " at " << z;
        ++checked;
      }
    }
    EXPECT_GT(checked, 500);
  }
}

// Points of the cloud, projected by the data's pinhole: none is in front of the depth image, and those that a ray finds
// visible have its depth. Tolerance 5 cm and 2 %, within a pixel; 99 % of the points.
TEST(FrameRendererTest, ProjectedPointsHaveTheDepthOfTheImage) {
  const Scene scene = MakeScene(4, 2, 2);
  constexpr int kFullWidth = 832, kFullHeight = 480;
  const RenderedFrame frame = FrameRenderer(scene, 4, 2, kFullWidth, kFullHeight).Render(0, false);
  const DataCamera camera(scene, 0, kFullWidth, kFullHeight);
  const RayCaster caster(scene);
  const LabelledPoints cloud = StaticPoints(scene, 4, 2, 0.3);
  int64_t points = 0, in_front = 0, visible = 0, agree = 0;
  for (size_t k = 0; k < cloud.labels.size(); ++k) {
    const Vector3d street = scene.ego[0] * Vector3d(cloud.xyz[3 * k], cloud.xyz[3 * k + 1], cloud.xyz[3 * k + 2]);
    const Vector3d p = camera.to_street.inverse() * street;
    const int u = static_cast<int>(std::lround(camera.fx * p.x() / p.z() + camera.cx)),
              v = static_cast<int>(std::lround(camera.fy * p.y() / p.z() + camera.cy));
    if (p.z() < 1 || p.z() > 80 || u < 1 || v < 1 || u >= kFullWidth - 1 || v >= kFullHeight - 1) continue;
    double nearest = kNoHit, farthest = 0;
    for (int dv = -1; dv <= 1; ++dv) {
      for (int du = -1; du <= 1; ++du) {
        const int depth = frame.depth.data<uint16_t>()[int64_t{v + dv} * kFullWidth + u + du];
        const double z = depth == 0 ? kNoHit : depth / 100.0;
        nearest = std::min(nearest, z);
        farthest = std::max(farthest, z);
      }
    }
    ++points;
    const double slack = 0.05 + 0.02 * p.z();
    in_front += p.z() < nearest - slack;
    // The surface's own distance, where noise does not hide the point.
    const Vector3d origin = camera.to_street.translation();
    const auto hit = caster.Cast({origin, street - origin});
    if (!hit.has_value() || std::abs(hit->distance - 1) * p.z() > 0.03) continue;
    ++visible;
    agree += p.z() > nearest - slack && p.z() < farthest + slack;
  }
  EXPECT_GT(visible, 3000);
  EXPECT_LT(in_front, points / 100);
  EXPECT_GT(agree, visible * 99 / 100);
}

TEST(FrameRendererTest, CarsMoveByWhatTheirTracksSay) {
  const Scene scene = MakeScene(9, 0, 12);
  FrameRenderer renderer(scene, 9, 0, 416, 240);
  // The mean place of each car's pixels in the street.
  const auto places = [&](int frame) {
    const RenderedFrame rendered = renderer.Render(frame, false);
    const DataCamera camera(scene, frame, 416, 240);
    std::map<int, std::pair<Vector3d, int>> sums;
    for (int v = 0; v < 240; ++v) {
      for (int u = 0; u < 416; ++u) {
        const int64_t pixel = int64_t{v} * 416 + u;
        const int number = rendered.instances.data<uint16_t>()[pixel];
        if (number == 0) continue;
        auto& [sum, count] = sums.emplace(number, std::pair(Vector3d(0, 0, 0), 0)).first->second;
        sum += camera.PointAt(u, v, rendered.depth.data<uint16_t>()[pixel] / 100.0);
        ++count;
      }
    }
    return sums;
  };
  const auto before = places(2), after = places(6);
  int moving = 0, standing = 0;
  for (const SceneObject& object : scene.objects) {
    const auto a = before.find(object.number), b = after.find(object.number);
    if (a == before.end() || b == after.end() || a->second.second < 60 || b->second.second < 60) continue;
    // As much of it is seen in both frames.
    if (std::abs(a->second.second - b->second.second) > a->second.second / 3) continue;
    const Vector3d seen = b->second.first / b->second.second - a->second.first / a->second.second;
    const Vector3d told = object.PoseAt(6)->translation() - object.PoseAt(2)->translation();
    EXPECT_LT((seen - told).norm(), 0.6) << object.id;
    (told.norm() > 1 ? moving : standing)++;
  }
  EXPECT_GE(moving, 1);
  EXPECT_GE(standing, 1);
}

TEST(FrameRendererTest, GroundInShadowIsDarker) {
  int compared = 0;
  for (const uint64_t clip : {0, 1, 2, 3}) {
    Scene scene = MakeScene(3, clip, 2);
    RandomStream random(3, clip, SceneStream::kWeather);
    scene.weather = MakeWeather(SkyKind::kClear, Daytime::kAfternoon, random);
    const RenderedFrame frame = FrameRenderer(scene, 3, clip, kWidth, kHeight).Render(0, true);
    const DataCamera camera(scene, 0, kWidth, kHeight);
    const RayCaster caster(scene);
    double sums[2] = {0, 0};
    int counts[2] = {0, 0};
    for (int v = kHeight / 2; v < kHeight; ++v) {
      for (int u = 0; u < kWidth; ++u) {
        const int64_t pixel = int64_t{v} * kWidth + u;
        if (frame.classes.data<uint8_t>()[pixel] != static_cast<uint8_t>(SemanticClass::kRoad)) continue;
        const Vector3d point = camera.PointAt(u, v, frame.depth.data<uint16_t>()[pixel] / 100.0);
        const bool in_shadow = caster.IsBlocked({point + Vector3d(0, 0, 0.03), scene.weather.to_sun}, 0, 300);
        sums[in_shadow] += frame.image.data<uint8_t>()[3 * pixel + 1];
        ++counts[in_shadow];
      }
    }
    if (counts[0] < 200 || counts[1] < 200) continue;
    EXPECT_LT(sums[1] / counts[1], 0.8 * sums[0] / counts[0]) << "clip " << clip;
    ++compared;
    // Without a sun there is no such difference.
    scene.weather = MakeWeather(SkyKind::kOvercast, Daytime::kAfternoon, random);
    const RenderedFrame dull = FrameRenderer(scene, 3, clip, kWidth, kHeight).Render(0, true);
    EXPECT_TRUE(Equal(dull.depth, frame.depth));
    EXPECT_FALSE(Equal(dull.image, frame.image));
  }
  EXPECT_GE(compared, 1);
}

TEST(FrameRendererTest, FogHidesWhatIsFar) {
  Scene scene = MakeScene(3, 1, 2);
  RandomStream random(3, 1, SceneStream::kWeather);
  const auto spread_beyond = [&](SkyKind sky) {
    scene.weather = MakeWeather(sky, Daytime::kMidday, random);
    const RenderedFrame frame = FrameRenderer(scene, 3, 1, kWidth, kHeight).Render(0, true);
    double sum = 0, squares = 0, count = 0;
    for (int64_t pixel = 0; pixel < kWidth * kHeight; ++pixel) {
      if (frame.depth.data<uint16_t>()[pixel] < 8000) continue;
      const double green = frame.image.data<uint8_t>()[3 * pixel + 1];
      sum += green;
      squares += green * green;
      ++count;
    }
    EXPECT_GT(count, 100);
    return std::sqrt(squares / count - sum * sum / count / count);
  };
  EXPECT_LT(spread_beyond(SkyKind::kFoggy), 0.5 * spread_beyond(SkyKind::kClear));
}

}  // namespace
}  // namespace cubist
