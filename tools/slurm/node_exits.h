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
  // Of a slot's folder of logs: node-<N>.exit. What cannot be read is missing.
  static NodeExits Read(const std::string& folder);

  // If all nodes left one, the gravest of them (worker_ends.h).
  std::optional<int> CodeOfAll(int nodes) const;
  // If some did not: the cause if one of the others has it, else a rank was lost (5). Not set if none left one.
  std::optional<int> CodeOfSome() const;

 private:
  std::vector<int> codes_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_NODE_EXITS_H_
