#include "data_process/synthesis/primitive.h"

#include <algorithm>
#include <cmath>

namespace cubist {
namespace {

using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
// Part of a cell over which a point may lie: leaves no large holes, shows no regular grid.
constexpr double kJitter = 0.6;
constexpr double kNoise = 0.01;

double Unit(uint32_t word) { return (word + 0.5) * 0x1.0p-32; }
// Uniform in [0.5 - jitter/2, 0.5 + jitter/2].
double Jittered(uint32_t word) { return 0.5 + kJitter * (Unit(word) - 0.5); }

// Three small offsets from one word of ten bits each.
Vector3d Noise(uint32_t word) {
  const auto part = [word](int shift) { return ((word >> shift & 1023) / 1023.0 * 2 - 1) * kNoise; };
  return Vector3d(part(0), part(10), part(20));
}

int Cells(double length, double spacing) { return std::max(1, static_cast<int>(std::ceil(length / spacing - 1e-9))); }

// The two edge lengths that a grid over the patch has to cover.
std::array<double, 2> EdgeLengths(const Patch& patch) {
  const auto& c = patch.corners;
  return {std::max((c[1] - c[0]).norm(), (c[2] - c[3]).norm()), std::max((c[3] - c[0]).norm(), (c[2] - c[1]).norm())};
}

double Area(const Patch& patch) {
  const auto& c = patch.corners;
  return 0.5 * ((c[1] - c[0]).cross(c[2] - c[0]).norm() + (c[2] - c[0]).cross(c[3] - c[0]).norm());
}

void Append(const Patch& patch, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  const auto& c = patch.corners;
  const auto [length_u, length_v] = EdgeLengths(patch);
  const int cells_u = Cells(length_u, spacing), cells_v = Cells(length_v, spacing);
  for (int i = 0; i < cells_u; ++i) {
    for (int j = 0; j < cells_v; ++j) {
      const auto words = random.Words();
      const double u = (i + Jittered(words[0])) / cells_u, v = (j + Jittered(words[1])) / cells_v;
      points.push_back((1 - v) * ((1 - u) * c[0] + u * c[1]) + v * ((1 - u) * c[3] + u * c[2]) + Noise(words[2]));
    }
  }
}

// The patches of a box's seen faces.
std::vector<Patch> Faces(const Box& box) {
  std::vector<Patch> faces;
  for (int face = 0; face < 6; ++face) {
    if (!box.seen[face]) continue;
    const int axis = face / 2, first = (axis + 1) % 3, second = (axis + 2) % 3;
    Patch patch;
    for (int corner = 0; corner < 4; ++corner) {
      Vector3d p;
      p[axis] = face % 2 == 0 ? -0.5 : 0.5;
      p[first] = corner == 1 || corner == 2 ? 0.5 : -0.5;
      p[second] = corner >= 2 ? 0.5 : -0.5;
      patch.corners[corner] = box.pose * p.cwiseProduct(box.size);
    }
    faces.push_back(patch);
  }
  return faces;
}

double Area(const Box& box) {
  double area = 0;
  for (const Patch& face : Faces(box)) area += Area(face);
  return area;
}

void Append(const Box& box, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  for (const Patch& face : Faces(box)) Append(face, spacing, random, points);
}

double Area(const Cylinder& cylinder) { return 2 * kPi * cylinder.radius * cylinder.axis.norm(); }

void Append(const Cylinder& cylinder, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  const double length = cylinder.axis.norm();
  const Vector3d along = cylinder.axis / length;
  const Vector3d side = along.unitOrthogonal(), other = along.cross(side);
  const int around = std::max(2, Cells(2 * kPi * cylinder.radius, spacing)), up = Cells(length, spacing);
  for (int i = 0; i < up; ++i) {
    for (int j = 0; j < around; ++j) {
      const auto words = random.Words();
      const double angle = 2 * kPi * (j + Jittered(words[1])) / around;
      points.push_back(cylinder.base + along * (length * (i + Jittered(words[0])) / up) +
                       cylinder.radius * (std::cos(angle) * side + std::sin(angle) * other) + Noise(words[2]));
    }
  }
}

// Knud Thomsen's approximation of an ellipsoid's area, within 1.1 %.
double Area(const Ellipsoid& ellipsoid) {
  constexpr double p = 1.6075;
  const double a = std::pow(ellipsoid.radii.x(), p), b = std::pow(ellipsoid.radii.y(), p),
               c = std::pow(ellipsoid.radii.z(), p);
  return 4 * kPi * std::pow((a * b + a * c + b * c) / 3, 1 / p);
}

// Points of a golden-angle spiral on the unit sphere, turned by a random angle.
void Append(const Ellipsoid& ellipsoid, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  const double golden_angle = kPi * (3 - std::sqrt(5.0));
  const int count = std::max(4, static_cast<int>(std::ceil(Area(ellipsoid) / (spacing * spacing))));
  const double turn = random.Uniform(0, 2 * kPi);
  for (int k = 0; k < count; ++k) {
    const auto words = random.Words();
    const double z = 1 - 2 * (k + Jittered(words[0])) / count;
    const double angle = turn + golden_angle * k;
    const double flat = std::sqrt(std::max(0.0, 1 - z * z));
    const Vector3d direction(flat * std::cos(angle), flat * std::sin(angle), z);
    points.push_back(ellipsoid.centre +
                     (1 - ellipsoid.depth * Unit(words[1])) * direction.cwiseProduct(ellipsoid.radii) +
                     Noise(words[2]));
  }
}

// Corners of a mesh's triangles that a lidar sees (not those that face the ground), placed.
std::vector<std::array<Vector3d, 3>> SeenTriangles(const MeshInstance& instance) {
  const float* vertices = instance.mesh->vertices.data<float>();
  const int32_t* faces = instance.mesh->faces.data<int32_t>();
  std::vector<std::array<Vector3d, 3>> triangles;
  for (int64_t f = 0; f < instance.mesh->faces.shape()[0]; ++f) {
    std::array<Vector3d, 3> corners;
    for (int k = 0; k < 3; ++k) {
      const float* vertex = vertices + 3 * static_cast<int64_t>(faces[3 * f + k]);
      corners[k] = Vector3d(vertex[0], vertex[1], vertex[2]).cwiseProduct(instance.scale);
    }
    const Vector3d normal = (corners[1] - corners[0]).cross(corners[2] - corners[0]);
    if (normal.z() < -0.7 * normal.norm()) continue;
    for (Vector3d& corner : corners) corner = instance.pose * corner;
    triangles.push_back(corners);
  }
  return triangles;
}

double Area(const std::array<Vector3d, 3>& triangle) {
  return 0.5 * (triangle[1] - triangle[0]).cross(triangle[2] - triangle[0]).norm();
}

double Area(const MeshInstance& instance) {
  double area = 0;
  for (const auto& triangle : SeenTriangles(instance)) area += Area(triangle);
  return area;
}

// One point in every stratum of spacing squared of the running area: even over triangles of any size.
void Append(const MeshInstance& instance, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  const double stratum = spacing * spacing;
  double until = 0, next = stratum * random.Uniform();
  for (const auto& triangle : SeenTriangles(instance)) {
    until += Area(triangle);
    for (; next < until; next += stratum) {
      const auto words = random.Words();
      double u = Unit(words[0]), v = Unit(words[1]);
      if (u + v > 1) {
        u = 1 - u;
        v = 1 - v;
      }
      points.push_back(triangle[0] + u * (triangle[1] - triangle[0]) + v * (triangle[2] - triangle[0]) +
                       Noise(words[2]));
    }
  }
}

}  // namespace

double SeenArea(const Primitive& primitive) {
  if (!primitive.is_seen) return 0;
  return std::visit([](const auto& shape) { return Area(shape); }, primitive.shape);
}

void AppendPoints(const Primitive& primitive, double spacing, RandomStream& random, std::vector<Vector3d>& points) {
  if (!primitive.is_seen) return;
  std::visit([&](const auto& shape) { Append(shape, spacing, random, points); }, primitive.shape);
}

}  // namespace cubist
