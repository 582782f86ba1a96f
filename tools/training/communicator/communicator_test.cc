// Real ranks over the loopback: the test starts itself again as a worker of a scenario and looks at
// what each rank says. The worker's part stands first.
#include "tools/training/communicator/communicator.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

#include "base/status.h"
#include "tools/training/communicator/gloo_communicator.h"

namespace cubist {
namespace {

// ---- the worker -------------------------------------------------------------------------------

// Element i of rank r: values whose sum depends on the order of summation.
template <typename T>
std::vector<T> Values(int rank, int64_t count) {
  std::vector<T> values(count);
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      values[i] = static_cast<T>(std::sin(0.37 * i + rank) * std::pow(10.0, (i + 3 * rank) % 7 - 3));
    } else {
      values[i] = static_cast<T>((i * 7919 + rank * 104729) % 1000003 - 500000);
    }
  }
  return values;
}

template <typename T>
at::Tensor TensorOf(const std::vector<T>& values) {
  return at::from_blob(const_cast<T*>(values.data()), {static_cast<int64_t>(values.size())},
                       c10::CppTypeToScalarType<T>::value)
      .clone();
}

#define WORKER_CHECK(condition)                                                            \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      std::cout << "check failed at line " << __LINE__ << ": " << #condition << std::endl; \
      return 1;                                                                            \
    }                                                                                      \
  } while (false)
#define WORKER_OK(expression)                                                    \
  do {                                                                           \
    if (const absl::Status status = (expression); !status.ok()) {                \
      std::cout << "line " << __LINE__ << ": " << status.message() << std::endl; \
      return 1;                                                                  \
    }                                                                            \
  } while (false)

template <typename T>
int CheckReductions(Communicator& communicator, int64_t count) {
  const int world = communicator.world_size();
  const at::Tensor sum = TensorOf(Values<T>(communicator.rank(), count));
  const at::Tensor smallest = sum.clone();
  const at::Tensor largest = sum.clone();
  WORKER_OK(communicator.AllReduceSum(sum));
  WORKER_OK(communicator.AllReduceMin(smallest));
  WORKER_OK(communicator.AllReduceMax(largest));
  std::vector<std::vector<T>> all;
  for (int r = 0; r < world; ++r) all.push_back(Values<T>(r, count));
  for (int64_t i = 0; i < count; ++i) {
    long double expected = 0;
    long double magnitude = 0;
    T least = all[0][i];
    T most = all[0][i];
    for (int r = 0; r < world; ++r) {
      expected += all[r][i];
      magnitude += std::fabs(static_cast<long double>(all[r][i]));
      least = std::min(least, all[r][i]);
      most = std::max(most, all[r][i]);
    }
    const long double bound =
        std::is_floating_point_v<T> ? world * std::numeric_limits<T>::epsilon() * magnitude : 0.0L;
    WORKER_CHECK(std::fabs(sum.data_ptr<T>()[i] - expected) <= bound);
    WORKER_CHECK(smallest.data_ptr<T>()[i] == least);
    WORKER_CHECK(largest.data_ptr<T>()[i] == most);
  }
  // For the comparison of ranks bit by bit.
  uint64_t digest = 14695981039346656037ULL;
  const auto* bytes = static_cast<const unsigned char*>(sum.data_ptr());
  for (size_t i = 0; i < sum.nbytes(); ++i) digest = (digest ^ bytes[i]) * 1099511628211ULL;
  std::cout << digest << " ";

  // Reduce-scatter: part r of a vector of world * count elements; the input stays.
  const at::Tensor input = TensorOf(Values<T>(communicator.rank(), world * count));
  const at::Tensor before = input.clone();
  const at::Tensor output = at::zeros({count}, input.options());
  WORKER_OK(communicator.ReduceScatterSum(input, output));
  WORKER_CHECK(input.equal(before));
  std::vector<std::vector<T>> wide;
  for (int r = 0; r < world; ++r) wide.push_back(Values<T>(r, world * count));
  for (int64_t i = 0; i < count; ++i) {
    long double expected = 0;
    long double magnitude = 0;
    for (int r = 0; r < world; ++r) {
      const T value = wide[r][communicator.rank() * count + i];
      expected += value;
      magnitude += std::fabs(static_cast<long double>(value));
    }
    const long double bound =
        std::is_floating_point_v<T> ? world * std::numeric_limits<T>::epsilon() * magnitude : 0.0L;
    WORKER_CHECK(std::fabs(output.data_ptr<T>()[i] - expected) <= bound);
  }
  return 0;
}

