#include "data_process/synthesis/ray_caster.h"

#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>

namespace cubist {
namespace {

using Eigen::AlignedBox3d;
using Eigen::Isometry3d;
using Eigen::Vector3d;

}  // namespace

std::vector<ScenePart> PartsOf(const Scene& scene) {
  std::vector<ScenePart> parts;
  for (const Primitive& primitive : scene.surfaces) parts.push_back({&primitive, nullptr});
  for (const Primitive& primitive : scene.backdrop) parts.push_back({&primitive, nullptr});
  for (const SceneObject& object : scene.objects) {
    for (const Primitive& primitive : object.shape) parts.push_back({&primitive, &object});
  }
  return parts;
}

// A mesh in its own frame, made once for all of its instances.
struct RayCaster::Mesh {
  explicit Mesh(std::shared_ptr<const TriangleMesh> mesh_in) : mesh(std::move(mesh_in)) {
    std::vector<AlignedBox3d> boxes;
    for (int64_t f = 0; f < mesh->faces.shape()[0]; ++f) {
      triangles.push_back(TriangleOf(*mesh, f));
      AlignedBox3d box;
      for (const Vector3d& corner : triangles.back()) box.extend(corner);
      boxes.push_back(box);
    }
    hierarchy = std::make_unique<BoxHierarchy>(boxes);
  }

  // As Intersect of ray_intersection.h; of triangles at equal distances the first.
  bool Intersect(const MeshInstance& instance, const Ray& ray, double near, SurfaceHit& hit, int64_t& triangle) const {
    const Eigen::Matrix3d turn = instance.pose.linear().transpose();
    const Ray own = {(turn * (ray.origin - instance.pose.translation())).cwiseQuotient(instance.scale),
                     (turn * ray.direction).cwiseQuotient(instance.scale)};
    const double far = hit.distance;
    SurfaceHit best = {far, {}};
    int64_t best_triangle = -1;
    hierarchy->Visit(own, far, [&](uint32_t f, double) {
      SurfaceHit found;
      if (cubist::Intersect(triangles[f], own, near, found) &&
          (found.distance < best.distance || (found.distance == best.distance && f < best_triangle))) {
        best = found;
        best_triangle = f;
      }
      return best.distance;
    });
    if (best_triangle < 0) return false;
    // Normals turn with the inverse of the scale.
    hit = {best.distance, instance.pose.linear() * best.normal.cwiseQuotient(instance.scale)};
    triangle = best_triangle;
    return true;
  }

  std::shared_ptr<const TriangleMesh> mesh;
  std::vector<Triangle> triangles;
  std::unique_ptr<BoxHierarchy> hierarchy;
};

// A part where it is.
struct RayCaster::Placed {
  const Primitive* primitive;
  const Mesh* mesh;  // of a mesh instance
  uint32_t part;
  bool is_posed;
  Isometry3d pose, to_local;
};

class RayCaster::Group {
 public:
  explicit Group(std::vector<Placed> placed) : placed_(std::move(placed)), hierarchy_(Boxes()) {}

  // The nearest surface that is nearer than hit.distance.
  void Cast(const Ray& ray, double near, RayHit& hit) const {
    hierarchy_.Visit(ray, hit.distance, [&](uint32_t k, double) {
      const Placed& placed = placed_[k];
      // Just above the best so far: equal distances are for the parts' numbers to decide.
      SurfaceHit found = {std::nextafter(hit.distance, kNoHit), {}};
      int64_t triangle = -1;
      if (Intersect(placed, ray, near, found, triangle) && (found.distance < hit.distance || placed.part < hit.part)) {
        hit.distance = found.distance;
        hit.local_normal = found.normal;
        hit.part = placed.part;
        hit.triangle = triangle;
        hit.local = placed.is_posed ? placed.to_local * (ray.origin + found.distance * ray.direction)
                                    : Vector3d(ray.origin + found.distance * ray.direction);
        hit.normal = placed.is_posed ? Vector3d(placed.pose.linear() * found.normal) : found.normal;
      }
      return hit.distance;
    });
  }

