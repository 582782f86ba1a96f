#include <cmath>

#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/ply.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  PlyLimits limits;
  limits.max_vertices = static_cast<int64_t>(kFuzzBytes / 12);
  limits.max_triangles = static_cast<int64_t>(kFuzzBytes / 12);
  const auto mesh = ParsePly(bytes, kFuzzName, limits);
  if (!Accepted(mesh.status())) return false;
  Walk(mesh->vertices);
  Walk(mesh->faces);
  const auto vertices = mesh->vertices.view<float, 2>();
  const auto faces = mesh->faces.view<int32_t, 2>();
  Require(vertices.shape[1] == 3 && faces.shape[1] == 3, "vertices and faces have three columns");
  for (int64_t v = 0; v < 3 * vertices.shape[0]; ++v) {
    Require(std::isfinite(mesh->vertices.data<float>()[v]), "coordinates are finite");
  }
  for (int64_t f = 0; f < 3 * faces.shape[0]; ++f) {
    const int32_t vertex = mesh->faces.data<int32_t>()[f];
    Require(vertex >= 0 && vertex < vertices.shape[0], "faces use vertices that are there");
  }
  const auto again = ParsePly(FormatPly(*mesh), kFuzzName);
  Require(again.ok() && SameArray(again->vertices, mesh->vertices) && SameArray(again->faces, mesh->faces),
          "a mesh that is written is read again");
  return true;
}

}  // namespace cubist
