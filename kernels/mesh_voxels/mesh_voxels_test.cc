#include "kernels/mesh_voxels/mesh_voxels.h"

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using Ijk = std::array<int32_t, 3>;

struct Mesh {
  std::vector<float> vertices;
  std::vector<int32_t> faces;

  absl::StatusOr<HostTensor> Voxels(const GridTransform& transform) const {
    return MeshVoxelsCpu(View<const float, 2>(vertices.data(), {static_cast<int64_t>(vertices.size() / 3), 3}),
                         View<const int32_t, 2>(faces.data(), {static_cast<int64_t>(faces.size() / 3), 3}), transform);
  }
  std::set<Ijk> VoxelSet(const GridTransform& transform) const {
    const absl::StatusOr<HostTensor> ijk = Voxels(transform);
    EXPECT_TRUE(ijk.ok()) << ijk.status();
    std::set<Ijk> result;
    for (int64_t n = 0; n < ijk->shape()[0]; ++n) {
      const int32_t* row = ijk->data<int32_t>() + 3 * n;
      result.insert({row[0], row[1], row[2]});
    }
    EXPECT_EQ(static_cast<int64_t>(result.size()), ijk->shape()[0]) << "a voxel twice";
    return result;
  }
};

TEST(LatticeTest, CountsSamplesByTheFormula) {
  // ceil((|e| + s) / s) with s = 0.57735: |e| / s rounded up, plus one.
  EXPECT_EQ(LatticeOf({0, 0, 0}, {0, 0, 0}).count_u, 1);
  EXPECT_EQ(LatticeOf({0.5f, 0, 0}, {0, 0.6f, 0}).count_u, 2);
  EXPECT_EQ(LatticeOf({0.5f, 0, 0}, {0, 0.6f, 0}).count_v, 3);
  EXPECT_EQ(LatticeOf({1, 0, 0}, {0, 0, 10}).count_u, 3);   // 1 / 0.57735 = 1.73
  EXPECT_EQ(LatticeOf({1, 0, 0}, {0, 0, 10}).count_v, 19);  // 17.32
  EXPECT_EQ(LatticeOf({3, 4, 12}, {1, 0, 0}).count_u, 24);  // 13 / 0.57735 = 22.5
}

TEST(MeshVoxelsTest, SamplesATriangleAsWorkedOutByHand) {
  // Edges of 1 voxel: 3 x 3 samples at u, v in {0, 1/2, 1}. From (0.25, 0.25, 0): with u + v < 1 the points
  // (.25,.25), (.25,.75), (.75,.25); folded: (1/2,1/2) stays at (.75,.75), (0,1) -> (1,0), (1,0) -> (0,1), (1/2,1) ->
  // (1/2,0), (1,1) -> (0,0). (1,0) is at x = 1.25. So x, y in {.25, .75, 1.25}, with voxels 0, 1, 1.
  const Mesh mesh = {{0.25f, 0.25f, 0, 1.25f, 0.25f, 0, 0.25f, 1.25f, 0}, {0, 1, 2}};
  EXPECT_EQ(mesh.VoxelSet({}), (std::set<Ijk>{{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 0}}));
}

TEST(MeshVoxelsTest, DegenerateTriangles) {
  const Mesh point = {{1.4f, -2.6f, 0}, {0, 0, 0}};
  EXPECT_EQ(point.VoxelSet({}), (std::set<Ijk>{{1, -3, 0}}));
  const Mesh line = {{0, 0, 0, 3, 0, 0}, {0, 1, 1}};
  EXPECT_EQ(line.VoxelSet({}), (std::set<Ijk>{{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}}));
  const Mesh nothing = {{0, 0, 0}, {}};
  EXPECT_TRUE(nothing.VoxelSet({}).empty());
  const Mesh truly_nothing;
  EXPECT_TRUE(truly_nothing.VoxelSet({}).empty());
}

