#include "tools/training/launch/rendezvous_environment.h"

#include <gtest/gtest.h>

#include "base/status.h"

namespace cubist {
namespace {

TEST(PlanRanks, Table) {
  struct Expected {
    int first_rank;
    int local_ranks;
    int world_size;
    int first_local_rank;
    int local_world_size;
    const char* address;
    int port;
    bool external = false;
  };
  const struct {
    const char* name;
    Environment environment;
    std::optional<int> gpus;
    Expected expected;
  } cases[] = {
      {"alone", {}, std::nullopt, {0, 1, 1, 0, 1, "127.0.0.1", 0}},
      {"one node", {}, 8, {0, 8, 8, 0, 8, "127.0.0.1", 0}},
      {"a MASTER_ADDR alone means nothing", {{"MASTER_ADDR", "h"}}, 2, {0, 2, 2, 0, 2, "127.0.0.1", 0}},
      {"empty variables mean nothing", {{"RANK", ""}, {"WORLD_SIZE", ""}}, 2, {0, 2, 2, 0, 2, "127.0.0.1", 0}},
      {"SLURM, one task a node",
       {{"SLURM_NODEID", "1"},
        {"SLURM_NNODES", "2"},
        {"SLURM_NTASKS_PER_NODE", "1"},
        {"SLURM_JOB_NODELIST", "gpu[07-08]"},
        {"SLURM_JOB_ID", "15003"},
        {"SLURM_STEP_ID", "0"}},
       8,
       {8, 8, 16, 0, 8, "gpu07", 15003}},
      {"SLURM, one task a rank",
       {{"SLURM_PROCID", "5"},
        {"SLURM_LOCALID", "1"},
        {"SLURM_NODEID", "1"},
        {"SLURM_NNODES", "2"},
        {"SLURM_NTASKS", "8"},
        {"SLURM_NTASKS_PER_NODE", "4"},
        {"MASTER_ADDR", "head"},
        {"MASTER_PORT", "29500"}},
       std::nullopt,
       {5, 1, 8, 1, 4, "head", 29500}},
      {"SLURM, tasks follow from those a node",
       {{"SLURM_PROCID", "3"},
        {"SLURM_LOCALID", "1"},
        {"SLURM_NNODES", "2"},
        {"SLURM_NTASKS_PER_NODE", "2"},
        {"SLURM_NODELIST", "a,b"}},
       1,
       {3, 1, 4, 1, 2, "a", 15000}},
      {"SLURM, the step's numbers beat the job's",
       {{"SLURM_JOB_ID", "1"},
        {"SLURM_STEP_ID", "2"},
        {"SLURM_NNODES", "4"},
        {"SLURM_NTASKS", "32"},
        {"SLURM_STEP_NUM_NODES", "1"},
        {"SLURM_STEP_NUM_TASKS", "1"},
        {"SLURM_PROCID", "0"}},
       4,
       {0, 4, 4, 0, 4, "127.0.0.1", 0}},
      {"a batch script on one node is no task",
       {{"SLURM_JOB_ID", "1"}, {"SLURM_NNODES", "1"}, {"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}},
       8,
       {0, 8, 8, 0, 8, "127.0.0.1", 0}},
      {"SLURM, WORLD_SIZE exported alone",
       {{"WORLD_SIZE", "16"},
        {"SLURM_NODEID", "0"},
        {"SLURM_NNODES", "2"},
        {"SLURM_NTASKS", "2"},
        {"MASTER_ADDR", "m"},
        {"MASTER_PORT", "1234"}},
       8,
       {0, 8, 16, 0, 8, "m", 1234}},
      {"torchrun, one task a rank",
       {{"RANK", "9"},
        {"WORLD_SIZE", "16"},
        {"LOCAL_RANK", "1"},
        {"LOCAL_WORLD_SIZE", "8"},
        {"MASTER_ADDR", "h"},
        {"MASTER_PORT", "29400"},
        {"TORCHELASTIC_USE_AGENT_STORE", "True"}},
       std::nullopt,
       {9, 1, 16, 1, 8, "h", 29400, true}},
      {"torchrun, one task a node",
       {{"RANK", "1"},
        {"WORLD_SIZE", "2"},
        {"LOCAL_RANK", "0"},
        {"LOCAL_WORLD_SIZE", "1"},
        {"MASTER_ADDR", "h"},
        {"MASTER_PORT", "29400"}},
       4,
       {4, 4, 8, 0, 4, "h", 29400}},
      {"a pod a node, without local variables",
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "h"}, {"MASTER_PORT", "29400"}},
       2,
       {0, 2, 4, 0, 2, "h", 29400}},
      {"torchrun inside SLURM",
       {{"RANK", "0"},
        {"WORLD_SIZE", "2"},
        {"LOCAL_WORLD_SIZE", "2"},
        {"MASTER_ADDR", "h"},
        {"MASTER_PORT", "2"},
        {"SLURM_NNODES", "3"},
        {"SLURM_NTASKS", "3"}},
       std::nullopt,
       {0, 1, 2, 0, 2, "h", 2}},
  };
  for (const auto& test : cases) {
    const auto plan = PlanRanks(test.environment, test.gpus);
    ASSERT_TRUE(plan.ok()) << test.name << ": " << plan.status().message();
    EXPECT_EQ(plan->first_rank, test.expected.first_rank) << test.name;
    EXPECT_EQ(plan->local_ranks, test.expected.local_ranks) << test.name;
    EXPECT_EQ(plan->world_size, test.expected.world_size) << test.name;
    EXPECT_EQ(plan->first_local_rank, test.expected.first_local_rank) << test.name;
    EXPECT_EQ(plan->local_world_size, test.expected.local_world_size) << test.name;
    EXPECT_EQ(plan->master_address, test.expected.address) << test.name;
    EXPECT_EQ(plan->master_port, test.expected.port) << test.name;
    EXPECT_EQ(plan->store_is_external, test.expected.external) << test.name;
  }
}

TEST(PlanRanks, Errors) {
  const struct {
    Environment environment;
    std::optional<int> gpus;
    const char* part;
  } cases[] = {
      {{}, 0, "--gpus"},
      {{{"SLURM_PROCID", "5"}, {"SLURM_NNODES", "2"}, {"SLURM_NTASKS", "8"}}, 4, "one task a rank"},
      {{{"RANK", "1"}, {"WORLD_SIZE", "4"}, {"LOCAL_WORLD_SIZE", "4"}}, 2, "one task a rank"},
      {{{"RANK", "4"}, {"WORLD_SIZE", "4"}}, {}, "RANK is '4', not a number from 0 to 3"},
      {{{"RANK", "x"}, {"WORLD_SIZE", "4"}}, {}, "RANK is 'x'"},
      {{{"RANK", "1"}}, {}, "no WORLD_SIZE"},
      {{{"WORLD_SIZE", "4"}}, {}, "no RANK"},
      {{{"RANK", "1"}, {"WORLD_SIZE", "4"}}, {}, "no MASTER_ADDR"},
      {{{"RANK", "1"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "h"}}, {}, "no MASTER_PORT"},
      {{{"RANK", "1"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "h"}, {"MASTER_PORT", "70000"}}, {}, "65535"},
      {{{"SLURM_NNODES", "2"}, {"SLURM_NTASKS", "2"}}, 8, "no SLURM_PROCID"},
      {{{"SLURM_NNODES", "2"}, {"SLURM_NTASKS", "2"}, {"SLURM_NODEID", "2"}}, 8, "SLURM_NODEID is '2'"},
      {{{"SLURM_NNODES", "2"}, {"SLURM_NTASKS", "2"}, {"SLURM_NODEID", "1"}}, 8, "MASTER_ADDR"},
      {{{"SLURM_NNODES", "1000000"}, {"SLURM_NODEID", "1"}}, 8, "too many"},
      {{{"SLURM_NNODES", "99999999999999999999"}}, 8, "SLURM_NNODES"},
      {{{"SLURM_JOB_ID", "7"}, {"SLURM_NNODES", "2"}, {"SLURM_NTASKS", "16"}}, 8, "srun"},
  };
  for (const auto& test : cases) {
    const auto plan = PlanRanks(test.environment, test.gpus);
    EXPECT_EQ(ExitCodeOf(plan.status()), ExitCode::kConfig) << test.part;
    EXPECT_NE(std::string(plan.status().message()).find(test.part), std::string::npos)
        << test.part << " is not in: " << plan.status().message();
  }
}

TEST(FirstHost, Lists) {
  const std::map<std::string, std::string> hosts = {
      {"solo", "solo"},
      {"a,b", "a"},
      {"node[003-007,9],login1", "node003"},
      {"node[7]", "node7"},
      {"n[1,5]-ib", "n1-ib"},
      {"head,node[1-2]", "head"},
      {"rack-1.x[10-20].lan,b", "rack-1.x10.lan"},
  };
  for (const auto& [list, host] : hosts) {
    const auto first = FirstHost(list);
    ASSERT_TRUE(first.ok()) << first.status().message();
    EXPECT_EQ(*first, host);
  }
  for (const char* list : {"", ",", "n[", "n[]", "n[1", "a;b", "a b", "n[1-2]m[3]", "[", "]", "n[$(x)]"}) {
    EXPECT_EQ(ExitCodeOf(FirstHost(list).status()), ExitCode::kConfig) << list;
  }
}

TEST(WorkerPlace, SurvivesTheEnvironment) {
  WorkerPlace place;
  place.rank = 5;
  place.world_size = 8;
  place.local_rank = 1;
  place.local_world_size = 4;
  place.master_address = "node1";
  place.master_port = 15001;
  place.store_is_external = true;
  place.listen_descriptor = 12;
  place.session = "3";
  Environment environment = {{"MASTER_PORT", "1"}};
  for (const std::string& entry : WorkerEnvironment(place)) {
    environment[entry.substr(0, entry.find('='))] = entry.substr(entry.find('=') + 1);
  }
  const auto read = ReadWorkerPlace(environment);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(WorkerEnvironment(*read), WorkerEnvironment(place));
  EXPECT_EQ(read->rank, 5);
  EXPECT_EQ(read->master_port, 15001);

  environment["CUBIST_RANK"] = "8";
  EXPECT_EQ(ExitCodeOf(ReadWorkerPlace(environment).status()), ExitCode::kConfig);
  const auto alone = ReadWorkerPlace({});
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->world_size, 1);
}

}  // namespace
}  // namespace cubist
