// Built with -ffp-contract=off, so that samples between two voxels fall the same way everywhere.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/mesh_voxels/mesh_voxels.h"
#include "kernels/voxel_grid/build_grid.h"

namespace cubist {
namespace {

using Vector = std::array<float, 3>;
using Voxel = std::array<int32_t, 3>;

constexpr int64_t kFacesPerBlock = 256;
constexpr float kSpacing = 0.57735026918962576f;  // sqrt(3) / 3

float Length(const Vector& v) { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

struct Triangle {
  Vector corner, edge1, edge2;
};

absl::StatusOr<Triangle> TriangleOf(View<const float, 2> vertices, View<const int32_t, 2> faces, int64_t face) {
  Vector corner[3];
  for (int c = 0; c < 3; ++c) {
    const int32_t vertex = faces(face, c);
    if (vertex < 0 || vertex >= vertices.shape[0]) {
      return DataError(absl::StrCat("MeshVoxels: face ", face, " names vertex ", vertex, " of a mesh with ",
                                    vertices.shape[0], " vertices"));
    }
    for (int axis = 0; axis < 3; ++axis) {
      corner[c][axis] = vertices(vertex, axis);
      if (!(std::fabs(corner[c][axis]) < static_cast<float>(kMaxCoordinate))) {
        return DataError(absl::StrCat("MeshVoxels: vertex ", vertex, " of face ", face, " lies at ", corner[c][axis],
                                      " voxels along axis ", axis, ": not finite or beyond +-", kMaxCoordinate));
      }
    }
  }
  Triangle triangle;
  triangle.corner = corner[0];
  for (int axis = 0; axis < 3; ++axis) {
    triangle.edge1[axis] = corner[1][axis] - corner[0][axis];
    triangle.edge2[axis] = corner[2][axis] - corner[0][axis];
  }
  return triangle;
}

void Sample(const Triangle& triangle, const TriangleLattice& lattice, std::vector<Voxel>& voxels) {
  const float last_u = static_cast<float>(std::max<int64_t>(lattice.count_u - 1, 1));
  const float last_v = static_cast<float>(std::max<int64_t>(lattice.count_v - 1, 1));
  for (int64_t i = 0; i < lattice.count_u; ++i) {
    for (int64_t j = 0; j < lattice.count_v; ++j) {
      float u = static_cast<float>(i) / last_u;
      float v = static_cast<float>(j) / last_v;
      if (u + v >= 1.0f) {
        u = 1.0f - u;
        v = 1.0f - v;
      }
      Voxel voxel;
      for (int axis = 0; axis < 3; ++axis) {
        const float sample = triangle.corner[axis] + triangle.edge1[axis] * u + triangle.edge2[axis] * v;
        voxel[axis] = static_cast<int32_t>(std::floor(sample + 0.5f));
      }
      // Neighbouring samples mostly share a voxel; the grid drops what is left of the repetitions.
      if (voxels.empty() || voxels.back() != voxel) voxels.push_back(voxel);
    }
  }
}

}  // namespace

TriangleLattice LatticeOf(const std::array<float, 3>& edge1, const std::array<float, 3>& edge2) {
  TriangleLattice lattice;
  lattice.count_u = static_cast<int64_t>(std::ceil((Length(edge1) + kSpacing) / kSpacing));
  lattice.count_v = static_cast<int64_t>(std::ceil((Length(edge2) + kSpacing) / kSpacing));
  return lattice;
}

absl::StatusOr<HostTensor> MeshVoxelsCpu(View<const float, 2> vertices, View<const int32_t, 2> faces,
                                         const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTransform(transform));
  HostTensor scaled(DType::kFloat32, {vertices.shape[0], 3});
  PointsInVoxelUnits(vertices, transform, scaled.view<float, 2>());
  const View<const float, 2> in_voxels = scaled.view<float, 2>();

  const int64_t blocks = (faces.shape[0] + kFacesPerBlock - 1) / kFacesPerBlock;
  std::vector<std::vector<Voxel>> found(blocks);
  std::vector<absl::Status> failures(blocks);
  const auto sample_face = [&](int64_t face, std::vector<Voxel>& voxels) -> absl::Status {
    ASSIGN_OR_RETURN(const Triangle triangle, TriangleOf(in_voxels, faces, face));
    const TriangleLattice lattice = LatticeOf(triangle.edge1, triangle.edge2);
    if (lattice.count_u > kMaxSamplesPerTriangle / lattice.count_v) {
      return DataError(absl::StrCat("MeshVoxels: face ", face, " needs ", lattice.count_u, " x ", lattice.count_v,
                                    " samples, more than the ", kMaxSamplesPerTriangle,
                                    " allowed; use larger voxels or a finer mesh"));
    }
    Sample(triangle, lattice, voxels);
    return absl::OkStatus();
  };
  ParallelFor(faces.shape[0], kFacesPerBlock, [&](int64_t begin, int64_t end) {
    const int64_t block = begin / kFacesPerBlock;
    for (int64_t face = begin; face < end && failures[block].ok(); ++face) {
      failures[block] = sample_face(face, found[block]);
    }
  });
  for (const absl::Status& failure : failures) RETURN_IF_ERROR(failure);

  std::vector<Voxel> voxels;
  for (const std::vector<Voxel>& part : found) voxels.insert(voxels.end(), part.begin(), part.end());
  const int64_t count = static_cast<int64_t>(voxels.size());
  const View<const int32_t, 2> ijk(count == 0 ? nullptr : voxels.front().data(), {count, 3});
  absl::StatusOr<HostVoxelGrid> grid = GridFromIjkCpu(ijk, {0, count}, transform);
  if (!grid.ok()) return Annotate(grid.status(), "MeshVoxels");
  return grid->ijk;
}

}  // namespace cubist
