#include "tools/training/launch/rendezvous_environment.h"

#include <unistd.h>

#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr int kMaxRanks = 1 << 20;
constexpr int kMaxPort = 65535;

// Empty counts as not set.
std::optional<std::string> Get(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  if (found == environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

absl::StatusOr<int> Number(const std::string& name, const std::string& text, int64_t low, int64_t high) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < low || value > high) {
    return ConfigError(
        absl::StrCat("the environment variable ", name, " is '", text, "', not a number from ", low, " to ", high));
  }
  return static_cast<int>(value);
}

absl::StatusOr<int> NumberOr(const Environment& environment, const std::string& name, int absent, int64_t low,
                             int64_t high) {
  const auto text = Get(environment, name);
  if (!text.has_value()) return absent;
  return Number(name, *text, low, high);
}

absl::StatusOr<int> Required(const Environment& environment, const std::string& name, int64_t low, int64_t high,
                             const char* beside) {
  const auto text = Get(environment, name);
  if (!text.has_value()) {
    return ConfigError(absl::StrCat("the environment has ", beside, " but no ", name,
                                    ": set it, or unset the others to train on this machine alone"));
  }
  return Number(name, *text, low, high);
}

absl::Status BothAtOnce(const std::string& who, int gpus) {
  return ConfigError(absl::StrCat(who, " starts one task a rank, and --gpus ", gpus,
                                  " asks each task to start ranks of its own: start one task a node, or leave "
                                  "--gpus out"));
}

// One task a rank: this call is one rank.
RankPlan OneRank(int rank, int world_size, int local_rank, int local_world_size) {
  RankPlan plan;
  plan.first_rank = rank;
  plan.world_size = world_size;
  plan.first_local_rank = local_rank;
  plan.local_world_size = local_world_size;
  return plan;
}

// One task a node: this call starts the ranks of its node.
absl::StatusOr<RankPlan> NodeOfRanks(int node, int nodes, int gpus) {
  if (int64_t{nodes} * gpus > kMaxRanks) {
    return ConfigError(absl::StrCat(nodes, " nodes with --gpus ", gpus, " are too many ranks"));
  }
  RankPlan plan;
  plan.first_rank = node * gpus;
  plan.local_ranks = gpus;
  plan.world_size = nodes * gpus;
  plan.local_world_size = gpus;
  return plan;
}

