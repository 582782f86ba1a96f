// Which ranks this call of `train` starts and where all ranks meet: a function of the environment and
// of --gpus. And how a worker is told its place.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_RENDEZVOUS_ENVIRONMENT_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_RENDEZVOUS_ENVIRONMENT_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

using Environment = std::map<std::string, std::string>;

// The environment of this process.
Environment CurrentEnvironment();

// The ranks first_rank to first_rank + local_ranks - 1 of `world_size` are started by this call.
struct RankPlan {
  int first_rank = 0;
  int local_ranks = 1;
  int world_size = 1;
  // Of the first of these ranks among all ranks on this node; not 0 when a scheduler starts each rank.
  int first_local_rank = 0;
  int local_world_size = 1;
  // Where rank 0 serves the store. Port 0: all ranks are started by this call, which picks a free one.
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  // The store is served by who started us (torchrun's agent).
  bool store_is_external = false;
  // Tells one start of a run from the next one in a store that lasts.
  std::string session;

  bool has_rank_zero() const { return first_rank == 0; }
  bool starts_all_ranks() const { return local_ranks == world_size; }
};

// `gpus` is --gpus: ranks to start here, at least 1. In this order:
//   RANK and WORLD_SIZE (torchrun and its like): with LOCAL_WORLD_SIZE above 1, one task a rank; else one
//     task a node, which starts --gpus ranks. MASTER_ADDR and MASTER_PORT are required.
//   SLURM, inside a step of srun: with more tasks than nodes, one task a rank; else one task a node,
//     which starts --gpus ranks. The master is MASTER_ADDR, else the first host of the job's list of
//     nodes; the port is MASTER_PORT, else one that follows from the job's number.
//   otherwise this node alone.
// Errors (ConfigError): one task a rank together with --gpus above 1; variables that are not numbers, out
// of range or missing; a batch script of several nodes that does not go through srun.
absl::StatusOr<RankPlan> PlanRanks(const Environment& environment, std::optional<int> gpus);

// The first host of a SLURM node list, "node[003-007,9],login1" -> "node003". ConfigError if it is no list.
absl::StatusOr<std::string> FirstHost(const std::string& node_list);

// A worker's place.
struct WorkerPlace {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_world_size = 1;
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  bool store_is_external = false;
  int listen_descriptor = -1;  // rank 0: a listening socket on master_port that it inherits; -1: none
  std::string session;
};

// "CUBIST_RANK=1", ...: what the front adds to a worker's environment, and what the worker reads back.
// A worker that is started by hand, without these variables, is alone. ConfigError if they are damaged.
std::vector<std::string> WorkerEnvironment(const WorkerPlace& place);
absl::StatusOr<WorkerPlace> ReadWorkerPlace(const Environment& environment);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_RENDEZVOUS_ENVIRONMENT_H_
