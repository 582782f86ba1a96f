// From a scene's surfaces to labelled points.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_POINT_CLOUD_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_POINT_CLOUD_H_

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "data_process/synthesis/scene.h"

namespace cubist {

struct LabelledPoints {
  std::vector<float> xyz;       // three a point, metres, in the first vehicle frame
  std::vector<uint8_t> labels;  // semantic classes

  void Add(const Eigen::Vector3d& point, SemanticClass label);
};

// About how many points StaticPoints will make: seen area over spacing squared.
double EstimatePoints(const Scene& scene, double spacing);

// Points on all surfaces and static objects, `spacing` metres apart (primitive.h). Ground inside of
// buildings gets none.
LabelledPoints StaticPoints(const Scene& scene, uint32_t seed, uint64_t clip, double spacing);

// Points on one object, `part`-th of the scene, in its own frame, within its box.
std::vector<Eigen::Vector3d> ObjectPoints(const SceneObject& object, uint32_t part, uint32_t seed, uint64_t clip,
                                          double spacing);

// The cloud that models are trained on, by the reference's rule: the static points and points along the
// painted road lines (kCloudMapInterval apart, each also that much lower and higher, along the world's
// z axis) as LANE_MARKER, without people, cycles and vehicles.
LabelledPoints WithMapWithoutCars(const LabelledPoints& points, const Scene& scene);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_POINT_CLOUD_H_