int CheckOperations(Communicator& communicator) {
  const int rank = communicator.rank();
  const int world = communicator.world_size();
  for (const int64_t count : {1, 2, 3, 257, 100003}) {
    if (CheckReductions<float>(communicator, count) != 0) return 1;
    if (CheckReductions<double>(communicator, count) != 0) return 1;
    if (CheckReductions<int64_t>(communicator, count) != 0) return 1;
    if (CheckReductions<int32_t>(communicator, count) != 0) return 1;
  }
  // Truth values: only the last rank says false, only the first says true.
  const at::Tensor all = at::full({3}, rank != world - 1, at::kBool);
  const at::Tensor any = at::full({3}, rank == 0, at::kBool);
  WORKER_OK(communicator.AllReduceMin(all));
  WORKER_OK(communicator.AllReduceMax(any));
  for (int i = 0; i < 3; ++i) WORKER_CHECK(!all.data_ptr<bool>()[i] && any.data_ptr<bool>()[i]);

  const at::Tensor mine = at::full({2, 3}, 10 * rank + 0.5, at::kDouble);
  const at::Tensor gathered = at::zeros({world, 2, 3}, at::kDouble);
  WORKER_OK(communicator.AllGather(mine, gathered));
  for (int i = 0; i < 6 * world; ++i) WORKER_CHECK(gathered.data_ptr<double>()[i] == 10 * (i / 6) + 0.5);
  const at::Tensor flag = at::full({}, rank % 2 == 1, at::kBool);
  const at::Tensor flags = at::zeros({world}, at::kBool);
  WORKER_OK(communicator.AllGather(flag, flags));
  for (int i = 0; i < world; ++i) WORKER_CHECK(flags.data_ptr<bool>()[i] == (i % 2 == 1));

  for (int root = 0; root < world; ++root) {
    const at::Tensor numbers = at::full({4}, 100 * rank + 7, at::kLong);
    const at::Tensor halves = at::full({5}, rank, at::kBFloat16);
    WORKER_OK(communicator.Broadcast(numbers, root));
    WORKER_OK(communicator.Broadcast(halves, root));
    for (int i = 0; i < 4; ++i) WORKER_CHECK(numbers.data_ptr<int64_t>()[i] == 100 * root + 7);
    for (int i = 0; i < 5; ++i) WORKER_CHECK(float{halves.data_ptr<at::BFloat16>()[i]} == root);
  }
  WORKER_OK(communicator.AllReduceSum(at::zeros({0}, at::kFloat)));
  WORKER_OK(communicator.Barrier());

  // A misuse is found before anything is sent: the ranks stay in step.
  WORKER_CHECK(ExitCodeOf(communicator.AllReduceSum(all)) == ExitCode::kInternal);
  WORKER_CHECK(ExitCodeOf(communicator.AllReduceSum(at::zeros({4, 4}, at::kFloat).t().slice(0, 0, 2))) ==
               ExitCode::kInternal);
  WORKER_CHECK(ExitCodeOf(communicator.Broadcast(mine, world)) == ExitCode::kInternal);
  WORKER_CHECK(ExitCodeOf(communicator.AllGather(mine, mine)) == ExitCode::kInternal || world == 1);
  WORKER_CHECK(ExitCodeOf(communicator.AllGather(mine, flags)) == ExitCode::kInternal);
  WORKER_OK(communicator.Barrier());
  return 0;
}

