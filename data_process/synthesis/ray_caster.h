// What a ray sees of a scene at one frame: the nearest of the surfaces that points are sampled from, and of what only
// cameras see. Results do not depend on the CPU, on threads, or on the order in which surfaces are looked at.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_RAY_CASTER_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_RAY_CASTER_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data_process/synthesis/ray_intersection.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// One primitive of a scene, in the order in which all are numbered: scene.surfaces, scene.backdrop, then the shape of
// each object after the other.
struct ScenePart {
  const Primitive* primitive;
  const SceneObject* object;  // null for surfaces and backdrop
};
std::vector<ScenePart> PartsOf(const Scene& scene);

struct RayHit {
  double distance;         // in lengths of the ray's direction
  Eigen::Vector3d normal;  // unit, street frame, on the side that the ray comes from
  Eigen::Vector3d local;   // the point in the frame that the primitive is given in: the street's or its object's
  Eigen::Vector3d local_normal;
  uint32_t part;     // index into PartsOf
  int64_t triangle;  // of a mesh; else -1
};

class RayCaster {
 public:
  // At frame 0. `scene` outlives the caster and does not change.
  explicit RayCaster(const Scene& scene);
  ~RayCaster();

  // Places what moves; objects that have no pose in the frame are not there. Not while rays are cast.
  void SetFrame(int frame);

  // The nearest surface farther than `near`. Rays in the street frame, directions about 1 m long. Of surfaces at equal
  // distances the one of the lowest part (and triangle). From many threads at once.
  std::optional<RayHit> Cast(const Ray& ray, double near = 0) const;
  // Whether there is any surface between `near` and `far`.
  bool IsBlocked(const Ray& ray, double near, double far) const;

  const std::vector<ScenePart>& parts() const { return parts_; }

 private:
  struct Mesh;
  struct Placed;
  class Group;
  const Mesh* MeshOf(const Primitive& primitive);

  const Scene& scene_;
  const std::vector<ScenePart> parts_;
  std::vector<std::unique_ptr<Mesh>> meshes_;
  std::unique_ptr<Group> standing_, moving_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_RAY_CASTER_H_
