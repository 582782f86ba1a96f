// Walks what ParsePickle made, for the fuzz targets that read pickles.
#ifndef CUBIST_DATA_PROCESS_FORMATS_FUZZ_PICKLE_WALK_H_
#define CUBIST_DATA_PROCESS_FORMATS_FUZZ_PICKLE_WALK_H_

#include <cstdint>
#include <vector>

#include "data_process/formats/pickle.h"

namespace cubist {

// Limits of kFuzzBytes.
PickleLimits FuzzPickleLimits();

// Visits every value once, though they may point at each other in cycles, checks what pickle.h promises of it, and
// returns the tensors among them. Aborts otherwise.
std::vector<PickleTensor> WalkPickle(const PickleValue& root);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_FUZZ_PICKLE_WALK_H_
