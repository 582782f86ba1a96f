// What ranks tell each other, over a real communicator with threads as ranks.
#include "tools/training/communicator/rank_agreement.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "base/status.h"
#include "tools/training/communicator/gather_strings.h"
#include "tools/training/communicator/testing/rank_threads.h"

namespace cubist {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

bool Contains(const absl::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

// What `call` returns on each rank.
std::vector<absl::Status> OnRanks(int world_size, const std::function<absl::Status(Communicator&)>& call) {
  std::vector<absl::Status> statuses(static_cast<size_t>(world_size));
  RunRanks(world_size, [&](Communicator& communicator) {
    statuses[static_cast<size_t>(communicator.rank())] = call(communicator);
    // The ranks are still in step.
    EXPECT_TRUE(communicator.Barrier().ok());
  });
  return statuses;
}

TEST(GatherStrings, AnyBytesOfAnyLength) {
  for (const int world_size : {1, 2, 4}) {
    RunRanks(world_size, [world_size](Communicator& communicator) {
      const auto text = [](int rank) {
        return rank == 1 ? std::string() : std::string(static_cast<size_t>(1 + 3000 * rank), static_cast<char>(-rank));
      };
      const auto gathered = GatherStrings(communicator, text(communicator.rank()));
      ASSERT_TRUE(gathered.ok()) << gathered.status();
      ASSERT_EQ(gathered->size(), static_cast<size_t>(world_size));
      for (int rank = 0; rank < world_size; ++rank) EXPECT_EQ((*gathered)[static_cast<size_t>(rank)], text(rank));
      const auto nothing = GatherStrings(communicator, "");
      ASSERT_TRUE(nothing.ok()) << nothing.status();
      EXPECT_EQ(*nothing, std::vector<std::string>(static_cast<size_t>(world_size)));
    });
  }
}

TEST(AgreeOnStatus, TheFirstFailureIsEveryRanks) {
  for (const absl::Status& ok : OnRanks(3, [](Communicator& c) { return AgreeOnStatus(c, absl::OkStatus()); })) {
    EXPECT_TRUE(ok.ok()) << ok;
  }
  const absl::Status failures[] = {ConfigError("c 1"),        DataError(""),          NotFiniteError("n"),
                                   PeerLostError("p"),        StorageError("st\no"),  InternalError("i"),
                                   PreemptedError("pre ted"), absl::UnknownError("u")};
  for (const absl::Status& failure : failures) {
    const auto statuses = OnRanks(4, [&failure](Communicator& communicator) {
      if (communicator.rank() == 1) return AgreeOnStatus(communicator, failure);
      return AgreeOnStatus(communicator, communicator.rank() == 3 ? DataError("later") : absl::OkStatus());
    });
    for (const int rank : {0, 2, 3}) {
      EXPECT_EQ(ExitCodeOf(statuses[static_cast<size_t>(rank)]), ExitCodeOf(failure)) << rank;
      EXPECT_EQ(std::string(statuses[static_cast<size_t>(rank)].message()),
                "rank 1: " + std::string(failure.message()));
    }
    EXPECT_EQ(statuses[1], failure);
  }
}

TEST(AgreeOnStatus, WithoutTheOthersTheOwnFailureCounts) {
  RunRanks(2, [](Communicator& communicator) {
    if (communicator.rank() == 1) return communicator.Abort("leaving");
    EXPECT_EQ(ExitCodeOf(AgreeOnStatus(communicator, absl::OkStatus())), ExitCode::kPeerLost);
    EXPECT_EQ(AgreeOnStatus(communicator, DataError("mine")), DataError("mine"));
  });
}

TEST(AgreeOnFields, EveryRankIsToldWhatDiffers) {
  const Fields agreed = {{"program version", "cubist 0.1"}, {"config hash", "aa"}, {"data manifest", "bb"}};
  for (const absl::Status& status : OnRanks(4, [&](Communicator& c) { return AgreeOnFields(c, agreed); })) {
    EXPECT_TRUE(status.ok()) << status;
  }
  // One field, one rank.
  for (const auto& [name, value] : agreed) {
    const auto statuses = OnRanks(4, [&, changed = name](Communicator& communicator) {
      Fields fields = agreed;
      for (auto& field : fields) {
        if (field.first == changed && communicator.rank() == 2) field.second = "other";
      }
      return AgreeOnFields(communicator, fields);
    });
    for (const absl::Status& status : statuses) {
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
      EXPECT_TRUE(Contains(status, name + ": ranks 0, 1, 3 have " + value + "; rank 2 has other\n")) << status;
      for (const auto& other : agreed) {
        EXPECT_EQ(Contains(status, other.first), other.first == name) << status;
      }
      EXPECT_EQ(status, statuses[0]);
    }
  }
  // Several at once; and a program that does not know a field.
  const auto statuses = OnRanks(2, [&](Communicator& communicator) {
    if (communicator.rank() == 0) return AgreeOnFields(communicator, agreed);
    return AgreeOnFields(communicator, {{"config hash", "cc"}, {"data manifest", "bb"}, {"seed", ""}});
  });
  for (const absl::Status& status : statuses) {
    EXPECT_TRUE(Contains(status, "config hash: rank 0 has aa; rank 1 has cc\n")) << status;
    EXPECT_TRUE(Contains(status, "program version: rank 0 has cubist 0.1; rank 1 has (nothing)\n")) << status;
    EXPECT_TRUE(Contains(status, "seed: rank 0 has (nothing); rank 1 has \n")) << status;
    EXPECT_FALSE(Contains(status, "data manifest")) << status;
  }
}

// `count` tensors of three numbers; those that `changes` names have one bit flipped.
absl::Status Compare(Communicator& communicator, int count, const std::map<int, std::vector<int>>& changes) {
  std::vector<std::vector<float>> values(static_cast<size_t>(count), {1.0f, -2.0f, 0.0f});
  const auto found = changes.find(communicator.rank());
  if (found != changes.end()) {
    for (const int index : found->second) values[static_cast<size_t>(index)][2] = -0.0f;
  }
  std::vector<NamedBytes> tensors = {{"empty", nullptr, 0}};
  for (int i = 0; i < count; ++i) {
    const std::vector<float>& tensor = values[static_cast<size_t>(i)];
    tensors.push_back({"model/" + std::to_string(i), tensor.data(), tensor.size() * sizeof(float)});
  }
  return CompareTensors(communicator, 40, tensors);
}

TEST(CompareTensors, NamesStepTensorsAndRanks) {
  const struct {
    int world_size;
    std::map<int, std::vector<int>> changes;
    std::string expected;
  } cases[] = {
      {1, {{0, {1}}}, ""},
      {4, {}, ""},
      {4, {{0, {1}}, {1, {1}}, {2, {1}}, {3, {1}}}, ""},
      {4, {{2, {7}}}, "rank 2 deviates from the others in 1 of 10 tensors: model/7."},
      {4,
       {{0, {0, 3, 4, 6, 8}}},
       "rank 0 deviates from the others in 5 of 10 tensors: model/0, model/3, model/4, ...."},
      {5, {{1, {0}}, {3, {1}}}, "ranks 1, 3 deviate from the others in 2 of 10 tensors: model/0, model/1."},
      {2, {{1, {2}}}, "rank 0 and rank 1 differ in 1 of 10 tensors: model/2."},
      {4, {{0, {2}}, {3, {2}}}, "ranks 0, 3 and ranks 1, 2 differ in 1 of 10 tensors: model/2."},
  };
  for (const auto& test : cases) {
    const auto statuses = OnRanks(test.world_size, [&test](Communicator& c) { return Compare(c, 9, test.changes); });
    for (const absl::Status& status : statuses) {
      EXPECT_EQ(status, statuses[0]);
      EXPECT_EQ(ExitCodeOf(status), test.expected.empty() ? ExitCode::kDone : ExitCode::kPeerLost) << status;
      EXPECT_TRUE(Contains(status, test.expected)) << status << "\n" << test.expected;
      EXPECT_TRUE(status.ok() || Contains(status, "after step 40 ")) << status;
    }
  }
}

}  // namespace
}  // namespace cubist
