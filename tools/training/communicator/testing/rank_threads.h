// Ranks that are threads of one process, with the communicator of real ones.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_TESTING_RANK_THREADS_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_TESTING_RANK_THREADS_H_

#include <functional>

#include "tools/training/communicator/communicator.h"

namespace cubist {

// Calls `body` on as many threads as ranks, each with its rank's communicator; returns when all are done. Ranks that
// cannot meet fail the test.
void RunRanks(int world_size, const std::function<void(Communicator& communicator)>& body);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_TESTING_RANK_THREADS_H_
