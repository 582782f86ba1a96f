// The labelled surfaces that a synthetic scene is made of. Points are sampled from them, and rays can be
// cast against them.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_PRIMITIVE_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_PRIMITIVE_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <array>
#include <memory>
#include <variant>
#include <vector>

#include "data_process/formats/ply.h"
#include "data_process/scenes/semantic_classes.h"
#include "data_process/synthesis/random_stream.h"

namespace cubist {

// All lengths are metres.

// A quadrilateral, bilinear between its corners (0,0), (1,0), (1,1), (0,1).
struct Patch {
  std::array<Eigen::Vector3d, 4> corners;
};

// A box with its centre at the origin of `pose`.
struct Box {
  Eigen::Isometry3d pose;
  Eigen::Vector3d size;
  // Which faces a lidar sees: -x, +x, -y, +y, -z, +z.
  std::array<bool, 6> seen = {true, true, true, true, false, true};
};

// A tube without ends, from `base` along `axis`, whose length is the tube's.
struct Cylinder {
  Eigen::Vector3d base;
  Eigen::Vector3d axis;
  double radius;
};

// Axis-aligned. Points lie on the surface, or, for foliage, up to the part `depth` of the radius below it.
struct Ellipsoid {
  Eigen::Vector3d centre;
  Eigen::Vector3d radii;
  double depth = 0;
};

// A mesh, scaled axis by axis about its origin and then placed.
struct MeshInstance {
  std::shared_ptr<const TriangleMesh> mesh;
  Eigen::Vector3d scale;
  Eigen::Isometry3d pose;
};

struct Primitive {
  std::variant<Patch, Box, Cylinder, Ellipsoid, MeshInstance> shape;
  SemanticClass label;
  // Lies on the ground: gets no points inside of buildings.
  bool is_ground = false;
  // Whether a lidar on the street sees it at all. What it does not see still stops rays.
  bool is_seen = true;
};

// Square metres that get points: about the number of points times spacing squared.
double SeenArea(const Primitive& primitive);

// Appends points on the seen surface, one in each cell of a grid (or stratum of the area) of about
// spacing x spacing, placed at random within the middle of its cell, with a noise of up to 1 cm along each
// axis as a lidar has. `spacing` > 0.
void AppendPoints(const Primitive& primitive, double spacing, RandomStream& random,
                  std::vector<Eigen::Vector3d>& points);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_PRIMITIVE_H_
