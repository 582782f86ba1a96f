#include "data_process/scenes/car_mesh.h"

#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "base/file_ops.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

Vector3 VertexOf(const TriangleMesh& mesh, int64_t index) {
  const float* v = mesh.vertices.data<float>() + index * 3;
  return {v[0], v[1], v[2]};
}

// The connected part that each vertex belongs to, named by one of its vertices.
std::vector<int32_t> Parts(const TriangleMesh& mesh) {
  std::vector<int32_t> parent(static_cast<size_t>(mesh.vertices.shape()[0]));
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int32_t v) {
    while (parent[v] != v) v = parent[v];
    return v;
  };
  const int32_t* faces = mesh.faces.data<int32_t>();
  for (int64_t f = 0; f < mesh.faces.shape()[0]; ++f) {
    for (int corner = 1; corner < 3; ++corner) parent[root(faces[f * 3])] = root(faces[f * 3 + corner]);
  }
  for (size_t v = 0; v < parent.size(); ++v) parent[v] = root(static_cast<int32_t>(v));
  return parent;
}

TEST(CarMesh, HasItsSizeAroundTheOrigin) {
  const TriangleMesh car = MakeCarMesh();
  EXPECT_GE(car.faces.shape()[0], 300);
  EXPECT_LE(car.faces.shape()[0], 2000);
  Vector3 low = VertexOf(car, 0), high = low;
  for (int64_t i = 0; i < car.vertices.shape()[0]; ++i) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], VertexOf(car, i)[axis]);
      high[axis] = std::max(high[axis], VertexOf(car, i)[axis]);
    }
  }
  for (int axis = 0; axis < 3; ++axis) {
    EXPECT_NEAR(low[axis], -kCarExtents[axis] / 2, 1e-6);
    EXPECT_NEAR(high[axis], kCarExtents[axis] / 2, 1e-6);
    EXPECT_NEAR(Extents(car)[axis], kCarExtents[axis], 1e-6);
  }
}

TEST(CarMesh, IsFiveClosedSurfacesThatFaceOutwards) {
  const TriangleMesh car = MakeCarMesh();
  const int32_t* faces = car.faces.data<int32_t>();
  std::map<std::pair<int32_t, int32_t>, int> edges;
  std::map<int32_t, double> volumes;
  const std::vector<int32_t> parts = Parts(car);
  for (int64_t f = 0; f < car.faces.shape()[0]; ++f) {
    const std::array<Vector3, 3> p = {VertexOf(car, faces[f * 3]), VertexOf(car, faces[f * 3 + 1]),
                                      VertexOf(car, faces[f * 3 + 2])};
    for (int corner = 0; corner < 3; ++corner) ++edges[{faces[f * 3 + corner], faces[f * 3 + (corner + 1) % 3]}];
    // Six times the tetrahedron over the face: the sum over a closed surface is six times its volume.
    volumes[parts[faces[f * 3]]] += p[0][0] * (p[1][1] * p[2][2] - p[1][2] * p[2][1]) -
                                    p[0][1] * (p[1][0] * p[2][2] - p[1][2] * p[2][0]) +
                                    p[0][2] * (p[1][0] * p[2][1] - p[1][1] * p[2][0]);
  }
  for (const auto& [edge, count] : edges) {
    EXPECT_EQ(count, 1);
    EXPECT_EQ((edges.count({edge.second, edge.first})), 1u);  // the neighbour runs the other way
  }
  ASSERT_EQ(volumes.size(), 5u);
  double largest = 0;
  for (const auto& [part, volume] : volumes) {
    EXPECT_GT(volume, 0);
    largest = std::max(largest, volume / 6);
  }
  // The hull fills between a half and nine tenths of the bounding box.
  EXPECT_GT(largest, 0.5 * 3.795 * 1.836 * 1.490);
  EXPECT_LT(largest, 0.9 * 3.795 * 1.836 * 1.490);
}

TEST(CarMesh, IsTheSameOnBothSidesAndEachTime) {
  const TriangleMesh car = MakeCarMesh();
  EXPECT_EQ(FormatPly(car), FormatPly(MakeCarMesh()));
  double sum = 0;
  for (int64_t i = 0; i < car.vertices.shape()[0]; ++i) sum += VertexOf(car, i)[1];
  EXPECT_NEAR(sum, 0, 1e-3);
}

TEST(CarMesh, IsScaledAxisByAxisThenMoved) {
  const TriangleMesh car = MakeCarMesh();
  Matrix4 turn = {0, -1, 0, 100, 1, 0, 0, 200, 0, 0, 1, 300, 0, 0, 0, 1};  // a quarter turn to the left
  const std::vector<Vector3> placed = PlaceCar(car, Extents(car), {5, 2, 1}, turn);
  Vector3 low = placed[0], high = low;
  for (const Vector3& v : placed) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], v[axis]);
      high[axis] = std::max(high[axis], v[axis]);
    }
  }
  const Vector3 expected_low = {99, 197.5, 299.5}, expected_high = {101, 202.5, 300.5};
  for (int axis = 0; axis < 3; ++axis) {
    EXPECT_NEAR(low[axis], expected_low[axis], 1e-5);
    EXPECT_NEAR(high[axis], expected_high[axis], 1e-5);
  }
}

TEST(CarMesh, ComesFromTheConfigThenTheAssetsThenUs) {
  const std::string assets = ::testing::TempDir() + "/car_mesh_assets";
  ASSERT_TRUE(MakeDirectories(SystemFileOps(), assets).ok());
  TriangleMesh pyramid;
  pyramid.vertices = HostTensor::Of(std::vector<float>{0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3}, {4, 3});
  pyramid.faces = HostTensor::Of(std::vector<int32_t>{0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}, {4, 3});
  Data data;
  auto mesh = LoadCarMesh(data);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  EXPECT_EQ(mesh->faces.shape(), MakeCarMesh().faces.shape());
  data.set_assets_root(assets);
  mesh = LoadCarMesh(data);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  EXPECT_EQ(mesh->faces.shape(), MakeCarMesh().faces.shape());

  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), assets + "/car.ply", FormatPly(pyramid)).ok());
  mesh = LoadCarMesh(data);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  EXPECT_EQ(Extents(*mesh), (Vector3{2, 1, 3}));

  data.set_car_mesh(assets + "/none.ply");
  mesh = LoadCarMesh(data);
  EXPECT_EQ(ExitCodeOf(mesh.status()), ExitCode::kData);
  EXPECT_NE(mesh.status().message().find("none.ply"), std::string::npos) << mesh.status();

  for (int v = 0; v < 4; ++v) pyramid.vertices.data<float>()[v * 3 + 2] = 1;
  data.set_car_mesh(assets + "/flat.ply");
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), data.car_mesh(), FormatPly(pyramid)).ok());
  mesh = LoadCarMesh(data);
  EXPECT_EQ(ExitCodeOf(mesh.status()), ExitCode::kData);
  EXPECT_NE(mesh.status().message().find("flat.ply"), std::string::npos) << mesh.status();
}

}  // namespace
}  // namespace cubist
