// The only source that includes Gloo's headers: those of the distribution are older than the code in
// LibTorch, and only what c10d itself exports may be called.
#include "tools/training/communicator/gloo_communicator.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long an operation runs before the store is asked whether some rank has failed.
constexpr milliseconds kSlice(500);
// How long a call waits for the store's answer. With kGrace, it is within the 5 s that a rank may take to end after its
// deadline.
constexpr milliseconds kAnswer(2000);
// How long a failed rank waits for the others to say where they stand: several slices.
constexpr milliseconds kGrace(2500);
// How long rank 0 keeps the store of a meeting that failed: ranks start seconds apart.
constexpr milliseconds kMeetingGrace(5000);
constexpr milliseconds kPoll(50);

constexpr char kFailedKey[] = "failed";
constexpr char kGaveUpKey[] = "gave up";
// "<world size> of rank <rank>", of the first rank that came.
constexpr char kWorldSizeKey[] = "world size";
// What came of the meeting, decided once: kMet, or why these ranks cannot form a world.
constexpr char kOutcomeKey[] = "outcome";
constexpr char kMet[] = "met";

std::string JoinedKey(int rank) { return absl::StrCat("joined/", rank); }
std::string StandKey(int rank) { return absl::StrCat("stand/", rank); }
std::string ReadKey(int rank) { return absl::StrCat("read/", rank); }

