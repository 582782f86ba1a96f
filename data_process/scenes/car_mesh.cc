#include "data_process/scenes/car_mesh.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>
#include <utility>

#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr double kPi = 3.14159265358979323846;

struct Builder {
  std::vector<Vector3> vertices;
  std::vector<std::array<int32_t, 3>> faces;

  int32_t Vertex(const Vector3& v) {
    vertices.push_back(v);
    return static_cast<int32_t>(vertices.size()) - 1;
  }

  // A closed surface through rings of equally many vertices. Seen from the last ring, looking back at the
  // first, each ring runs counter-clockwise; both ends are closed by fans around their middle.
  void Loft(const std::vector<std::vector<Vector3>>& rings) {
    const int32_t first = static_cast<int32_t>(vertices.size());
    const int32_t ring_size = static_cast<int32_t>(rings[0].size());
    for (const auto& ring : rings) vertices.insert(vertices.end(), ring.begin(), ring.end());
    const int32_t last = static_cast<int32_t>(rings.size()) - 1;
    for (int32_t r = 0; r < last; ++r) {
      for (int32_t k = 0; k < ring_size; ++k) {
        const int32_t a = first + r * ring_size + k, b = first + r * ring_size + (k + 1) % ring_size;
        faces.push_back({a, b, a + ring_size});
        faces.push_back({b, b + ring_size, a + ring_size});
      }
    }
    for (const int32_t end : {0, last}) {
      Vector3 middle = {0, 0, 0};
      for (const Vector3& v : rings[end]) {
        for (int axis = 0; axis < 3; ++axis) middle[axis] += v[axis] / ring_size;
      }
      const int32_t centre = Vertex(middle);
      for (int32_t k = 0; k < ring_size; ++k) {
        const int32_t a = first + end * ring_size + k, b = first + end * ring_size + (k + 1) % ring_size;
        if (end == 0) {
          faces.push_back({centre, b, a});
        } else {
          faces.push_back({centre, a, b});
        }
      }
    }
  }
};

// Piecewise linear through (x, value) pairs in ascending x.
double Interpolate(const std::vector<std::array<double, 2>>& curve, double x) {
  if (x <= curve.front()[0]) return curve.front()[1];
  for (size_t i = 1; i < curve.size(); ++i) {
    if (x <= curve[i][0]) {
      const double t = (x - curve[i - 1][0]) / (curve[i][0] - curve[i - 1][0]);
      return curve[i - 1][1] + t * (curve[i][1] - curve[i - 1][1]);
    }
  }
  return curve.back()[1];
}

// Body and cabin in one skin, as cross sections along x (rear to front). Metres, ground at z = 0, for a car
// about 3.8 m long, 1.8 m wide and 1.5 m high; our own drawing.
void AddHull(Builder* builder) {
  const std::vector<std::array<double, 2>> top = {{-1.88, 0.72}, {-1.84, 0.92}, {-1.72, 1.04}, {-1.25, 1.40},
                                                  {-0.90, 1.47}, {-0.30, 1.49}, {0.20, 1.44},  {0.50, 1.33},
                                                  {1.05, 0.99},  {1.45, 0.90},  {1.74, 0.80},  {1.90, 0.60}};
  const std::vector<std::array<double, 2>> bottom = {{-1.88, 0.40}, {-1.70, 0.26}, {-1.20, 0.19},
                                                     {1.20, 0.19},  {1.72, 0.24},  {1.90, 0.34}};
  const std::vector<std::array<double, 2>> belt = {{-1.88, 0.66}, {-1.70, 0.88}, {-0.60, 0.93},
                                                   {0.90, 0.88},  {1.60, 0.76},  {1.90, 0.50}};
  const std::vector<std::array<double, 2>> half_width = {{-1.88, 0.70}, {-1.72, 0.85}, {-1.10, 0.90}, {0.00, 0.905},
                                                         {1.10, 0.89},  {1.60, 0.82},  {1.90, 0.60}};
  constexpr int kSections = 28;
  std::vector<std::vector<Vector3>> rings;
  for (int s = 0; s <= kSections; ++s) {
    const double x = -1.88 + (1.90 + 1.88) * s / kSections;
    const double z0 = Interpolate(bottom, x), z1 = Interpolate(belt, x), z2 = Interpolate(top, x);
    const double w = Interpolate(half_width, x);
    // The higher the cabin stands above the belt line, the more its sides lean in.
    const double roof = w - 0.02 - 0.38 * (z2 - z1);
    const std::vector<std::array<double, 2>> left = {{0.0, z0},
                                                     {0.5 * w, z0},
                                                     {0.88 * w, z0 + 0.02},
                                                     {0.98 * w, z0 + 0.12},
                                                     {w, z0 + 0.55 * (z1 - z0)},
                                                     {0.985 * w, z1},
                                                     {roof + 0.45 * (0.985 * w - roof), z1 + 0.5 * (z2 - z1)},
                                                     {0.96 * roof, z1 + 0.92 * (z2 - z1)},
                                                     {0.72 * roof, z2 - 0.01 * (z2 - z1)},
                                                     {0.0, z2}};
    std::vector<Vector3> ring;
    for (const auto& p : left) ring.push_back({x, p[0], p[1]});
    for (size_t i = left.size() - 1; i-- > 1;) ring.push_back({x, -left[i][0], left[i][1]});
    rings.push_back(std::move(ring));
  }
  builder->Loft(rings);
}

