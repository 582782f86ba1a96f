#include "data_process/synthesis/ray_intersection.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cubist {
namespace {

using Eigen::AlignedBox3d;
using Eigen::Isometry3d;
using Eigen::Vector2d;
using Eigen::Vector3d;

// How far beyond an edge, in parts of its length, still counts as on it: much more than rounding.
constexpr double kEdge = 1e-9;

// Real solutions of a x^2 + b x + c = 0, without loss of digits where a is small; how many there are.
int SolveQuadratic(double a, double b, double c, std::array<double, 2>& x) {
  const double discriminant = b * b - 4 * a * c;
  if (discriminant < 0) return 0;
  const double q = -0.5 * (b + std::copysign(std::sqrt(discriminant), b));
  int count = 0;
  if (a != 0) x[count++] = q / a;
  if (q != 0) x[count++] = c / q;
  return count;
}

// Where (u, v) the line through the ray meets the bilinear surface: up to twice.
//
// The line is where two planes meet: x_i - (d_i / d_k) x_k is the same all along it, for k the longest axis of its
// direction d and both other axes i. A point of the surface solves A + B u + C v + D u v = 0 for either; without v
// that is a quadratic equation in u.
int SolveBilinear(const Patch& patch, const Ray& line, std::array<Vector2d, 2>& solutions) {
  const auto& c = patch.corners;
  const Vector3d from = c[0] - line.origin, edge_u = c[1] - c[0], edge_v = c[3] - c[0];
  const Vector3d twist = c[2] - c[1] - c[3] + c[0];
  const Vector3d size = line.direction.cwiseAbs();
  const int k = size.x() > size.y() ? (size.x() > size.z() ? 0 : 2) : (size.y() > size.z() ? 1 : 2);
  const int i = (k + 1) % 3, j = (k + 2) % 3;
  const double scale = 1 / line.direction[k], ri = line.direction[i] * scale, rj = line.direction[j] * scale;
  const double a1 = from[i] - ri * from[k], b1 = edge_u[i] - ri * edge_u[k], c1 = edge_v[i] - ri * edge_v[k],
               d1 = twist[i] - ri * twist[k];
  const double a2 = from[j] - rj * from[k], b2 = edge_u[j] - rj * edge_u[k], c2 = edge_v[j] - rj * edge_v[k],
               d2 = twist[j] - rj * twist[k];
  std::array<double, 2> us;
  const int count = SolveQuadratic(b2 * d1 - d2 * b1, a2 * d1 + b2 * c1 - c2 * b1 - d2 * a1, a2 * c1 - c2 * a1, us);
  int found = 0;
  for (int root = 0; root < count; ++root) {
    const double u = us[root];
    const double first = c1 + d1 * u, second = c2 + d2 * u;
    const double v = std::abs(first) > std::abs(second) ? -(a1 + b1 * u) / first : -(a2 + b2 * u) / second;
    if (std::isfinite(u) && std::isfinite(v)) solutions[found++] = Vector2d(u, v);
  }
  return found;
}

bool IsInUnitRange(double x) { return x >= -kEdge && x <= 1 + kEdge; }

}  // namespace

bool Intersect(const Patch& patch, const Ray& ray, double near, SurfaceHit& hit) {
  const auto& c = patch.corners;
  std::array<Vector2d, 2> solutions;
  const int count = SolveBilinear(patch, ray, solutions);
  bool found = false;
  for (int k = 0; k < count; ++k) {
    const double u = solutions[k].x(), v = solutions[k].y();
    if (!IsInUnitRange(u) || !IsInUnitRange(v)) continue;
    const Vector3d along_u = (1 - v) * (c[1] - c[0]) + v * (c[2] - c[3]);
    const Vector3d along_v = (1 - u) * (c[3] - c[0]) + u * (c[2] - c[1]);
    const Vector3d point = c[0] + u * (c[1] - c[0]) + v * along_v;
    const double t = (point - ray.origin).dot(ray.direction) / ray.direction.squaredNorm();
    if (!(t > near && t < hit.distance)) continue;
    hit = {t, along_u.cross(along_v)};
    found = true;
  }
  return found;
}

bool Intersect(const Box& box, const Ray& ray, double near, SurfaceHit& hit) {
  const Eigen::Matrix3d turn = box.pose.linear().transpose();
  const Vector3d origin = turn * (ray.origin - box.pose.translation()), direction = turn * ray.direction;
  double enters = -kNoHit, leaves = kNoHit;
  int enter_axis = 0, leave_axis = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double half = box.size[axis] / 2;
    if (direction[axis] == 0) {
      if (std::abs(origin[axis]) > half) return false;
      continue;
    }
    double t0 = (-half - origin[axis]) / direction[axis], t1 = (half - origin[axis]) / direction[axis];
    if (t0 > t1) std::swap(t0, t1);
    if (t0 > enters) {
      enters = t0;
      enter_axis = axis;
    }
    if (t1 < leaves) {
      leaves = t1;
      leave_axis = axis;
    }
  }
  if (enters > leaves) return false;
  const bool from_inside = !(enters > near);
  const double t = from_inside ? leaves : enters;
  if (!(t > near && t < hit.distance)) return false;
  hit = {t, box.pose.linear().col(from_inside ? leave_axis : enter_axis)};
  return true;
}