absl::StatusOr<RankPlan> PlanTorchrun(const Environment& environment, int gpus) {
  constexpr char kBeside[] = "RANK or WORLD_SIZE (torchrun)";
  ASSIGN_OR_RETURN(const int world_size, Required(environment, "WORLD_SIZE", 1, kMaxRanks, kBeside));
  ASSIGN_OR_RETURN(const int rank, Required(environment, "RANK", 0, world_size - 1, kBeside));
  ASSIGN_OR_RETURN(const int local_world_size, NumberOr(environment, "LOCAL_WORLD_SIZE", 1, 1, world_size));
  ASSIGN_OR_RETURN(const int local_rank, NumberOr(environment, "LOCAL_RANK", 0, 0, local_world_size - 1));
  RankPlan plan;
  if (local_world_size > 1) {
    if (gpus > 1) return BothAtOnce("torchrun (LOCAL_WORLD_SIZE above 1)", gpus);
    plan = OneRank(rank, world_size, local_rank, local_world_size);
  } else {
    ASSIGN_OR_RETURN(plan, NodeOfRanks(rank, world_size, gpus));
  }
  const auto address = Get(environment, "MASTER_ADDR");
  if (!address.has_value()) return ConfigError("the environment has RANK and WORLD_SIZE but no MASTER_ADDR");
  plan.master_address = *address;
  ASSIGN_OR_RETURN(plan.master_port, Required(environment, "MASTER_PORT", 1, kMaxPort, "RANK and WORLD_SIZE"));
  plan.store_is_external = Get(environment, "TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  plan.session = Get(environment, "TORCHELASTIC_RESTART_COUNT").value_or("");
  return plan;
}

absl::StatusOr<RankPlan> PlanSlurm(const Environment& environment, int gpus) {
  // The step's own numbers, where srun gives them, say more than the job's.
  const bool has_step = Get(environment, "SLURM_STEP_NUM_TASKS").has_value();
  const char* tasks_name = has_step ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  const char* nodes_name = has_step ? "SLURM_STEP_NUM_NODES" : "SLURM_NNODES";
  ASSIGN_OR_RETURN(const int nodes, NumberOr(environment, nodes_name, 1, 1, kMaxRanks));
  ASSIGN_OR_RETURN(const int tasks_a_node, NumberOr(environment, "SLURM_NTASKS_PER_NODE", 1, 1, kMaxRanks));
  ASSIGN_OR_RETURN(
      const int tasks,
      NumberOr(environment, tasks_name, static_cast<int>(std::min<int64_t>(int64_t{nodes} * tasks_a_node, kMaxRanks)),
               1, kMaxRanks));
  if (tasks < nodes) return ConfigError(absl::StrCat(tasks_name, " is ", tasks, " on ", nodes, " nodes"));
  RankPlan plan;
  if (tasks > nodes) {
    if (gpus > 1) return BothAtOnce(absl::StrCat("SLURM (", tasks, " tasks on ", nodes, " nodes)"), gpus);
    ASSIGN_OR_RETURN(const int rank, Required(environment, "SLURM_PROCID", 0, tasks - 1, "SLURM tasks"));
    ASSIGN_OR_RETURN(const int local_rank, NumberOr(environment, "SLURM_LOCALID", 0, 0, tasks - 1));
    plan = OneRank(rank, tasks, local_rank, std::max(local_rank + 1, std::min(tasks, (tasks + nodes - 1) / nodes)));
  } else {
    // The node's place in the step; in a step on part of a job SLURM_NODEID is still counted in the step.
    const char* node_name = Get(environment, "SLURM_NODEID").has_value() ? "SLURM_NODEID" : "SLURM_PROCID";
    ASSIGN_OR_RETURN(const int node, nodes == 1 ? absl::StatusOr<int>(0)
                                                : Required(environment, node_name, 0, nodes - 1, "SLURM nodes"));
    ASSIGN_OR_RETURN(plan, NodeOfRanks(node, nodes, gpus));
  }
  if (plan.starts_all_ranks()) return plan;

  if (const auto address = Get(environment, "MASTER_ADDR"); address.has_value()) {
    plan.master_address = *address;
  } else {
    auto list = Get(environment, "SLURM_STEP_NODELIST");
    if (!list.has_value()) list = Get(environment, "SLURM_JOB_NODELIST");
    if (!list.has_value()) list = Get(environment, "SLURM_NODELIST");
    if (!list.has_value()) {
      return ConfigError("SLURM names no nodes (SLURM_STEP_NODELIST): set MASTER_ADDR to the host of rank 0");
    }
    ASSIGN_OR_RETURN(plan.master_address, FirstHost(*list));
  }
  ASSIGN_OR_RETURN(const int job, NumberOr(environment, "SLURM_JOB_ID", 0, 0, std::numeric_limits<int>::max()));
  // Below the range from which Linux takes the ports of outgoing connections.
  ASSIGN_OR_RETURN(plan.master_port, NumberOr(environment, "MASTER_PORT", 15000 + job % 15000, 1, kMaxPort));
  plan.session = Get(environment, "SLURM_RESTART_COUNT").value_or("");
  return plan;
}

}  // namespace

Environment CurrentEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

absl::StatusOr<RankPlan> PlanRanks(const Environment& environment, std::optional<int> gpus) {
  const int ranks_here = gpus.value_or(1);
  if (ranks_here < 1 || ranks_here > kMaxRanks) return ConfigError(absl::StrCat("--gpus is ", ranks_here));

  const bool has_rank = Get(environment, "RANK").has_value();
  const bool in_job = Get(environment, "SLURM_JOB_ID").has_value();
  const bool in_step = Get(environment, "SLURM_STEP_ID").has_value() || !in_job;
  const bool has_slurm = Get(environment, "SLURM_NNODES").has_value() || Get(environment, "SLURM_NTASKS").has_value() ||
                         Get(environment, "SLURM_STEP_NUM_TASKS").has_value();
  // Scripts for SLURM like to export WORLD_SIZE alone.
  if (has_rank || (!has_slurm && Get(environment, "WORLD_SIZE").value_or("1") != "1")) {
    return PlanTorchrun(environment, ranks_here);
  }
  if (has_slurm && in_step) return PlanSlurm(environment, ranks_here);
  if (has_slurm) {
    // A batch script or an salloc shell runs on its first node only, whatever its numbers of tasks say.
    ASSIGN_OR_RETURN(const int nodes, NumberOr(environment, "SLURM_NNODES", 1, 1, kMaxRanks));
    if (nodes > 1) {
      return ConfigError(absl::StrCat("this SLURM job has ", nodes,
                                      " nodes but train was not started by srun: start it with srun "
                                      "--ntasks-per-node=1, so that it runs on each node"));
    }
  }
  return NodeOfRanks(0, 1, ranks_here);
}

