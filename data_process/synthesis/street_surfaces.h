// What one drives and walks on: road, lane markings, kerbs, planting strips, sidewalks, gardens.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_STREET_SURFACES_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_STREET_SURFACES_H_

#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Adds to scene.surfaces; also the traffic lights of a pedestrian crossing.
void AddStreetSurfaces(RandomStream random, Scene& scene);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_STREET_SURFACES_H_
