#include "data_process/synthesis/frame_renderer.h"

#include <algorithm>
#include <cmath>

#include "base/parallel_for.h"
#include "data_process/scenes/intrinsics.h"
#include "data_process/synthesis/value_noise.h"

namespace cubist {
namespace {

using Eigen::Vector3d;
using Eigen::Vector3f;

constexpr double kMostShadow = 400;  // m that a shadow reaches
constexpr double kContact = 0.7;     // m above the ground within which something takes the light of the sky
constexpr double kContactRange = 70;
constexpr float kGroundAlbedo = 0.16f;
constexpr float kBrightest = 16;
constexpr int kCurveSteps = 4096;
// Difference of neighbours, of 255, from which a pixel is looked at again.
constexpr int kEdge = 20;
constexpr double kBeyondDepth = 655.36;

Vector3f Smooth(const Vector3f& a, const Vector3f& b, float part_of_b) { return a + part_of_b * (b - a); }

float SmoothStep(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

bool IsGround(SemanticClass label) {
  switch (label) {
    case SemanticClass::kRoad:
    case SemanticClass::kLaneMarker:
    case SemanticClass::kCurb:
    case SemanticClass::kSidewalk:
    case SemanticClass::kWalkable:
    case SemanticClass::kOtherGround:
      return true;
    default:
      return false;
  }
}

}  // namespace

FrameRenderer::FrameRenderer(const Scene& scene, uint32_t seed, uint64_t clip, int width, int height)
    : scene_(scene),
      width_(width),
      height_(height),
      intrinsics_(ScaleIntrinsics(kFrontIntrinsics, width, height)),
      caster_(scene),
      looks_(scene, seed, clip) {
  for (int k = 0; k <= kCurveSteps; ++k) {
    const double root = std::sqrt(static_cast<double>(kBrightest)) * k / kCurveSteps;
    curve_.push_back(static_cast<float>(255 * std::pow(1 - std::exp(-1.15 * root * root), 1 / 2.2)));
  }
}

Ray FrameRenderer::RayThrough(double u, double v) const {
  const auto& [fx, fy, cx, cy, width, height] = intrinsics_;
  return {camera_.translation(), camera_.linear() * Vector3d(1, -(u - cx) / fx, -(v - cy) / fy)};
}

Vector3f FrameRenderer::Sky(const Vector3d& direction, bool with_clouds) const {
  const Weather& weather = scene_.weather;
  const double up = std::max(0.0, direction.z());
  Vector3f colour = Smooth(weather.horizon, weather.zenith, static_cast<float>(std::sqrt(up)));
  const float facing = static_cast<float>(std::max(0.0, direction.dot(weather.to_sun)));
  const float facing4 = facing * facing * facing * facing, facing16 = facing4 * facing4 * facing4 * facing4;
  if (weather.HasSun()) {
    const float facing64 = facing16 * facing16 * facing16 * facing16;
    colour += weather.sunlight * (0.05f * facing4 + 0.10f * facing16 + 0.2f * facing64);
    if (facing > 0.99985f) colour += 8 * weather.sunlight;
  } else if (weather.daytime == Daytime::kDusk && weather.sky != SkyKind::kFoggy) {
    colour += Vector3f(0.34f, 0.13f, 0.04f) * (facing4 * static_cast<float>(1 - std::sqrt(up)));
  }
  if (!with_clouds || weather.cloud_cover <= 0) return colour;
  const double reach = 1.4 / (up + 0.12);
  const float noise = FractalNoise(direction.x() * reach + 40, direction.y() * reach + 40, 5, 21);
  if (!weather.HasSun()) return colour * (1 + 0.22f * (2 * noise - 1));
  const float edge = 0.66f - 0.36f * static_cast<float>(weather.cloud_cover);
  const float cover = SmoothStep(edge, edge + 0.16f, noise) * SmoothStep(0.01f, 0.12f, static_cast<float>(up));
  const Vector3f cloud = 0.24f * weather.sunlight + 0.45f * weather.ambient;
  return Smooth(colour, cloud * (1.12f - 0.35f * SmoothStep(edge + 0.1f, edge + 0.35f, noise)), 0.92f * cover);
}

Vector3f FrameRenderer::ColourOf(const Ray& ray, const RayHit& hit) const {
  const Weather& weather = scene_.weather;
  const double length = ray.direction.norm(), distance = hit.distance * length;
  const Vector3d direction = ray.direction / length, point = ray.origin + hit.distance * ray.direction;
  const float cosine = static_cast<float>(std::max(0.02, -direction.dot(hit.normal)));
  const SurfaceLook look = looks_.At(hit, hit.distance / intrinsics_[0] / std::sqrt(cosine));
  const bool is_ground = IsGround(caster_.parts()[hit.part].primitive->label);

  const Vector3d start = point + 1e-3 * hit.normal;
  float sun = 0;
  if (weather.HasSun()) {
    sun = static_cast<float>(std::max(0.0, look.normal.dot(weather.to_sun)));
    if (sun > 0 &&
        (hit.normal.dot(weather.to_sun) <= 0 || caster_.IsBlocked({start, weather.to_sun}, 0, kMostShadow))) {
      sun = 0;
    }
  }
  float open = 1;
  if (sun == 0 && is_ground && distance < kContactRange && caster_.IsBlocked({start, Vector3d::UnitZ()}, 0, kContact)) {
    open = 0.35f;
  }
  const float up = static_cast<float>(look.normal.z());
  const float sun_height = static_cast<float>(std::max(0.0, weather.to_sun.z()));
  const Vector3f from_ground = kGroundAlbedo * (sun_height * weather.sunlight + weather.ambient);
  const Vector3f light = 1.6f * sun * weather.sunlight +
                         open * ((0.55f + 0.45f * up) * weather.ambient + (0.5f - 0.5f * up) * from_ground);
  Vector3f colour = look.albedo.cwiseProduct(0.55f * light) + look.glow;

  if (look.gloss > 0) {
    const Vector3d mirrored = direction - 2 * direction.dot(hit.normal) * hit.normal;
    const float grazing = 1 - cosine, grazing2 = grazing * grazing;
    // Schlick's approximation; at grazing angles other things than sky are mirrored as well.
    const float part = look.gloss + (0.4f - std::min(0.4f, look.gloss)) * grazing2 * grazing2 * grazing;
    const Vector3f seen = mirrored.z() > 0 ? Sky(mirrored, false) : from_ground;
    colour += part * open * seen;
    if (sun > 0) {
      const float facing = static_cast<float>(std::max(0.0, mirrored.dot(weather.to_sun)));
      const float facing4 = facing * facing * facing * facing, facing16 = facing4 * facing4 * facing4 * facing4;
      colour += (3 * look.gloss * facing16 * facing16 * facing16 * facing16) * weather.sunlight;
    }
  }
  const float clear = static_cast<float>(std::exp(-weather.haze * distance));
  return Smooth(Sky(Vector3d(direction.x(), direction.y(), std::max(0.0, direction.z())), false), colour, clear);
}

Vector3f FrameRenderer::ColourAlong(const Ray& ray) const {
  const std::optional<RayHit> hit = caster_.Cast(ray);
  return hit.has_value() ? ColourOf(ray, *hit) : Sky(ray.direction.normalized(), true);
}

std::array<uint8_t, 3> FrameRenderer::Developed(const Vector3f& colour) const {
  std::array<uint8_t, 3> pixel;
  for (int c = 0; c < 3; ++c) {
    const float light = std::clamp(colour[c] * scene_.weather.exposure, 0.0f, kBrightest);
    const float at = std::sqrt(light / kBrightest) * kCurveSteps;
    const int step = std::min(static_cast<int>(at), kCurveSteps - 1);
    pixel[c] = static_cast<uint8_t>(curve_[step] + (at - step) * (curve_[step + 1] - curve_[step]) + 0.5f);
  }
  return pixel;
}

void FrameRenderer::RenderRow(int row, bool with_image, RenderedFrame& frame) const {
  for (int column = 0; column < width_; ++column) {
    const int64_t pixel = int64_t{row} * width_ + column;
    const Ray ray = RayThrough(column, row);
    const std::optional<RayHit> hit = caster_.Cast(ray);
    frame.sky.data<bool>()[pixel] = !hit.has_value();
    uint16_t depth = 0, instance = 0;
    uint8_t label = 0;
    if (hit.has_value()) {
      const ScenePart& part = caster_.parts()[hit->part];
      if (hit->distance < kBeyondDepth) depth = static_cast<uint16_t>(hit->distance * 100);
      label = static_cast<uint8_t>(part.primitive->label);
      if (part.object != nullptr && part.object->type == "car") instance = static_cast<uint16_t>(part.object->number);
    }
    frame.depth.data<uint16_t>()[pixel] = depth;
    frame.classes.data<uint8_t>()[pixel] = label;
    frame.instances.data<uint16_t>()[pixel] = instance;
    if (!with_image) continue;
    const auto rgb = Developed(hit.has_value() ? ColourOf(ray, *hit) : Sky(ray.direction.normalized(), true));
    std::copy(rgb.begin(), rgb.end(), frame.image.data<uint8_t>() + 3 * pixel);
  }
}

void FrameRenderer::SmoothRow(int row, const HostTensor& first, HostTensor& image) const {
  const uint8_t* colours = first.data<uint8_t>();
  const int64_t step = 3 * int64_t{width_};
  for (int column = 0; column < width_; ++column) {
    const uint8_t* rgb = colours + row * step + 3 * column;
    const auto differs = [rgb](const uint8_t* other) {
      return std::abs(rgb[0] - other[0]) + 2 * std::abs(rgb[1] - other[1]) + std::abs(rgb[2] - other[2]) > 4 * kEdge;
    };
    if (!((column > 0 && differs(rgb - 3)) || (column + 1 < width_ && differs(rgb + 3)) ||
          (row > 0 && differs(rgb - step)) || (row + 1 < height_ && differs(rgb + step)))) {
      continue;
    }
    // A turned square around the pixel's place.
    std::array<int, 3> sum = {2, 2, 2};
    for (const auto& [du, dv] : {std::pair(-0.125, -0.375), {0.375, -0.125}, {0.125, 0.375}, {-0.375, 0.125}}) {
      const auto sample = Developed(ColourAlong(RayThrough(column + du, row + dv)));
      for (int c = 0; c < 3; ++c) sum[c] += sample[c];
    }
    for (int c = 0; c < 3; ++c) image.data<uint8_t>()[row * step + 3 * column + c] = static_cast<uint8_t>(sum[c] / 4);
  }
}

RenderedFrame FrameRenderer::Render(int frame, bool with_image) {
  caster_.SetFrame(frame);
  camera_ = scene_.ego[frame] * scene_.camera_to_vehicle;
  const std::vector<int64_t> shape = {height_, width_};
  RenderedFrame rendered = {with_image ? HostTensor(DType::kUInt8, {height_, width_, 3}) : HostTensor(),
                            HostTensor(DType::kBool, shape), HostTensor(DType::kUInt16, shape),
                            HostTensor(DType::kUInt8, shape), HostTensor(DType::kUInt16, shape)};
  const auto for_rows = [this](const std::function<void(int)>& render_row) {
    ParallelFor(height_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) render_row(static_cast<int>(row));
    });
  };
  for_rows([&](int row) { RenderRow(row, with_image, rendered); });
  if (!with_image) return rendered;
  HostTensor smooth(DType::kUInt8, {height_, width_, 3});
  std::copy_n(rendered.image.data<uint8_t>(), rendered.image.size(), smooth.data<uint8_t>());
  for_rows([&](int row) { SmoothRow(row, rendered.image, smooth); });
  rendered.image = smooth;
  return rendered;
}

}  // namespace cubist