  bool IsBlocked(const Ray& ray, double near, double far) const {
    bool is_blocked = false;
    hierarchy_.Visit(ray, far, [&](uint32_t k, double) {
      SurfaceHit found = {far, {}};
      int64_t triangle = -1;
      is_blocked = is_blocked || Intersect(placed_[k], ray, near, found, triangle);
      return is_blocked ? -1.0 : far;
    });
    return is_blocked;
  }

 private:
  std::vector<AlignedBox3d> Boxes() const {
    std::vector<AlignedBox3d> boxes;
    for (const Placed& placed : placed_) {
      const AlignedBox3d box = BoundsOf(*placed.primitive);
      boxes.push_back(placed.is_posed ? Moved(placed.pose, box) : box);
    }
    return boxes;
  }

  static bool Intersect(const Placed& placed, const Ray& ray, double near, SurfaceHit& hit, int64_t& triangle) {
    const Ray local =
        placed.is_posed ? Ray{placed.to_local * ray.origin, placed.to_local.linear() * ray.direction} : ray;
    return std::visit(
        [&](const auto& shape) {
          if constexpr (std::is_same_v<std::decay_t<decltype(shape)>, MeshInstance>) {
            return placed.mesh->Intersect(shape, local, near, hit, triangle);
          } else {
            return cubist::Intersect(shape, local, near, hit);
          }
        },
        placed.primitive->shape);
  }

  const std::vector<Placed> placed_;
  const BoxHierarchy hierarchy_;
};

RayCaster::RayCaster(const Scene& scene) : scene_(scene), parts_(PartsOf(scene)) {
  std::vector<Placed> standing;
  for (uint32_t part = 0; part < parts_.size(); ++part) {
    const auto& [primitive, object] = parts_[part];
    if (object != nullptr && !object->parked.has_value()) continue;
    Placed placed = {primitive, MeshOf(*primitive), part, object != nullptr, {}, {}};
    if (object != nullptr) {
      placed.pose = *object->parked;
      placed.to_local = placed.pose.inverse();
    }
    standing.push_back(placed);
  }
  standing_ = std::make_unique<Group>(std::move(standing));
  SetFrame(0);
}

RayCaster::~RayCaster() = default;

void RayCaster::SetFrame(int frame) {
  std::vector<Placed> moving;
  for (uint32_t part = 0; part < parts_.size(); ++part) {
    const auto& [primitive, object] = parts_[part];
    if (object == nullptr || object->parked.has_value()) continue;
    const Isometry3d* pose = object->PoseAt(frame);
    if (pose != nullptr) moving.push_back({primitive, MeshOf(*primitive), part, true, *pose, pose->inverse()});
  }
  moving_ = std::make_unique<Group>(std::move(moving));
}

const RayCaster::Mesh* RayCaster::MeshOf(const Primitive& primitive) {
  const auto* instance = std::get_if<MeshInstance>(&primitive.shape);
  if (instance == nullptr) return nullptr;
  for (const auto& mesh : meshes_) {
    if (mesh->mesh == instance->mesh) return mesh.get();
  }
  meshes_.push_back(std::make_unique<Mesh>(instance->mesh));
  return meshes_.back().get();
}

std::optional<RayHit> RayCaster::Cast(const Ray& ray, double near) const {
  RayHit hit = {};
  hit.distance = kNoHit;
  standing_->Cast(ray, near, hit);
  moving_->Cast(ray, near, hit);
  if (hit.distance == kNoHit) return std::nullopt;
  const double turned = hit.normal.dot(ray.direction) > 0 ? -1 : 1;
  const double scale = turned / hit.normal.norm();
  hit.normal *= scale;
  hit.local_normal *= scale;
  return hit;
}

bool RayCaster::IsBlocked(const Ray& ray, double near, double far) const {
  return standing_->IsBlocked(ray, near, far) || moving_->IsBlocked(ray, near, far);
}

}  // namespace cubist
