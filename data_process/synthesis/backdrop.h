// What only cameras see: the street as it goes on, houses and trees behind those of the street, hills.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_BACKDROP_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_BACKDROP_H_

#include "data_process/synthesis/random_stream.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Adds to scene.backdrop. No lidar sees any of it: it gets no points. With it no ray of a camera on the street that
// points below the horizon goes past everything.
void AddBackdrop(RandomStream random, Scene& scene);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_BACKDROP_H_