// A wheel around (x, y): a cylinder along y with bevelled edges, standing on z = 0.
void AddWheel(double x, double y, Builder* builder) {
  constexpr double kRadius = 0.31, kHalfThickness = 0.10, kBevel = 0.03;
  constexpr int kSegments = 20;
  const std::array<std::array<double, 2>, 4> profile = {{{-kHalfThickness, kRadius - kBevel},
                                                         {-kHalfThickness + kBevel, kRadius},
                                                         {kHalfThickness - kBevel, kRadius},
                                                         {kHalfThickness, kRadius - kBevel}}};
  std::vector<std::vector<Vector3>> rings;
  for (const auto& [offset, radius] : profile) {
    std::vector<Vector3> ring;
    for (int k = 0; k < kSegments; ++k) {
      const double angle = 2 * kPi * k / kSegments;
      ring.push_back({x + radius * std::sin(angle), y + offset, kRadius + radius * std::cos(angle)});
    }
    rings.push_back(std::move(ring));
  }
  builder->Loft(rings);
}

struct Bounds {
  Vector3 low, high;
};

Bounds BoundsOf(const HostTensor& vertices) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Bounds bounds{{kInfinity, kInfinity, kInfinity}, {-kInfinity, -kInfinity, -kInfinity}};
  const float* v = vertices.data<float>();
  for (int64_t i = 0; i < vertices.size(); ++i) {
    bounds.low[i % 3] = std::min(bounds.low[i % 3], double{v[i]});
    bounds.high[i % 3] = std::max(bounds.high[i % 3], double{v[i]});
  }
  return bounds;
}

// Stretches and moves the vertices so that their bounding box has kCarExtents around the origin.
TriangleMesh Finish(const Builder& builder) {
  Vector3 low = builder.vertices[0], high = low;
  for (const Vector3& v : builder.vertices) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], v[axis]);
      high[axis] = std::max(high[axis], v[axis]);
    }
  }
  std::vector<float> vertices;
  for (const Vector3& v : builder.vertices) {
    for (int axis = 0; axis < 3; ++axis) {
      const double centre = (low[axis] + high[axis]) / 2;
      vertices.push_back(static_cast<float>((v[axis] - centre) * kCarExtents[axis] / (high[axis] - low[axis])));
    }
  }
  std::vector<int32_t> faces;
  for (const auto& face : builder.faces) faces.insert(faces.end(), face.begin(), face.end());
  return {HostTensor::Of(vertices, {static_cast<int64_t>(builder.vertices.size()), 3}),
          HostTensor::Of(faces, {static_cast<int64_t>(builder.faces.size()), 3})};
}

}  // namespace

TriangleMesh MakeCarMesh() {
  Builder builder;
  AddHull(&builder);
  for (const double x : {-1.17, 1.20}) {
    for (const double y : {-0.80, 0.80}) AddWheel(x, y, &builder);
  }
  return Finish(builder);
}

Vector3 Extents(const TriangleMesh& mesh) {
  if (mesh.vertices.size() == 0) return {0, 0, 0};
  const Bounds bounds = BoundsOf(mesh.vertices);
  return {bounds.high[0] - bounds.low[0], bounds.high[1] - bounds.low[1], bounds.high[2] - bounds.low[2]};
}

absl::StatusOr<TriangleMesh> LoadCarMesh(const Data& data) {
  std::string path = data.car_mesh();
  if (path.empty() && !data.assets_root().empty()) {
    std::error_code error;
    path = data.assets_root() + "/car.ply";
    if (!std::filesystem::exists(path, error)) path.clear();
  }
  if (path.empty()) return MakeCarMesh();
  absl::StatusOr<std::string> bytes = ReadWholeFile(path);
  if (!bytes.ok()) return Annotate(bytes.status(), "data.car_mesh");
  ASSIGN_OR_RETURN(TriangleMesh mesh, ParsePly(*bytes, path));
  const Vector3 extents = Extents(mesh);
  if (mesh.faces.size() == 0 || !(extents[0] > 0 && extents[1] > 0 && extents[2] > 0)) {
    return DataError(path + ": a car mesh needs triangles and an extent along all three axes; this one has " +
                     std::to_string(mesh.faces.shape()[0]) + " triangles and " + std::to_string(extents[0]) + " x " +
                     std::to_string(extents[1]) + " x " + std::to_string(extents[2]) + " m");
  }
  return mesh;
}

std::vector<Vector3> PlaceCar(const TriangleMesh& mesh, const Vector3& extents, const Vector3& lwh,
                              const Matrix4& transform) {
  std::vector<Vector3> placed;
  const float* v = mesh.vertices.data<float>();
  const int64_t count = mesh.vertices.shape()[0];
  placed.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i, v += 3) {
    placed.push_back(
        Apply(transform, {v[0] * lwh[0] / extents[0], v[1] * lwh[1] / extents[1], v[2] * lwh[2] / extents[2]}));
  }
  return placed;
}

}  // namespace cubist