absl::StatusOr<std::string> FirstHost(const std::string& node_list) {
  const size_t bracket = node_list.find('[');
  const size_t comma = node_list.find(',');
  std::string host;
  if (bracket == std::string::npos || comma < bracket) {
    host = node_list.substr(0, comma);
  } else {
    // "prefix[003-007,9]suffix": the first number, written as it stands.
    const size_t close = node_list.find(']', bracket);
    if (close == std::string::npos) return ConfigError(absl::StrCat("'", node_list, "' is no list of SLURM nodes"));
    const size_t number_end = node_list.find_first_of("-,]", bracket);
    const size_t suffix_end = std::min(node_list.find_first_of(",[", close), node_list.size());
    if (node_list[std::min(suffix_end, node_list.size() - 1)] == '[') {
      return ConfigError(absl::StrCat("'", node_list, "' has names of two ranges: set MASTER_ADDR"));
    }
    host = node_list.substr(0, bracket) + node_list.substr(bracket + 1, number_end - bracket - 1) +
           node_list.substr(close + 1, suffix_end - close - 1);
    if (number_end == bracket + 1) host.clear();
  }
  for (const char c : host) {
    const bool plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
    if (!plain) host.clear();
  }
  if (host.empty()) return ConfigError(absl::StrCat("'", node_list, "' is no list of SLURM nodes: set MASTER_ADDR"));
  return host;
}

std::vector<std::string> WorkerEnvironment(const WorkerPlace& place) {
  return {absl::StrCat("CUBIST_RANK=", place.rank),
          absl::StrCat("CUBIST_WORLD_SIZE=", place.world_size),
          absl::StrCat("CUBIST_LOCAL_RANK=", place.local_rank),
          absl::StrCat("CUBIST_LOCAL_WORLD_SIZE=", place.local_world_size),
          absl::StrCat("CUBIST_STORE_IS_EXTERNAL=", place.store_is_external ? 1 : 0),
          absl::StrCat("CUBIST_LISTEN_DESCRIPTOR=", place.listen_descriptor),
          absl::StrCat("CUBIST_SESSION=", place.session),
          absl::StrCat("MASTER_ADDR=", place.master_address),
          absl::StrCat("MASTER_PORT=", place.master_port)};
}

absl::StatusOr<WorkerPlace> ReadWorkerPlace(const Environment& environment) {
  WorkerPlace place;
  if (!Get(environment, "CUBIST_RANK").has_value()) return place;
  constexpr char kBeside[] = "CUBIST_RANK";
  ASSIGN_OR_RETURN(place.world_size, Required(environment, "CUBIST_WORLD_SIZE", 1, kMaxRanks, kBeside));
  ASSIGN_OR_RETURN(place.rank, Required(environment, "CUBIST_RANK", 0, place.world_size - 1, kBeside));
  ASSIGN_OR_RETURN(place.local_world_size, Required(environment, "CUBIST_LOCAL_WORLD_SIZE", 1, kMaxRanks, kBeside));
  ASSIGN_OR_RETURN(place.local_rank,
                   Required(environment, "CUBIST_LOCAL_RANK", 0, place.local_world_size - 1, kBeside));
  ASSIGN_OR_RETURN(const int external, Required(environment, "CUBIST_STORE_IS_EXTERNAL", 0, 1, kBeside));
  place.store_is_external = external == 1;
  ASSIGN_OR_RETURN(place.listen_descriptor,
                   NumberOr(environment, "CUBIST_LISTEN_DESCRIPTOR", -1, -1, std::numeric_limits<int>::max()));
  place.session = Get(environment, "CUBIST_SESSION").value_or("");
  place.master_address = Get(environment, "MASTER_ADDR").value_or(place.master_address);
  ASSIGN_OR_RETURN(place.master_port, Required(environment, "MASTER_PORT", 0, kMaxPort, kBeside));
  return place;
}

}  // namespace cubist
