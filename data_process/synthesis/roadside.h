// What stands beside the street: houses, trees and hedges, lamps, signs, bins and bicycles.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_ROADSIDE_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_ROADSIDE_H_

#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Houses of 4 to 20 m on both sides, with their footprints; gabled ones have hedges. A lidar on the street
// sees fronts, ends and the near side of roofs.
void AddBuildings(RandomStream random, Scene& scene);

// Trees along the kerbs and in gardens: a trunk and an ellipsoid of leaves.
void AddTrees(RandomStream random, Scene& scene);

// Lamps, traffic signs (which are also objects of type sign), construction cones, parked bicycles.
void AddStreetFurniture(RandomStream random, Scene& scene);

// A bicycle in the frame of its middle, x forward, the ground at z = -0.5: two wheels and a frame.
std::vector<Primitive> BicycleShape(SemanticClass label);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_ROADSIDE_H_
