// The map of a street: polylines of lanes, road edges and lane markings, and the points that are made
// from them.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_MAP_LINES_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_MAP_LINES_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <vector>

#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Nominal distances of points on map lines: in the map layers, and in the point cloud, in metres.
inline constexpr double kMapInterval = 0.25;
inline constexpr double kCloudMapInterval = 0.025;
inline constexpr double kRoadSurfaceCell = 0.4;

// Polylines in the street frame: the middle of each lane in its direction of travel, both kerbs, and each
// lane boundary that is painted. Long lines are cut into pieces that share their end points; vertices are
// about half a metre apart.
MapLines MakeMapLines(RandomStream random, const StreetLayout& layout);

// Points along polylines by the reference's rule: a segment of length len gets n = max(ceil(len/interval), 2)
// points at equal steps from its first vertex to its last one, of which the last is left out (so the step is
// len/(n-1), wider than `interval`, up to twice as wide); a polyline's last vertex follows once. A polyline
// of one vertex gives that vertex. interval > 0.
std::vector<Eigen::Vector3d> Discretize(const std::vector<Polyline>& polylines, double interval);

// Points on the road between the kerbs, in world coordinates, whose x and y lie on a lattice of
// kRoadSurfaceCell that goes through the smallest x and y of `world_lanes`; sorted by y, then x.
std::vector<Eigen::Vector3d> RoadSurface(const StreetLayout& layout, const Eigen::Isometry3d& street_to_world,
                                         const std::vector<Eigen::Vector3d>& world_lanes);

// The same polylines, moved.
std::vector<Polyline> Transformed(const Eigen::Isometry3d& transform, const std::vector<Polyline>& polylines);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_MAP_LINES_H_
