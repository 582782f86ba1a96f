// A folder of small clips for tests, in the data's layout.
#ifndef CUBIST_DATA_PROCESS_SCENES_TEST_CLIPS_H_
#define CUBIST_DATA_PROCESS_SCENES_TEST_CLIPS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/host_tensor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

using Members = std::vector<std::pair<std::string, std::string>>;  // name and bytes

// A new, empty folder under the test's temporary folder. Aborts when it cannot be made, as all that follows.
std::string NewTestFolder(const std::string& name);

void WriteTestTar(const std::string& data_root, const std::string& attribute, const std::string& clip,
                  const Members& members);

// Where the header block and the data of a member lie in a tar, found by looking for its name at the start of every
// block: shares no code with the tar reader. Aborts when it is there not exactly once.
struct FoundMember {
  uint64_t header = 0, begin = 0, end = 0;
};
FoundMember ScanForMember(const std::string& path, const std::string& name);

// Opens the file anew and writes `bytes` at `offset`.
void OverwriteBytes(const std::string& path, uint64_t offset, const std::string& bytes);

// "<clip>.NNNNNN.<suffix>"
std::string FrameMember(const std::string& clip, int64_t frame, const std::string& suffix);

// The bytes of a point cloud's pcd.vs01.pth.
std::string CloudBytes(const HostTensor& points, const HostTensor& semantics, const HostTensor& pc_to_world);

// An object of static_object_info or dynamic_object_info as JSON text: `"id": {...}`. The pose is a turn by
// `yaw` about the world's z axis and a translation.
std::string ObjectJson(const std::string& id, const std::string& type, const std::vector<double>& translation,
                       double yaw, const std::vector<double>& lwh);

// The data part of the voxel VAE's recipe: box, frames and attributes.
Data VoxelVaeData(const std::string& data_root);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_TEST_CLIPS_H_