// The first line of an exception of LibTorch; the rest is a C++ backtrace.
std::string FirstLine(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

// Starts `call` on a thread of its own. A call that never returns leaves its thread behind: it owns all that it uses.
template <typename Call>
auto InBackground(Call call) {
  std::packaged_task<decltype(call())()> task(std::move(call));
  auto answer = task.get_future();
  std::thread(std::move(task)).detach();
  return answer;
}

// The store with its exceptions (the server is gone) and its silence (the server's process is stopped or cut off:
// TCPStore then waits for ever) turned into "no". After kAnswer without an answer it is left alone, and every call is
// "no" at once, until that answer comes. So there is one call at a time, on a thread of its own.
class SafeStore {
 public:
  explicit SafeStore(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}

  bool Has(const std::string& key) {
    return Ask<bool>(false, [key](c10d::Store& store) { return store.check({key}); });
  }
  void Set(const std::string& key, const std::string& value) {
    Ask<bool>(false, [key, value](c10d::Store& store) {
      store.set(key, value);
      return true;
    });
  }
  // Sets a key that is not there; returns what it then has: `value`, unless another rank came first.
  std::string SetOnce(const std::string& key, const std::string& value) {
    return Ask<std::string>(value,
                            [key, value](c10d::Store& store) { return store.compareSet(key, std::string(), value); });
  }
  // The value of a key that is there; empty if the store does not answer.
  std::string Get(const std::string& key) {
    return Ask<std::string>(std::string(), [key](c10d::Store& store) { return store.get_to_str(key); });
  }
  bool gone() const { return gone_; }
  bool reachable() const { return !gone_ && !answer_.valid(); }
  c10::intrusive_ptr<c10d::Store> store() const { return store_; }

 private:
  template <typename T>
  T Ask(T otherwise, std::function<T(c10d::Store&)> call) {
    try {
      if (gone_ || !Answered(milliseconds(0))) return otherwise;
      const auto result = std::make_shared<T>(otherwise);
      answer_ = InBackground([store = store_, call = std::move(call), result] { *result = call(*store); });
      return Answered(kAnswer) ? *result : otherwise;
    } catch (const std::exception&) {
      gone_ = true;
      return otherwise;
    }
  }

  // Whether the latest call returns within `limit` or has returned; throws what it threw.
  bool Answered(milliseconds limit) {
    if (!answer_.valid()) return true;
    if (answer_.wait_for(limit) != std::future_status::ready) return false;
    answer_.get();
    return true;
  }

  c10::intrusive_ptr<c10d::Store> store_;
  bool gone_ = false;
  std::future<void> answer_;  // of a call that has not returned
};

// Polls until `done(rank)` holds for all ranks in the list or the time is over; returns the others.
std::vector<int> WaitForRanks(std::vector<int> ranks, Clock::time_point until, const std::function<bool(int)>& done) {
  while (true) {
    ranks.erase(std::remove_if(ranks.begin(), ranks.end(), done), ranks.end());
    if (ranks.empty() || Clock::now() >= until) return ranks;
    std::this_thread::sleep_for(kPoll);
  }
}

std::vector<int> OtherRanks(int rank, int world_size) {
  std::vector<int> others;
  for (int other = 0; other < world_size; ++other) {
    if (other != rank) others.push_back(other);
  }
  return others;
}

// The last thing a rank does with the store. Rank 0 takes the store with it when it ends: it waits until the
// others, those in `lost` apart, have done so.
void LetOthersRead(const GlooOptions& options, SafeStore& store, milliseconds grace,
                   const std::vector<int>& lost = {}) {
  store.Set(ReadKey(options.rank), "1");
  if (options.rank != 0 || options.store_is_external) return;
  WaitForRanks(OtherRanks(0, options.world_size), Clock::now() + grace, [&](int other) {
    return std::find(lost.begin(), lost.end(), other) != lost.end() || store.Has(ReadKey(other)) || !store.reachable();
  });
}

class GlooCommunicator : public Communicator {
 public:
  GlooCommunicator(const GlooOptions& options, SafeStore store, c10::intrusive_ptr<c10d::Backend> group)
      : options_(options), store_(std::move(store)), group_(std::move(group)) {}

  ~GlooCommunicator() override {
    // The destructor of a group waits for its threads, which a lost peer keeps waiting in turn.
    if (!failure_.ok()) (void)group_.release();
  }

  int rank() const override { return options_.rank; }
  int world_size() const override { return options_.world_size; }

  absl::Status AllReduceSum(const at::Tensor& tensor) override {
    return AllReduce("all-reduce (sum)", tensor, Reduction::kSum, c10d::ReduceOp::SUM);
  }
  absl::Status AllReduceMin(const at::Tensor& tensor) override {
    return AllReduce("all-reduce (min)", tensor, Reduction::kMin, c10d::ReduceOp::MIN);
  }
  absl::Status AllReduceMax(const at::Tensor& tensor) override {
    return AllReduce("all-reduce (max)", tensor, Reduction::kMax, c10d::ReduceOp::MAX);
  }

  absl::Status ReduceScatterSum(const at::Tensor& input, const at::Tensor& output) override {
    RETURN_IF_ERROR(CheckReduceScatter(input, output, world_size()));
    if (output.numel() == 0) return failure_;
    return Run("reduce-scatter", [&]() {
      at::Tensor flat_output = output.view(-1);
      at::Tensor flat_input = input.view(-1);
      return group_->_reduce_scatter_base(flat_output, flat_input);
    });
  }

  absl::Status AllGather(const at::Tensor& input, const at::Tensor& output) override {
    RETURN_IF_ERROR(CheckAllGather(input, output, world_size()));
    if (input.numel() == 0) return failure_;
    return Run("all-gather", [&]() {
      at::Tensor input_bytes = Bytes(input);
      at::Tensor output_bytes = Bytes(output);
      return group_->_allgather_base(output_bytes, input_bytes);
    });
  }

  absl::Status Broadcast(const at::Tensor& tensor, int root) override {
    RETURN_IF_ERROR(CheckBroadcast(tensor, root, world_size()));
    if (tensor.numel() == 0) return failure_;
    return Run(absl::StrCat("broadcast from rank ", root), [&]() {
      std::vector<at::Tensor> tensors{Bytes(tensor)};
      c10d::BroadcastOptions broadcast_options;
      broadcast_options.rootRank = root;
      return group_->broadcast(tensors, broadcast_options);
    });
  }

  absl::Status Barrier() override {
    return Run("barrier", [&]() {
      // A sum that all ranks take part in; c10d's own barrier sends the same messages.
      std::vector<at::Tensor> tensors{at::zeros({1}, at::kInt)};
      return group_->allreduce(tensors);
    });
  }

  void Abort(std::string_view reason) override {
    if (!failure_.ok()) return;
    failure_ = PeerLostError(absl::StrCat("rank ", rank(), " left: ", std::string(reason)));
    store_.Set(StandKey(rank()), absl::StrCat("left: ", std::string(reason)));
    store_.Set(kFailedKey, absl::StrCat(rank()));
    LetOthersRead(options_, store_, kGrace);
  }

 private:
  using Work = c10::intrusive_ptr<c10d::Work>;

  static at::Tensor Bytes(const at::Tensor& tensor) { return tensor.view(-1).view(at::kByte); }

  absl::Status AllReduce(const char* operation, const at::Tensor& tensor, Reduction reduction,
                         c10d::ReduceOp::RedOpType reduce_operation) {
    RETURN_IF_ERROR(CheckReducible(tensor, reduction));
    if (tensor.numel() == 0) return failure_;
    return Run(operation, [&]() {
      // A bool is a byte of 0 or 1, whose order is that of the truth values.
      std::vector<at::Tensor> tensors{tensor.scalar_type() == at::kBool ? Bytes(tensor) : tensor};
      c10d::AllreduceOptions all_reduce_options;
      all_reduce_options.reduceOp = reduce_operation;
      return group_->allreduce(tensors, all_reduce_options);
    });
  }

  absl::Status Run(const std::string& operation, const std::function<Work()>& start) {
    RETURN_IF_ERROR(failure_);
    ++sequence_;
    const Clock::time_point deadline = Clock::now() + options_.deadline;
    std::string cause;
    try {
      const Work work = start();
      while (!WaitSlice(*work, deadline)) {
        if (Clock::now() >= deadline) {
          cause = absl::StrCat("not done after ", options_.deadline.count(), " ms");
        } else if (store_.Has(kFailedKey)) {
          cause = "another rank failed";
        }
        if (!cause.empty()) break;
      }
      if (cause.empty()) return absl::OkStatus();
    } catch (const std::exception& error) {
      cause = FirstLine(error);
    }
    failure_ = Fail(operation, cause);
    return failure_;
  }

  // Waits a slice or until the deadline. True: done. False: still running. Throws what the operation threw.
  static bool WaitSlice(c10d::Work& work, Clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    try {
      // Zero would mean "for ever".
      return work.wait(std::clamp(left, milliseconds(1), kSlice));
    } catch (const std::exception&) {
      if (!work.isCompleted()) return false;
      if (work.isSuccess()) return true;
      throw;
    }
  }

  absl::Status Fail(const std::string& operation, const std::string& cause) {
    store_.Set(StandKey(rank()), absl::StrCat("in ", operation, " #", sequence_));
    store_.Set(kFailedKey, absl::StrCat(rank()));
    const std::vector<int> missing =
        WaitForRanks(OtherRanks(rank(), world_size()), Clock::now() + kGrace,
                     [this](int other) { return !store_.reachable() || store_.Has(StandKey(other)); });
    std::string message =
        absl::StrCat("rank ", rank(), " of ", world_size(), ": ", operation, " #", sequence_, " failed: ", cause);
    if (!missing.empty() && store_.reachable()) {
      absl::StrAppend(&message, "; no answer from rank ", absl::StrJoin(missing, ", "));
    }
    for (int other : OtherRanks(rank(), world_size())) {
      if (std::find(missing.begin(), missing.end(), other) != missing.end() || !store_.Has(StandKey(other))) continue;
      const std::string stand = store_.Get(StandKey(other));
      if (!stand.empty() && stand != absl::StrCat("in ", operation, " #", sequence_)) {
        absl::StrAppend(&message, "; rank ", other, " ", stand);
      }
    }
    if (!store_.reachable()) {
      absl::StrAppend(&message,
                      options_.store_is_external ? "; no answer from the store at " : "; no answer from rank 0 at ",
                      options_.master_address, ":", options_.master_port);
    }
    absl::StrAppend(&message,
                    ". Look at the log of that rank; a run that is started again resumes from its latest "
                    "checkpoint.");
    LetOthersRead(options_, store_, kGrace, missing);
    return PeerLostError(message);
  }

  const GlooOptions options_;
  SafeStore store_;
  c10::intrusive_ptr<c10d::Backend> group_;
  int64_t sequence_ = 0;  // of the operation that runs or ran last
  absl::Status failure_;
};

// The network device: the one that GLOO_SOCKET_IFNAME names, the loopback if the master is there, else
// the one that this host's name resolves to.
c10d::ProcessGroupGloo::Options& AddDevice(c10d::ProcessGroupGloo::Options& options, const std::string& master) {
  using Group = c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"); interface != nullptr && *interface != '\0') {
    options.devices.push_back(Group::createDeviceForInterface(interface));
  } else if (master == "localhost" || master.rfind("127.", 0) == 0) {
    options.devices.push_back(Group::createDeviceForHostname("127.0.0.1"));
  } else {
    options.devices.push_back(Group::createDefaultDevice());
  }
  return options;
}