// Sums until an error; prints it. The second call must give the same error.
int SumUntilLost(Communicator& communicator, const std::function<void(int)>& before_step) {
  const at::Tensor tensor = at::full({1000}, 1.0f, at::kFloat);
  for (int step = 1; step < 100; ++step) {
    before_step(step);
    if (const absl::Status status = communicator.AllReduceSum(tensor); !status.ok()) {
      std::cout << status.message() << std::endl;
      WORKER_CHECK(communicator.Barrier() == status);
      return static_cast<int>(ExitCodeOf(status));
    }
  }
  return 0;
}

int RunWorker(const std::string& scenario, int rank, int world, int port, int descriptor) {
  GlooOptions options;
  options.rank = rank;
  options.world_size = world;
  options.master_address = "127.0.0.1";
  options.master_port = port;
  options.listen_descriptor = descriptor;
  options.deadline = std::chrono::seconds(scenario == "operations" || scenario == "master pauses" ? 60 : 4);
  if (scenario == "absent") options.meeting_deadline = std::chrono::seconds(4);
  int polls = 0;
  if (scenario == "master stopped at the meeting") {
    options.meeting_deadline = std::chrono::seconds(8);
    // Polled about 20 times a second; long after rank 1 has come.
    options.stop_requested = [&]() { return rank == 0 && ++polls == 60 && raise(SIGSTOP) != 0; };
  }
  if (scenario == "stop while waiting") options.stop_requested = []() { return true; };
  auto connected = ConnectGloo(options);
  if (!connected.ok()) {
    std::cout << connected.status().message() << std::endl;
    return static_cast<int>(ExitCodeOf(connected.status()));
  }
  Communicator& communicator = **connected;
  WORKER_CHECK(communicator.rank() == rank && communicator.world_size() == world);
  if (scenario == "operations") return CheckOperations(communicator);
  const auto hit = [&](int victim, int signal_number) {
    return [=](int step) {
      if (step == 3 && rank == victim) raise(signal_number);
    };
  };
  if (scenario == "killed") return SumUntilLost(communicator, hit(1, SIGKILL));
  if (scenario == "stopped") return SumUntilLost(communicator, hit(1, SIGSTOP));
  if (scenario == "master killed") return SumUntilLost(communicator, hit(0, SIGKILL));
  if (scenario == "master stopped") return SumUntilLost(communicator, hit(0, SIGSTOP));
  if (scenario == "master pauses") {
    return SumUntilLost(communicator, [&](int step) {
      if (step == 3 && rank == 0) raise(SIGSTOP);
      if (step == 6 && rank == 1) communicator.Abort("clip 7 is damaged");
    });
  }
  if (scenario == "abort") {
    if (rank == 1) {
      communicator.Abort("clip 7 is damaged");
      return 3;
    }
    return SumUntilLost(communicator, [](int) {});
  }
  if (scenario == "out of step") {
    const at::Tensor tensor = at::full({8}, 1.0f, at::kFloat);
    const absl::Status status = rank == 0 ? communicator.AllReduceSum(tensor) : communicator.Broadcast(tensor, 1);
    // The root of a broadcast may be done with sending: it then goes on and meets the error.
    const absl::Status last = status.ok() ? communicator.Barrier() : status;
    std::cout << last.message() << std::endl;
    return static_cast<int>(ExitCodeOf(last));
  }
  std::cout << "no scenario " << scenario << std::endl;
  return 1;
}

// ---- the test ---------------------------------------------------------------------------------

struct Outcome {
  std::string output;
  int code = -1;    // exit code, or
  int signal = -1;  // what ended it
};

