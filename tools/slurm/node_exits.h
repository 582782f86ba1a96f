// The exit codes that train leaves on each node (--log_dir): srun tells the highest number of them alone, which is not
// the cause.
#ifndef CUBIST_TOOLS_SLURM_NODE_EXITS_H_
#define CUBIST_TOOLS_SLURM_NODE_EXITS_H_

#include <optional>
#include <string>
#include <vector>

namespace cubist {

class NodeExits {
 public:
  // Of a slot's folder of logs: node-<N>.exit. What cannot be read is missing, and so is a node whose ranks a second
  // signal has ended (128 + its number): it says nothing of the run.
  static NodeExits Read(const std::string& folder);

  // The gravest of all nodes' (worker_ends.h). Where some left none: the cause, if another one has it, else 5, a rank
  // was lost; or nothing, where the job was ended from outside, which is the cause. Nothing if no node left one.
  std::optional<int> Combined(int nodes, bool ended_from_outside) const;

 private:
  std::vector<int> codes_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_NODE_EXITS_H_