// In double, from the formulas: voxels that a sample falls into with room to spare, and all that come near.
void SampleInDouble(const Mesh& mesh, const GridTransform& transform, std::set<Ijk>& certain, std::set<Ijk>& possible) {
  const double s = std::sqrt(3.0) / 3.0;
  for (size_t f = 0; f < mesh.faces.size(); f += 3) {
    double v[3][3], length[3] = {0, 0, 0};
    for (int c = 0; c < 3; ++c) {
      for (int a = 0; a < 3; ++a) {
        v[c][a] = (mesh.vertices[3 * mesh.faces[f + c] + a] - transform.origin[a]) / transform.voxel_size[a];
        length[c] += (v[c][a] - v[0][a]) * (v[c][a] - v[0][a]);
      }
    }
    const int count_u = static_cast<int>(std::ceil((std::sqrt(length[1]) + s) / s));
    const int count_v = static_cast<int>(std::ceil((std::sqrt(length[2]) + s) / s));
    for (int i = 0; i < count_u; ++i) {
      for (int j = 0; j < count_v; ++j) {
        double u = static_cast<double>(i) / std::max(count_u - 1, 1),
               w = static_cast<double>(j) / std::max(count_v - 1, 1);
        if (u + w >= 1) {
          u = 1 - u;
          w = 1 - w;
        }
        Ijk low, high;
        for (int a = 0; a < 3; ++a) {
          const double g = v[0][a] + u * (v[1][a] - v[0][a]) + w * (v[2][a] - v[0][a]) + 0.5;
          low[a] = static_cast<int32_t>(std::floor(g - 1e-3));
          high[a] = static_cast<int32_t>(std::floor(g + 1e-3));
        }
        if (low == high) certain.insert(low);
        for (int32_t x = low[0]; x <= high[0]; ++x) {
          for (int32_t y = low[1]; y <= high[1]; ++y) {
            for (int32_t z = low[2]; z <= high[2]; ++z) possible.insert({x, y, z});
          }
        }
      }
    }
  }
}

TEST(MeshVoxelsTest, RandomMeshesMatchTheFormulasInDouble) {
  std::mt19937_64 random(17);
  std::uniform_real_distribution<float> place(-6, 6);
  const GridTransform transform = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};
  for (int round = 0; round < 10; ++round) {
    Mesh mesh;
    for (int n = 0; n < 3 * 40; ++n) mesh.vertices.push_back(place(random));
    for (int n = 0; n < 3 * 30; ++n) mesh.faces.push_back(static_cast<int32_t>(random() % 40));
    const std::set<Ijk> found = mesh.VoxelSet(transform);
    std::set<Ijk> certain, possible;
    SampleInDouble(mesh, transform, certain, possible);
    EXPECT_GT(certain.size(), 1000u);
    for (const Ijk& ijk : certain) ASSERT_TRUE(found.count(ijk)) << ijk[0] << " " << ijk[1] << " " << ijk[2];
    for (const Ijk& ijk : found) ASSERT_TRUE(possible.count(ijk)) << ijk[0] << " " << ijk[1] << " " << ijk[2];
  }
}

TEST(MeshVoxelsTest, NamesWhatIsWrong) {
  const auto message = [](const Mesh& mesh) {
    const absl::Status status = mesh.Voxels({}).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    return std::string(status.message());
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message({{0, 0, 0}, {0, 0, 0, 0, 1, 0}}), HasSubstr("face 1 names vertex 1"));
  EXPECT_THAT(message({{0, 0, 0}, {0, -1, 0}}), HasSubstr("vertex -1"));
  EXPECT_THAT(message({{0, 0, 0, 0, std::nanf(""), 0}, {0, 0, 1}}), HasSubstr("vertex 1 of face 0"));
  EXPECT_THAT(message({{0, 0, 0, 1e9f, 0, 0, 0, 1e9f, 0}, {0, 1, 2}}), HasSubstr("samples"));
  // A vertex that no face uses may be anything.
  const Mesh unused = {{0, 0, 0, std::nanf(""), 0, 0}, {0, 0, 0}};
  EXPECT_EQ(unused.VoxelSet({}).size(), 1u);
}

}  // namespace
}  // namespace cubist
