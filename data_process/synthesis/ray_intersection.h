// Where a ray meets a primitive: the very surface that points are sampled from (primitive.h), in double.
//
// Surfaces have two sides, so that a ray that begins inside of a box meets its wall; an ellipsoid of foliage is its
// outer surface. Boxes and meshes are whole: what a lidar does not see of them is there as well.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_RAY_INTERSECTION_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_RAY_INTERSECTION_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <array>

#include "data_process/synthesis/box_hierarchy.h"
#include "data_process/synthesis/primitive.h"

namespace cubist {

using Triangle = std::array<Eigen::Vector3d, 3>;

struct SurfaceHit {
  double distance = kNoHit;
  Eigen::Vector3d normal = Eigen::Vector3d::Zero();  // of the surface there: any length and sign
};

// Moves `hit` to the nearest point of the surface that is farther than `near` and nearer than hit.distance, if there
// is one, and says so. Edges belong to the surface, so that surfaces that share one leave no gap.
bool Intersect(const Patch& patch, const Ray& ray, double near, SurfaceHit& hit);
bool Intersect(const Box& box, const Ray& ray, double near, SurfaceHit& hit);
bool Intersect(const Cylinder& cylinder, const Ray& ray, double near, SurfaceHit& hit);
bool Intersect(const Ellipsoid& ellipsoid, const Ray& ray, double near, SurfaceHit& hit);
bool Intersect(const Triangle& triangle, const Ray& ray, double near, SurfaceHit& hit);

// The smallest box around a primitive; for ellipsoids and cylinders one that is hardly larger.
Eigen::AlignedBox3d BoundsOf(const Primitive& primitive);
// The smallest box around a box that was moved.
Eigen::AlignedBox3d Moved(const Eigen::Isometry3d& pose, const Eigen::AlignedBox3d& box);
// The corners of a mesh's f-th triangle in the mesh's own frame.
Triangle TriangleOf(const TriangleMesh& mesh, int64_t f);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_RAY_INTERSECTION_H_