absl::Status CheckOptions(const GlooOptions& options) {
  if (options.world_size < 1 || options.rank < 0 || options.rank >= options.world_size) {
    return ConfigError(absl::StrCat("rank ", options.rank, " in a world of ", options.world_size));
  }
  if (options.master_address.empty() || options.master_port < 1 || options.master_port > 65535) {
    return ConfigError(absl::StrCat("the ranks cannot meet at '", options.master_address, ":", options.master_port,
                                    "': set MASTER_ADDR and MASTER_PORT"));
  }
  return absl::OkStatus();
}

absl::Status WorldSizeError(const std::string& place, const std::string& reason) {
  return ConfigError(absl::StrCat(
      place, ": ", reason, ". Start all ranks for the same number of them: WORLD_SIZE, or the nodes and --gpus"));
}

// The error if the first rank that came was started for a world of another size; all ranks at this store then get it
// unless they have met without this one, as a world of their own.
absl::Status CheckWorldSize(const GlooOptions& options, const std::string& place, SafeStore& store) {
  const std::string mine = absl::StrCat(options.world_size, " of rank ", options.rank);
  const std::string first = store.SetOnce(kWorldSizeKey, mine);
  if (first.substr(0, first.find(' ')) == absl::StrCat(options.world_size)) return absl::OkStatus();
  const std::string reason = absl::StrCat("the world size ", first, " differs from the world size ", mine);
  store.SetOnce(kOutcomeKey, reason);
  return WorldSizeError(place, reason);
}