class World {
 public:
  // Starts ranks 0 to started-1 of a world of `world` ranks.
  World(const std::string& scenario, int world, int started) : World(scenario, std::vector<int>(started, world)) {}
  // Starts a rank for each of `worlds`, which says how many ranks it is told that there are.
  World(const std::string& scenario, const std::vector<int>& worlds) {
    const int started = static_cast<int>(worlds.size());
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(descriptor, 128), 0);
    EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
    for (int rank = 0; rank < started; ++rank) {
      int ends[2];
      EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
      const std::vector<std::string> arguments = {"/proc/self/exe",
                                                  "--worker",
                                                  scenario,
                                                  std::to_string(rank),
                                                  std::to_string(worlds[rank]),
                                                  std::to_string(ntohs(address.sin_port)),
                                                  std::to_string(rank == 0 ? descriptor : -1)};
      std::vector<char*> pointers;
      for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
      pointers.push_back(nullptr);
      const pid_t pid = fork();
      if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        if (rank != 0) close(descriptor);
        execv("/proc/self/exe", pointers.data());
        _exit(127);
      }
      close(ends[1]);
      processes_.push_back(pid);
      outputs_.push_back(ends[0]);
    }
    close(descriptor);
  }

  void Kill(int rank) { kill(processes_[rank], SIGKILL); }
  void Continue(int rank) { kill(processes_[rank], SIGCONT); }

  void AwaitStop(int rank) {
    int status = 0;
    EXPECT_EQ(waitpid(processes_[rank], &status, WUNTRACED), processes_[rank]);
    EXPECT_TRUE(WIFSTOPPED(status));
  }

  Outcome Wait(int rank) {
    Outcome outcome;
    char buffer[4096];
    ssize_t count;
    while ((count = read(outputs_[rank], buffer, sizeof(buffer))) > 0) outcome.output.append(buffer, count);
    close(outputs_[rank]);
    int status = 0;
    EXPECT_EQ(waitpid(processes_[rank], &status, 0), processes_[rank]);
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    return outcome;
  }

 private:
  std::vector<pid_t> processes_;
  std::vector<int> outputs_;
};

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(SingleProcess, EveryOperation) {
  const auto communicator = MakeSingleProcessCommunicator();
  EXPECT_EQ(CheckOperations(*communicator), 0);
  communicator->Abort("enough");
  EXPECT_EQ(ExitCodeOf(communicator->Barrier()), ExitCode::kPeerLost);
}

TEST(Gloo, EveryOperationAndRanksAgreeBitByBit) {
  for (const int world_size : {1, 2, 4}) {
    World world("operations", world_size, world_size);
    std::string first;
    for (int rank = 0; rank < world_size; ++rank) {
      const Outcome outcome = world.Wait(rank);
      EXPECT_EQ(outcome.code, 0) << "rank " << rank << " of " << world_size << ": " << outcome.output;
      if (rank == 0) first = outcome.output;
      EXPECT_EQ(outcome.output, first) << "rank " << rank << " of " << world_size;
    }
    EXPECT_GT(first.size(), 20u);
  }
}

TEST(Gloo, NamesAKilledRank) {
  World world("killed", 4, 4);
  EXPECT_EQ(world.Wait(1).signal, SIGKILL);
  for (const int rank : {0, 2, 3}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "all-reduce (sum) #3")) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "rank " + std::to_string(rank) + " of 4")) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "no answer from rank 1.")) << outcome.output;
  }
}

TEST(Gloo, NamesAStoppedRank) {
  World world("stopped", 2, 2);
  const Outcome outcome = world.Wait(0);
  EXPECT_EQ(outcome.code, 5) << outcome.output;
  EXPECT_TRUE(Contains(outcome.output, "all-reduce (sum) #3")) << outcome.output;
  EXPECT_TRUE(Contains(outcome.output, "no answer from rank 1.")) << outcome.output;
  world.Kill(1);
  world.Wait(1);
}

TEST(Gloo, NamesTheMasterWhenItDies) {
  World world("master killed", 3, 3);
  EXPECT_EQ(world.Wait(0).signal, SIGKILL);
  for (const int rank : {1, 2}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "no answer from rank 0 at 127.0.0.1")) << outcome.output;
  }
}

// The server of the store then takes questions and answers none.
TEST(Gloo, NamesTheMasterWhenItIsStopped) {
  World world("master stopped", 3, 3);
  for (const int rank : {1, 2}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(
        Contains(outcome.output, "all-reduce (sum) #3 failed: not done after 4000 ms; no answer from rank 0 at"))
        << outcome.output;
  }
  world.Kill(0);
  world.Wait(0);
}