bool Intersect(const Cylinder& cylinder, const Ray& ray, double near, SurfaceHit& hit) {
  const double length = cylinder.axis.norm();
  const Vector3d along = cylinder.axis / length, from = ray.origin - cylinder.base;
  const double start = from.dot(along), slope = ray.direction.dot(along);
  const Vector3d across = from - start * along, moving = ray.direction - slope * along;
  std::array<double, 2> ts;
  const int count = SolveQuadratic(moving.squaredNorm(), 2 * across.dot(moving),
                                   across.squaredNorm() - cylinder.radius * cylinder.radius, ts);
  bool found = false;
  for (int k = 0; k < count; ++k) {
    const double t = ts[k];
    if (!(t > near && t < hit.distance) || !IsInUnitRange((start + t * slope) / length)) continue;
    hit = {t, across + t * moving};
    found = true;
  }
  return found;
}

bool Intersect(const Ellipsoid& ellipsoid, const Ray& ray, double near, SurfaceHit& hit) {
  const Vector3d from = (ray.origin - ellipsoid.centre).cwiseQuotient(ellipsoid.radii);
  const Vector3d moving = ray.direction.cwiseQuotient(ellipsoid.radii);
  std::array<double, 2> ts;
  const int count = SolveQuadratic(moving.squaredNorm(), 2 * from.dot(moving), from.squaredNorm() - 1, ts);
  bool found = false;
  for (int k = 0; k < count; ++k) {
    const double t = ts[k];
    if (!(t > near && t < hit.distance)) continue;
    hit = {t, (from + t * moving).cwiseQuotient(ellipsoid.radii)};
    found = true;
  }
  return found;
}

// Moeller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997.
bool Intersect(const Triangle& triangle, const Ray& ray, double near, SurfaceHit& hit) {
  const Vector3d edge1 = triangle[1] - triangle[0], edge2 = triangle[2] - triangle[0];
  const Vector3d p = ray.direction.cross(edge2);
  const double determinant = edge1.dot(p);
  if (determinant == 0) return false;
  const Vector3d from = ray.origin - triangle[0];
  const double u = from.dot(p) / determinant;
  if (!IsInUnitRange(u)) return false;
  const Vector3d q = from.cross(edge1);
  const double v = ray.direction.dot(q) / determinant;
  if (!(v >= -kEdge && u + v <= 1 + kEdge)) return false;
  const double t = edge2.dot(q) / determinant;
  if (!(t > near && t < hit.distance)) return false;
  hit = {t, edge1.cross(edge2)};
  return true;
}

Triangle TriangleOf(const TriangleMesh& mesh, int64_t f) {
  Triangle triangle;
  for (int k = 0; k < 3; ++k) {
    const float* vertex = mesh.vertices.data<float>() + 3 * int64_t{mesh.faces.data<int32_t>()[3 * f + k]};
    triangle[k] = Vector3d(vertex[0], vertex[1], vertex[2]);
  }
  return triangle;
}

AlignedBox3d Moved(const Isometry3d& pose, const AlignedBox3d& box) {
  AlignedBox3d moved;
  for (int corner = 0; corner < 8; ++corner)
    moved.extend(pose * box.corner(static_cast<AlignedBox3d::CornerType>(corner)));
  return moved;
}

AlignedBox3d BoundsOf(const Primitive& primitive) {
  struct Bounds {
    AlignedBox3d operator()(const Patch& patch) const {
      AlignedBox3d box;
      for (const Vector3d& corner : patch.corners) box.extend(corner);
      return box;
    }
    AlignedBox3d operator()(const Box& box) const {
      return Moved(box.pose, AlignedBox3d(-box.size / 2, Vector3d(box.size / 2)));
    }
    AlignedBox3d operator()(const Cylinder& cylinder) const {
      // A disc across the axis a reaches radius * sqrt(1 - a_i^2) along axis i.
      const Vector3d along = cylinder.axis.normalized();
      const Vector3d reach = cylinder.radius * (1 - along.array().square()).max(0).sqrt().matrix();
      AlignedBox3d box(cylinder.base - reach, Vector3d(cylinder.base + reach));
      const Vector3d end = cylinder.base + cylinder.axis;
      return box.extend(end - reach).extend(end + reach);
    }
    AlignedBox3d operator()(const Ellipsoid& ellipsoid) const {
      return AlignedBox3d(ellipsoid.centre - ellipsoid.radii, Vector3d(ellipsoid.centre + ellipsoid.radii));
    }
    AlignedBox3d operator()(const MeshInstance& instance) const {
      const float* vertices = instance.mesh->vertices.data<float>();
      AlignedBox3d box;
      for (int64_t k = 0; k < instance.mesh->vertices.shape()[0]; ++k) {
        const Vector3d vertex(vertices[3 * k], vertices[3 * k + 1], vertices[3 * k + 2]);
        box.extend(instance.pose * vertex.cwiseProduct(instance.scale));
      }
      return box;
    }
  };
  return std::visit(Bounds(), primitive.shape);
}

}  // namespace cubist
