#include "data_process/synthesis/surface_look.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include "data_process/scenes/car_mesh.h"
#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/value_noise.h"

namespace cubist {
namespace {

using Eigen::Vector3d;
using Eigen::Vector3f;

constexpr double kStorey = 3.1;
constexpr float kGlassGloss = 0.24f;
const Vector3f kGlass(0.025f, 0.03f, 0.035f);
const Vector3f kRubber(0.02f, 0.02f, 0.02f);
const Vector3f kLampLight(1.0f, 0.72f, 0.36f);

constexpr std::array<std::array<float, 3>, 10> kCarColours = {{{0.62f, 0.62f, 0.60f},
                                                               {0.36f, 0.37f, 0.38f},
                                                               {0.11f, 0.12f, 0.13f},
                                                               {0.015f, 0.016f, 0.018f},
                                                               {0.03f, 0.08f, 0.26f},
                                                               {0.36f, 0.025f, 0.025f},
                                                               {0.04f, 0.13f, 0.08f},
                                                               {0.36f, 0.30f, 0.20f},
                                                               {0.02f, 0.035f, 0.09f},
                                                               {0.55f, 0.30f, 0.03f}}};
constexpr std::array<std::array<float, 3>, 9> kWallColours = {{{0.58f, 0.52f, 0.42f},
                                                               {0.34f, 0.13f, 0.085f},
                                                               {0.26f, 0.16f, 0.11f},
                                                               {0.46f, 0.44f, 0.40f},
                                                               {0.60f, 0.58f, 0.54f},
                                                               {0.52f, 0.36f, 0.22f},
                                                               {0.30f, 0.34f, 0.36f},
                                                               {0.55f, 0.44f, 0.36f},
                                                               {0.40f, 0.20f, 0.14f}}};
constexpr std::array<std::array<float, 3>, 4> kRoofColours = {
    {{0.26f, 0.09f, 0.055f}, {0.09f, 0.09f, 0.10f}, {0.16f, 0.11f, 0.085f}, {0.20f, 0.075f, 0.06f}}};
constexpr std::array<std::array<float, 3>, 5> kLeafColours = {{{0.075f, 0.15f, 0.035f},
                                                               {0.055f, 0.12f, 0.03f},
                                                               {0.10f, 0.17f, 0.04f},
                                                               {0.06f, 0.13f, 0.05f},
                                                               {0.16f, 0.16f, 0.035f}}};
constexpr std::array<std::array<float, 3>, 8> kClothColours = {{{0.45f, 0.07f, 0.06f},
                                                                {0.05f, 0.10f, 0.32f},
                                                                {0.50f, 0.48f, 0.44f},
                                                                {0.03f, 0.03f, 0.035f},
                                                                {0.42f, 0.30f, 0.05f},
                                                                {0.06f, 0.20f, 0.14f},
                                                                {0.20f, 0.10f, 0.22f},
                                                                {0.16f, 0.17f, 0.19f}}};

template <size_t N>
Vector3f Pick(const std::array<std::array<float, 3>, N>& colours, uint32_t word) {
  const auto& c = colours[HashWords(word, 1) % N];
  // No two houses have quite the same paint.
  const float shade = 0.85f + 0.3f * HashUnit(word, 2);
  return shade * Vector3f(c[0], c[1], c[2]);
}

// How much of a pattern with that period (m) can be seen: nothing below two pixels, all from six on.
float Visible(double period, double footprint) {
  return static_cast<float>(std::clamp((period / footprint - 2) / 4, 0.0, 1.0));
}

// 1 with a part of `contrast` up and down by noise.
float Mottled(float noise, float contrast) { return 1 + contrast * (2 * noise - 1); }

bool IsTriangle(const Patch& patch) { return patch.corners[2] == patch.corners[3]; }

// Distance to the nearest whole number.
double ToWhole(double x) { return std::abs(x - std::floor(x + 0.5)); }

}  // namespace

SurfaceLooks::SurfaceLooks(const Scene& scene, uint32_t seed, uint64_t clip)
    : scene_(scene), parts_(PartsOf(scene)), is_dark_(scene.weather.daytime == Daytime::kDusk) {
  RandomStream random(seed, clip, SceneStream::kLooks);
  const SceneObject* previous = nullptr;
  uint32_t word = 0;
  for (const ScenePart& part : parts_) {
    // All parts of an object have one word.
    if (part.object == nullptr || part.object != previous) word = random.Words()[0];
    previous = part.object;
    paints_.push_back(part.object != nullptr ? ObjectPaint(*part.object, *part.primitive, word)
                                             : SurfacePaint(*part.primitive, word));
  }
}

SurfaceLooks::Paint SurfaceLooks::SurfacePaint(const Primitive& primitive, uint32_t word) {
  const auto* box = std::get_if<Box>(&primitive.shape);
  switch (primitive.label) {
    case SemanticClass::kRoad:
      return {Pattern::kRoad, {0.115f, 0.115f, 0.12f}, {}, 1};
    case SemanticClass::kLaneMarker: {
      // A double line in the middle is yellow.
      const StreetLayout& layout = scene_.layout;
      const auto* patch = std::get_if<Patch>(&primitive.shape);
      const Vector3d middle = (patch->corners[0] + patch->corners[2]) / 2;
      const double d = layout.curve.Project(middle.head<2>(), middle.x()).y();
      const double width = (patch->corners[3] - patch->corners[0]).norm();
      const bool is_middle =
          width < 0.3 && std::abs(std::abs(d - layout.LaneBoundary(layout.lanes_forward)) - 0.15) < 0.06;
      return {Pattern::kMark, is_middle ? Vector3f(0.60f, 0.42f, 0.08f) : Vector3f(0.66f, 0.66f, 0.64f), {}, 2};
    }
    case SemanticClass::kCurb:
      return {Pattern::kSlabs, {0.36f, 0.355f, 0.34f}, {}, 3};
    case SemanticClass::kSidewalk:
      return {Pattern::kSlabs, {0.29f, 0.275f, 0.25f}, {}, 4};
    case SemanticClass::kWalkable:
      return {Pattern::kGrass, {0.085f, 0.135f, 0.035f}, {0.14f, 0.13f, 0.05f}, 5};
    case SemanticClass::kOtherGround:
      return {Pattern::kGround, {0.20f, 0.185f, 0.165f}, {}, 6};
    case SemanticClass::kBuilding: {
      if (box != nullptr && box->size.z() > 2) {
        house_ = word;
        return {Pattern::kFacade, Pick(kWallColours, word), {0.62f, 0.60f, 0.56f}, word};
      }
      if (box == nullptr && !primitive.is_seen && IsTriangle(std::get<Patch>(primitive.shape))) {
        return {Pattern::kPlain, Pick(kWallColours, word), {}, word};
      }
      if (box == nullptr) return {Pattern::kRoof, Pick(kRoofColours, house_), {}, house_};
      const Vector3f wall = Pick(kWallColours, house_);
      return {Pattern::kPlain, 0.5f * wall + Vector3f(0.2f, 0.2f, 0.19f), {}, house_};
    }
    case SemanticClass::kVegetation:
      return {Pattern::kLeaves, Pick(kLeafColours, word), {}, word};
    case SemanticClass::kTreeTrunk:
      return {Pattern::kBark, {0.10f, 0.072f, 0.05f}, {}, word};
    case SemanticClass::kPole:
      return {box != nullptr ? Pattern::kLamp : Pattern::kMetal, {0.17f, 0.18f, 0.18f}, {}, word};
    case SemanticClass::kTrafficLight:
      return {Pattern::kTrafficLight, {0.025f, 0.03f, 0.028f}, {}, word};
    case SemanticClass::kConstructionCone:
      return {Pattern::kCone, {0.62f, 0.13f, 0.02f}, {0.7f, 0.7f, 0.7f}, word};
    case SemanticClass::kBicycle:
      return {Pattern::kMetal, {0.05f, 0.05f, 0.06f}, {}, word};
    default:
      return {};
  }
}

SurfaceLooks::Paint SurfaceLooks::ObjectPaint(const SceneObject& object, const Primitive& primitive,
                                              uint32_t word) const {
  const auto* tube = std::get_if<Cylinder>(&primitive.shape);
  const auto* round = std::get_if<Ellipsoid>(&primitive.shape);
  switch (object.label) {
    case SemanticClass::kCar:
      return {Pattern::kCar, Pick(kCarColours, word), {}, word};
    case SemanticClass::kTruck:
      if (tube != nullptr) return {Pattern::kPlain, kRubber, {}, word};
      return {
          Pattern::kVan, HashUnit(word, 3) < 0.6f ? Vector3f(0.6f, 0.6f, 0.58f) : Pick(kCarColours, word), {}, word};
    case SemanticClass::kSign:
      return {Pattern::kSign, {0.02f, 0.09f, 0.38f}, {0.7f, 0.7f, 0.68f}, word};
    default:
      break;
  }
  // People; what a bicycle is made of is thin or wide.
  if (round != nullptr) {
    const bool is_head = round->radii.x() < 0.12;
    const Vector3f skin = Vector3f(0.42f, 0.26f, 0.18f) * (0.35f + 0.75f * HashUnit(word, 4));
    return {Pattern::kPlain, is_head ? skin : Pick(kClothColours, word), {}, word};
  }
  if (tube != nullptr && tube->radius == 0.08) return {Pattern::kPlain, Pick(kClothColours, word + 7) * 0.6f, {}, word};
  return {Pattern::kMetal, tube != nullptr && tube->radius > 0.2 ? kRubber : Pick(kCarColours, word), {}, word};
}

SurfaceLook SurfaceLooks::At(const RayHit& hit, double footprint) const {
  const Paint& paint = paints_[hit.part];
  const ScenePart& part = parts_[hit.part];
  const Vector3d& p = hit.local;
  SurfaceLook look;
  look.albedo = paint.colour;
  look.normal = hit.normal;
  const bool is_wet = scene_.weather.IsWet();
  switch (paint.pattern) {
    case Pattern::kPlain:
      break;
    case Pattern::kRoad: {
      const float wide = ValueNoise(p.x() * 0.35, p.y() * 0.35, 11), fine = ValueNoise(p.x() * 28, p.y() * 28, 12);
      look.albedo *= Mottled(wide, 0.16f) * Mottled(fine, 0.22f * Visible(0.07, footprint));
      // Repaired places are darker.
      if (ValueNoise(p.x() * 0.12, p.y() * 0.3, 13) > 0.83f) look.albedo *= 0.78f;
      if (is_wet) {
        look.albedo *= 0.5f;
        look.gloss = 0.03f * (0.3f + 1.4f * wide);
      }
      break;
    }
    case Pattern::kMark:
      look.albedo *= Mottled(ValueNoise(p.x() * 6, p.y() * 6, 14), 0.18f * Visible(0.3, footprint));
      if (is_wet) look.gloss = 0.02f;
      break;
    case Pattern::kSlabs: {
      const auto& patch = std::get<Patch>(part.primitive->shape);
      const Vector3d along = (patch.corners[1] - patch.corners[0]).normalized();
      const double x = (p - patch.corners[0]).dot(along), y = along.cross(hit.local_normal).dot(p - patch.corners[0]);
      const bool is_joint = ToWhole(x) < 0.015 || ToWhole(y / 0.75) < 0.02;
      const float visible = Visible(0.25, footprint);
      const auto slab =
          static_cast<uint32_t>(static_cast<int64_t>(std::floor(y / 0.75)) * 97 + static_cast<int64_t>(std::floor(x)));
      look.albedo *= Mottled(HashUnit(hit.part, slab), 0.10f * visible);
      look.albedo *= Mottled(ValueNoise(p.x() * 1.3, p.y() * 1.3, 15), 0.12f);
      if (is_joint) look.albedo *= 1 - 0.45f * Visible(0.12, footprint);
      if (is_wet) look.albedo *= 0.65f;
      break;
    }
    case Pattern::kGrass: {
      const float wide = FractalNoise(p.x() * 0.25, p.y() * 0.25, 3, 16);
      const float fine = ValueNoise(p.x() * 14, p.y() * 14, 17);
      look.albedo += (paint.second - paint.colour) * std::clamp(2.2f * wide - 0.7f, 0.0f, 1.0f);
      look.albedo *= Mottled(fine, 0.35f * Visible(0.14, footprint));
      break;
    }
    case Pattern::kGround:
      look.albedo *= Mottled(FractalNoise(p.x() * 0.3, p.y() * 0.3, 3, 18), 0.25f) *
                     Mottled(ValueNoise(p.x() * 12, p.y() * 12, 19), 0.16f * Visible(0.16, footprint));
      if (is_wet) look.albedo *= 0.65f;
      break;
    case Pattern::kFacade:
      Facade(paint, std::get<Box>(part.primitive->shape), hit, footprint, look);
      break;
    case Pattern::kRoof: {
      const auto& patch = std::get<Patch>(part.primitive->shape);
      const Vector3d up = (patch.corners[3] - patch.corners[0]).normalized();
      const double row = (p - patch.corners[0]).dot(up) / 0.32;
      if (row - std::floor(row) < 0.2) look.albedo *= 1 - 0.4f * Visible(0.32, footprint);
      look.albedo *= Mottled(ValueNoise(p.x() * 1.1, p.y() * 1.1, paint.seed), 0.18f);
      break;
    }
    case Pattern::kLeaves: {
      // Twigs ruffle the surface, and leave dark gaps.
      const float visible = Visible(0.5, footprint), fine = Visible(0.14, footprint);
      const float a = ValueNoise(p.x() * 3.2, p.y() * 3.2, p.z() * 3.2, paint.seed);
      const float b = ValueNoise(p.x() * 11, p.y() * 11, p.z() * 11, paint.seed + 77);
      const float c = ValueNoise(p.x() * 3.2 + 9, p.y() * 3.2, p.z() * 3.2, paint.seed + 154);
      look.albedo *= Mottled(a, 0.55f * visible) * Mottled(b, 0.5f * fine);
      const Vector3d ruffle((a - 0.5) + (b - 0.5) * fine, (c - 0.5) - (b - 0.5) * fine, (a - c) * 0.7);
      look.normal = (hit.normal + 1.1 * visible * ruffle).normalized();
      break;
    }
    case Pattern::kBark:
      look.albedo *= Mottled(ValueNoise(p.x() * 18 + p.y() * 18, p.z() * 3, paint.seed), 0.35f);
      break;
    case Pattern::kMetal:
      look.gloss = 0.03f;
      break;
    case Pattern::kLamp:
      if (is_dark_ && hit.local_normal.z() < -0.5) look.glow = 1.6f * kLampLight;
      break;
    case Pattern::kTrafficLight:
      TrafficLight(std::get<Box>(part.primitive->shape), hit, look);
      break;
    case Pattern::kSign:
      Sign(paint, std::get<Box>(part.primitive->shape), hit, look);
      break;
    case Pattern::kCone: {
      const auto& cone = std::get<Cylinder>(part.primitive->shape);
      const double height = (p - cone.base).z() / cone.axis.z();
      if (height > 0.45 && height < 0.7) look.albedo = paint.second;
      break;
    }
    case Pattern::kCar:
      Car(std::get<MeshInstance>(part.primitive->shape), hit, look);
      break;
    case Pattern::kVan:
      Van(paint, *part.object, *part.primitive, hit, look);
      break;
  }
  return look;
}

// Storeys of bays with a window each; shop windows and a door below in towns.
void SurfaceLooks::Facade(const Paint& paint, const Box& box, const RayHit& hit, double footprint,
                          SurfaceLook& look) const {
  const Eigen::Matrix3d turn = box.pose.linear().transpose();
  const Vector3d p = turn * (hit.local - box.pose.translation()), normal = turn * hit.local_normal;
  if (std::abs(normal.z()) > 0.5) {
    look.albedo = Vector3f(0.22f, 0.21f, 0.20f);
    return;
  }
  const bool is_end = std::abs(normal.x()) > 0.5;
  const double width = is_end ? box.size.y() : box.size.x();
  const double across = (is_end ? p.y() : p.x()) + width / 2, up = p.z() + box.size.z() / 2;
  look.albedo *= Mottled(FractalNoise(across * 0.6 + paint.seed % 1000, up * 0.6, 3, paint.seed), 0.16f);
  // Courses of stone or brick.
  const double course = up / 0.3;
  if (course - std::floor(course) < 0.12) look.albedo *= 1 - 0.16f * Visible(0.3, footprint);
  if (up < 0.5) look.albedo *= 0.7f;

  const double bays = std::max(1.0, std::round(width / (2.4 + 1.2 * HashUnit(paint.seed, 5))));
  const double at = across / width * bays;
  const auto bay = static_cast<uint32_t>(std::clamp(std::floor(at), 0.0, bays - 1));
  const auto storey = static_cast<uint32_t>(std::max(0.0, std::floor(up / kStorey)));
  // Metres from the middle of the bay, and above the floor.
  const double x = (at - bay - 0.5) * width / bays, z = up - storey * kStorey;
  if (storey > 0 && z < 0.14) look.albedo = 0.5f * (look.albedo + paint.second);
  // Walls that end within a storey have no window there; ends have few.
  if (box.size.z() - storey * kStorey < 2.7 || (is_end && HashUnit(paint.seed, bay, storey + 50) < 0.6f)) return;

  const double bay_width = width / bays;
  double half = std::min(0.36 * bay_width, 0.55 + 0.35 * HashUnit(paint.seed, 6)), low = 0.9, high = 2.35;
  const bool is_shop = scene_.layout.is_urban && storey == 0 && HashUnit(paint.seed, 7) < 0.55f && !is_end;
  const bool is_door = storey == 0 && !is_end && bay == HashWords(paint.seed, 8) % static_cast<uint32_t>(bays);
  if (is_shop) {
    half = 0.44 * bay_width;
    low = 0.5;
    high = 2.6;
  }
  if (is_door) {
    half = 0.55;
    low = 0;
    high = 2.15;
  }
  const double frame = 0.08;
  if (std::abs(x) > half + frame || z < low - frame || z > high + frame) return;
  if (std::abs(x) > half || z < low || z > high) {
    look.albedo = paint.second;
    return;
  }
  if (is_door) {
    look.albedo = Pick(kCarColours, paint.seed) * 0.7f;
    return;
  }
  if (std::abs(x) < 0.035 && !is_shop) {
    look.albedo = paint.second;
    return;
  }
  const float curtain = HashUnit(paint.seed, bay, storey + 100);
  look.albedo = curtain < 0.3f && z > low + 0.3 + curtain ? Vector3f(0.30f, 0.29f, 0.27f) : kGlass;
  look.gloss = kGlassGloss;
  if (is_dark_ && HashUnit(paint.seed, bay, storey + 200) < (is_shop ? 0.7f : 0.35f)) {
    look.glow = kLampLight * (0.25f + 0.35f * HashUnit(paint.seed, bay, storey + 300));
  }
}

// The mesh of data_process/scenes/car_mesh.h: glass above the belt line, lights at the ends, wheels.
void SurfaceLooks::Car(const MeshInstance& car, const RayHit& hit, SurfaceLook& look) const {
  const Vector3d p = (car.pose.inverse() * hit.local).cwiseQuotient(car.scale);
  const Vector3d n = (car.pose.linear().transpose() * hit.local_normal).cwiseProduct(car.scale).normalized();
  const double x = p.x(), z = p.z() + kCarExtents[2] / 2, y = std::abs(p.y());
  look.gloss = 0.05f;
  for (const double wheel : {-1.17, 1.20}) {
    const double away = std::hypot(x - wheel, z - 0.31);
    if (away < 0.315 && y > 0.71) {
      const bool is_rim = away < 0.19 && std::abs(n.y()) > 0.8;
      look.albedo = is_rim ? Vector3f(0.32f, 0.32f, 0.33f) : kRubber;
      look.gloss = is_rim ? 0.04f : 0;
      return;
    }
    if (away < 0.36 && z < 0.6) {
      look.albedo = kRubber;
      return;
    }
  }
  if (z < 0.32) {
    look.albedo = kRubber;
    return;
  }
  const bool is_side = std::abs(n.y()) > 0.45;
  const bool is_glass = is_side ? z > 0.96 && z < 1.36 && x > -1.45 + 0.5 * (z - 0.96) && x < 0.98 - 1.2 * (z - 0.96) &&
                                      std::abs(x + 0.28) > 0.045
                                : (x > 0.42 && z > 1.0 && z < 1.38 && x < 1.04) || (x < -1.22 && z > 1.06 && z < 1.39);
  if (is_glass) {
    look.albedo = kGlass;
    look.gloss = kGlassGloss * 0.8f;
    return;
  }
  if (x < -1.74 && z > 0.7 && z < 0.92 && y > 0.42) {
    look.albedo = Vector3f(0.32f, 0.012f, 0.01f);
    look.glow = Vector3f(is_dark_ ? 0.9f : 0.12f, 0.01f, 0.01f);
  } else if (x > 1.66 && z > 0.56 && z < 0.76 && y > 0.36) {
    look.albedo = Vector3f(0.6f, 0.6f, 0.58f);
    look.glow = is_dark_ ? Vector3f(1.5f, 1.45f, 1.25f) : Vector3f(0.1f, 0.1f, 0.1f);
  } else if (std::abs(x) > 1.78 && z > 0.5 && z < 0.62 && y < 0.26) {
    look.albedo = Vector3f(0.6f, 0.6f, 0.56f);
  } else if (is_side && z > 0.4 && z < 0.93 && (std::abs(x + 0.28) < 0.012 || std::abs(x - 0.72) < 0.012)) {
    look.albedo *= 0.35f;
  }
}

void SurfaceLooks::Van(const Paint& paint, const SceneObject& van, const Primitive& part, const RayHit& hit,
                       SurfaceLook& look) const {
  const Vector3d& p = hit.local;
  const double l = van.lwh.x(), h = van.lwh.z(), z = p.z() + h / 2;
  look.gloss = 0.04f;
  if (std::abs(hit.local_normal.z()) > 0.5) return;
  const Box& box = std::get<Box>(part.shape);
  const bool is_cab = box.pose.translation().x() > 0.25 * l;
  if (is_cab && z > 0.52 * h && z < 0.76 * h) {
    look.albedo = kGlass;
    look.gloss = kGlassGloss * 0.8f;
  } else if (hit.local_normal.x() < -0.5) {
    const double y = std::abs(p.y());
    if (y < 0.02) look.albedo *= 0.4f;
    if (y > 0.78 * van.lwh.y() / 2 && z > 0.8 && z < 1.15) {
      look.albedo = Vector3f(0.32f, 0.012f, 0.01f);
      look.glow = Vector3f(is_dark_ ? 0.9f : 0.12f, 0.01f, 0.01f);
    }
    if (z > 0.62 * h && z < 0.82 * h && y > 0.12 && y < 0.7) look.albedo = kGlass;
  } else if (HashUnit(paint.seed, 9) < 0.5f && z > 0.5 * h && z < 0.66 * h && !is_cab) {
    look.albedo = Pick(kClothColours, paint.seed);
  }
}

// Three lamps above each other; the lowest one is lit for those who drive along the street.
void SurfaceLooks::TrafficLight(const Box& box, const RayHit& hit, SurfaceLook& look) const {
  const Eigen::Matrix3d turn = box.pose.linear().transpose();
  const Vector3d p = turn * (hit.local - box.pose.translation()), n = turn * hit.local_normal;
  if (std::abs(n.x()) < 0.5) return;
  static const std::array<Vector3f, 3> kLamps = {Vector3f(0.1f, 1.1f, 0.5f), Vector3f(1.2f, 0.6f, 0.05f),
                                                 Vector3f(1.2f, 0.06f, 0.04f)};
  for (int lamp = 0; lamp < 3; ++lamp) {
    if (std::hypot(p.y(), p.z() + 0.28 - 0.28 * lamp) > 0.11) continue;
    look.albedo = 0.06f * kLamps[lamp];
    if (lamp == 0) look.glow = kLamps[0];
  }
}

void SurfaceLooks::Sign(const Paint& paint, const Box& box, const RayHit& hit, SurfaceLook& look) const {
  const Vector3d p = box.pose.inverse() * hit.local;
  const double y = p.y() / box.size.y(), z = p.z() / box.size.z(), middle = std::hypot(y, z);
  // The face looks along -x; its back is bare metal.
  if (hit.local_normal.x() > -0.5) {
    look.albedo = Vector3f(0.28f, 0.28f, 0.28f);
    return;
  }
  switch (HashWords(paint.seed, 10) % 3) {
    case 0:  // a limit: a red ring on white
      look.albedo = middle > 0.36 && middle < 0.47 ? Vector3f(0.5f, 0.02f, 0.02f) : paint.second;
      if (std::abs(y) > 0.05 && std::abs(y) < 0.2 && std::abs(z) < 0.18) look.albedo = kRubber;
      break;
    case 1:  // a place to park: white on blue
      if (std::max(std::abs(y), std::abs(z)) > 0.44 || (std::abs(y - 0.1) < 0.05 && std::abs(z) < 0.3) ||
          (std::hypot(y, z - 0.13) < 0.17 && std::hypot(y, z - 0.13) > 0.08 && y < 0.1)) {
        look.albedo = paint.second;
      }
      break;
    default:  // a warning: black on yellow
      look.albedo = Vector3f(0.62f, 0.42f, 0.02f);
      if (std::max(std::abs(y), std::abs(z)) > 0.44 ||
          (std::abs(y) < 0.06 && (z > -0.12 ? z < 0.3 : z < -0.2 && z > -0.3)))
        look.albedo = kRubber;
  }
}

}  // namespace cubist