TEST(Gloo, NamesTheMasterWhenItIsStoppedAtTheMeeting) {
  World world("master stopped at the meeting", 3, 2);
  const Outcome outcome = world.Wait(1);
  EXPECT_EQ(outcome.code, 5) << outcome.output;
  EXPECT_TRUE(Contains(outcome.output, "the store there does not answer")) << outcome.output;
  EXPECT_TRUE(Contains(outcome.output, "Look at the log of rank 0")) << outcome.output;
  world.Kill(0);
  world.Wait(0);
}

// For longer than a question waits, within the deadline: the operation is done in the end, and the store is used again.
TEST(Gloo, GoesOnWhenTheMasterGoesOn) {
  World world("master pauses", 3, 3);
  world.AwaitStop(0);
  std::this_thread::sleep_for(std::chrono::seconds(4));
  world.Continue(0);
  for (const int rank : {0, 1, 2}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "rank 1 left: clip 7 is damaged")) << outcome.output;
    EXPECT_EQ(Contains(outcome.output, "all-reduce (sum) #6 failed"), rank != 1) << outcome.output;
  }
}

TEST(Gloo, AbortTellsTheOthersWhy) {
  World world("abort", 3, 3);
  EXPECT_EQ(world.Wait(1).code, 3);
  for (const int rank : {0, 2}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "rank 1 left: clip 7 is damaged")) << outcome.output;
  }
}

TEST(Gloo, RanksOutOfStepSayWhereTheyStand) {
  World world("out of step", 2, 2);
  const Outcome zero = world.Wait(0);
  const Outcome one = world.Wait(1);
  EXPECT_EQ(zero.code, 5) << zero.output;
  EXPECT_EQ(one.code, 5) << one.output;
  EXPECT_TRUE(Contains(zero.output, "all-reduce (sum) #1 failed") && Contains(zero.output, "rank 1 in b"))
      << zero.output;
  EXPECT_TRUE(Contains(one.output, "rank 0 in all-reduce (sum) #1")) << one.output;
}

TEST(Gloo, NamesARankThatNeverCame) {
  World world("absent", 3, 2);
  for (const int rank : {0, 1}) {
    const Outcome outcome = world.Wait(rank);
    EXPECT_EQ(outcome.code, 5) << outcome.output;
    EXPECT_TRUE(Contains(outcome.output, "rank 2 did not come within 4000 ms")) << outcome.output;
  }
}

// Within no deadline of its own: a meeting waits for ten minutes, longer than the test may take.
TEST(Gloo, DifferentWorldSizesAreRefusedByAll) {
  for (const std::vector<int>& worlds : std::vector<std::vector<int>>{{2, 3}, {3, 2}, {3, 4, 4}, {3, 2, 3}}) {
    World world("world sizes", worlds);
    for (size_t rank = 0; rank < worlds.size(); ++rank) {
      const Outcome outcome = world.Wait(static_cast<int>(rank));
      EXPECT_EQ(outcome.code, 2) << outcome.output;
      for (const int size : worlds) {
        EXPECT_TRUE(Contains(outcome.output, "the world size " + std::to_string(size) + " of rank ")) << outcome.output;
      }
    }
  }
}

TEST(Gloo, StopsWhileItWaitsForOthers) {
  World world("stop while waiting", 2, 1);
  const Outcome outcome = world.Wait(0);
  EXPECT_EQ(outcome.code, 75) << outcome.output;
}

TEST(Gloo, RefusesImpossibleOptions) {
  GlooOptions options;
  options.rank = 2;
  options.world_size = 2;
  options.master_address = "127.0.0.1";
  options.master_port = 1;
  EXPECT_EQ(ExitCodeOf(ConnectGloo(options).status()), ExitCode::kConfig);
  options.rank = 0;
  options.master_port = 0;
  EXPECT_EQ(ExitCodeOf(ConnectGloo(options).status()), ExitCode::kConfig);
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc == 7 && std::strcmp(argv[1], "--worker") == 0) {
    const int code =
        cubist::RunWorker(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]), std::atoi(argv[6]));
    std::cout.flush();
    std::_Exit(code);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
