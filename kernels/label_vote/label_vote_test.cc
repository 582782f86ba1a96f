#include "kernels/label_vote/label_vote.h"

#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/voxel_grid/build_grid.h"

namespace cubist {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

struct Cloud {
  std::vector<float> points;
  std::vector<int32_t> labels;
  std::vector<int64_t> offsets;

  View<const float, 2> view() const { return {points.data(), {static_cast<int64_t>(labels.size()), 3}}; }
  HostVoxelGrid Grid() const {
    absl::StatusOr<HostVoxelGrid> grid = GridFromPointsCpu(view(), offsets, kFifth);
    EXPECT_TRUE(grid.ok()) << grid.status();
    return *std::move(grid);
  }
  absl::Status Vote(const HostVoxelGrid& grid, TieRounding rounding, std::vector<int64_t>& voted,
                    int64_t classes = 23) const {
    voted.assign(grid.num_voxels(), -5);
    return VoteLabelsCpu(grid.View(), view(),
                         View<const int32_t, 1>(labels.data(), {static_cast<int64_t>(labels.size())}), offsets, classes,
                         rounding, View<int64_t, 1>(voted.data(), {grid.num_voxels()}));
  }
};

TEST(VoteLabelsTest, TiesGoToTheSmallestClass) {
  // One voxel each at x = 0.1, 0.3, 0.5: classes 7 7 3 | 9 4 | 5 2 5 2 22.
  Cloud cloud;
  for (const auto& [x, label] : std::vector<std::pair<float, int32_t>>{{0.1f, 7},
                                                                       {0.3f, 9},
                                                                       {0.1f, 7},
                                                                       {0.5f, 5},
                                                                       {0.1f, 3},
                                                                       {0.3f, 4},
                                                                       {0.5f, 2},
                                                                       {0.5f, 5},
                                                                       {0.5f, 2},
                                                                       {0.5f, 22}}) {
    cloud.points.insert(cloud.points.end(), {x, 0.1f, 0.1f});
    cloud.labels.push_back(label);
  }
  cloud.offsets = {0, 10};
  std::vector<int64_t> voted;
  for (const TieRounding rounding : {TieRounding::kHalfUp, TieRounding::kHalfToEven}) {
    ASSERT_TRUE(cloud.Vote(cloud.Grid(), rounding, voted).ok());
    EXPECT_THAT(voted, ElementsAre(7, 4, 2));
  }
}

TEST(VoteLabelsTest, PointsOnBordersVoteElsewhereHalfToEven) {
  // x = 0.2 makes voxel 1, and half to even votes in voxel 0, which x = 0.1 made. Voxel 1 is left without votes and
  // gets the smallest class of its sample, 2, which is that of the dropped vote: x = -0.2 makes voxel -1 and looks
  // -2 up, which is not active.
  Cloud cloud;
  for (const auto& [x, label] : std::vector<std::pair<float, int32_t>>{{0.1f, 6}, {0.2f, 5}, {0.2f, 5}, {-0.2f, 2}}) {
    cloud.points.insert(cloud.points.end(), {x, 0.1f, 0.1f});
    cloud.labels.push_back(label);
  }
  cloud.offsets = {0, 4};
  const HostVoxelGrid grid = cloud.Grid();
  ASSERT_EQ(grid.num_voxels(), 3);  // in the order -1, 0, 1
  std::vector<int64_t> voted;
  ASSERT_TRUE(cloud.Vote(grid, TieRounding::kHalfUp, voted).ok());
  EXPECT_THAT(voted, ElementsAre(2, 6, 5));
  ASSERT_TRUE(cloud.Vote(grid, TieRounding::kHalfToEven, voted).ok());
  EXPECT_THAT(voted, ElementsAre(2, 5, 2));
}

TEST(VoteLabelsTest, RandomCloudsMatchCountingByHand) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20; ++round) {
    Cloud cloud;
    cloud.offsets = {0, 4000, 4000, 5000};
    // Multiples of 0.05 m: one in four coordinates is on a border.
    for (int n = 0; n < 3 * 5000; ++n) cloud.points.push_back(0.05f * (static_cast<int>(random() % 60) - 30));
    const int32_t smallest = static_cast<int32_t>(random() % 3);
    for (int n = 0; n < 5000; ++n) cloud.labels.push_back(smallest + static_cast<int32_t>(random() % 5));
    const HostVoxelGrid grid = cloud.Grid();
    for (const TieRounding rounding : {TieRounding::kHalfUp, TieRounding::kHalfToEven}) {
      std::map<std::array<int32_t, 4>, std::map<int32_t, int>> votes;
      int32_t least[3] = {99, 99, 99};
      for (int n = 0; n < 5000; ++n) {
        const int sample = n < 4000 ? 0 : 2;
        std::array<int32_t, 4> key = {sample, 0, 0, 0};
        for (int axis = 0; axis < 3; ++axis) {
          const volatile float product = cloud.points[3 * n + axis] * 5.0f;
          const volatile float g = product - 0.5f;
          key[1 + axis] = static_cast<int32_t>(rounding == TieRounding::kHalfUp ? std::floor(g + 0.5f) : std::rint(g));
        }
        ++votes[key][cloud.labels[n]];
        least[sample] = std::min(least[sample], cloud.labels[n]);
      }
      std::vector<int64_t> voted;
      ASSERT_TRUE(cloud.Vote(grid, rounding, voted).ok());
      int64_t without = 0;
      for (int64_t n = 0; n < grid.num_voxels(); ++n) {
        const int sample = n < grid.offsets.data<int64_t>()[1] ? 0 : 2;
        const int32_t* ijk = grid.ijk.data<int32_t>() + 3 * n;
        int64_t winner = least[sample];
        int most = 0;
        for (const auto& [label, count] : votes[{sample, ijk[0], ijk[1], ijk[2]}]) {
          if (count > most) {
            most = count;
            winner = label;
          }
        }
        without += most == 0;
        ASSERT_EQ(voted[n], winner) << "voxel " << n;
      }
      EXPECT_EQ(without > 0, rounding == TieRounding::kHalfToEven);
    }
  }
}

TEST(VoteLabelsTest, NamesWhatIsWrong) {
  Cloud cloud = {{0, 0, 0, 1, 1, 1}, {3, 23}, {0, 2}};
  std::vector<int64_t> voted;
  absl::Status status = cloud.Vote(cloud.Grid(), TieRounding::kHalfUp, voted);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_THAT(std::string(status.message()), HasSubstr("point 1 has label 23"));
  EXPECT_TRUE(cloud.Vote(cloud.Grid(), TieRounding::kHalfUp, voted, 24).ok());
  EXPECT_EQ(ExitCodeOf(cloud.Vote(cloud.Grid(), TieRounding::kHalfUp, voted, 0)), ExitCode::kInternal);
  cloud.labels[0] = -1;
  EXPECT_EQ(ExitCodeOf(cloud.Vote(cloud.Grid(), TieRounding::kHalfUp, voted, 24)), ExitCode::kData);

  const HostVoxelGrid grid = cloud.Grid();
  const Cloud no_points = {{}, {}, {0, 0}};
  status = no_points.Vote(grid, TieRounding::kHalfUp, voted);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 voxels but no points"));
  EXPECT_TRUE(no_points.Vote(no_points.Grid(), TieRounding::kHalfUp, voted).ok());
}

}  // namespace
}  // namespace cubist
