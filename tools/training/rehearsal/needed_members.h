// What the samples of a config read of a clip's archives, as data_process/scenes/scene_reader.h reads it.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_NEEDED_MEMBERS_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_NEEDED_MEMBERS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "configs/proto/experiment.pb.h"

namespace cubist {

// A sample that starts at frame s reads "<clip>.NNNNNN.<suffix>" of the attribute's tar for each frame s + offset;
// without offsets "<clip>.<suffix>".
struct NeededMember {
  std::string attribute;
  std::string suffix;
  std::set<int64_t> offsets;
};

// All that some sample of a clip may read, of which a draw of supervision images leaves some out. Not among them: the
// points of dynamic objects, which only frames with such objects need. `data` is of a validated config.
std::vector<NeededMember> NeededMembers(const Data& data);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_NEEDED_MEMBERS_H_