// What the call gives, which throws what it threw.
template <typename T>
absl::StatusOr<T> Await(std::future<T> answer, milliseconds limit, const std::string& place) {
  if (answer.wait_for(limit) != std::future_status::ready) {
    return PeerLostError(absl::StrCat(place, ": the store there does not answer. Look at the log of rank 0."));
  }
  return answer.get();
}

// Waits until every rank has said in the store that it is here, or one of them gives up.
absl::Status AwaitAllRanks(const GlooOptions& options, const std::string& place, Clock::time_point deadline,
                           SafeStore& store) {
  std::vector<int> absent = OtherRanks(options.rank, options.world_size);
  while (true) {
    if (options.stop_requested && options.stop_requested()) {
      return PreemptedError(absl::StrCat(place, ": stopped before all ranks had come"));
    }
    absent = WaitForRanks(absent, Clock::now(), [&store](int other) { return store.Has(JoinedKey(other)); });
    if (absent.empty() || store.Has(kOutcomeKey)) {
      const std::string outcome = store.SetOnce(kOutcomeKey, kMet);
      if (outcome == kMet) return absl::OkStatus();
      LetOthersRead(options, store, kMeetingGrace);
      return WorldSizeError(place, outcome);
    }
    if (store.gone() || store.Has(kGaveUpKey) || Clock::now() >= deadline) break;
    std::this_thread::sleep_for(kPoll);
  }
  std::string message = absl::StrCat(place, ": rank ", absl::StrJoin(absent, ", "), " did not come within ",
                                     options.meeting_deadline.count(), " ms. Look at its log.");
  if (!store.reachable()) {
    message = absl::StrCat(place, ": the store there does not answer; this rank waited for rank ",
                           absl::StrJoin(absent, ", "), ". Look at the log of rank 0.");
  }
  store.Set(kGaveUpKey, "1");
  LetOthersRead(options, store, kGrace);
  return PeerLostError(message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> ConnectGloo(const GlooOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  const std::string place = absl::StrCat("rank ", options.rank, " of ", options.world_size, " at ",
                                         options.master_address, ":", options.master_port);
  const Clock::time_point deadline = Clock::now() + options.meeting_deadline;
  try {
    c10d::TCPStoreOptions store_options;
    store_options.port = static_cast<uint16_t>(options.master_port);
    store_options.isServer = options.rank == 0 && !options.store_is_external;
    store_options.waitWorkers = false;
    store_options.timeout = options.meeting_deadline;
    if (store_options.isServer && options.listen_descriptor >= 0) {
      store_options.masterListenFd = options.listen_descriptor;
    }
    // Both connecting and forming the group have deadlines of their own, but for a store that falls silent.
    ASSIGN_OR_RETURN(const c10::intrusive_ptr<c10d::TCPStore> server,
                     Await(InBackground([address = options.master_address, store_options] {
                             return c10::make_intrusive<c10d::TCPStore>(address, store_options);
                           }),
                           options.meeting_deadline + kAnswer, place));
    SafeStore store(c10::make_intrusive<c10d::PrefixStore>(absl::StrCat("cubist/", options.session), server));

    if (const absl::Status alike = CheckWorldSize(options, place, store); !alike.ok()) {
      LetOthersRead(options, store, kMeetingGrace);
      return alike;
    }
    store.Set(JoinedKey(options.rank), "1");
    RETURN_IF_ERROR(AwaitAllRanks(options, place, deadline, store));

    // From here on GlooCommunicator's calls are the only ones to the store.
    ASSIGN_OR_RETURN(c10::intrusive_ptr<c10d::Backend> group,
                     Await(InBackground([options, connected = store.store()] {
                             auto group_options = c10d::ProcessGroupGloo::Options::create(options.deadline);
                             AddDevice(*group_options, options.master_address);
                             return c10::intrusive_ptr<c10d::Backend>(c10::make_intrusive<c10d::ProcessGroupGloo>(
                                 connected, options.rank, options.world_size, group_options));
                           }),
                           options.deadline + kAnswer, place));
    return std::make_unique<GlooCommunicator>(options, std::move(store), std::move(group));
  } catch (const std::exception& error) {
    return PeerLostError(absl::StrCat(place, ": cannot meet the other ranks: ", FirstLine(error)));
  }
}

}  // namespace cubist
