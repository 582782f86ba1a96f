// What has a box around it: parked and moving vehicles, people on foot and on bicycles.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_TRAFFIC_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_TRAFFIC_H_

#include <vector>

#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Cars (now and then a van, of class TRUCK and type car) along the kerbs where there is room to park.
void AddParkedVehicles(RandomStream random, Scene& scene);

// Cars in every lane (ahead of the ego vehicle there always is one), people walking and standing on the
// sidewalks, one cyclist ahead. `driven`: metres that the ego vehicle has gone by each frame. Moving
// objects are labelled within 75 m of the ego vehicle.
void AddTraffic(RandomStream random, const std::vector<double>& driven, Scene& scene);

// Gives every object an id of 22 characters; no two get the same.
void NameObjects(RandomStream random, std::vector<SceneObject>& objects);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_TRAFFIC_H_
