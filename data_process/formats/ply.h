// Triangle meshes in the Stanford PLY format.
#ifndef CUBIST_DATA_PROCESS_FORMATS_PLY_H_
#define CUBIST_DATA_PROCESS_FORMATS_PLY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

struct PlyLimits {
  int64_t max_vertices = 50000000;
  int64_t max_triangles = 100000000;
  int max_properties = 256;
  int64_t max_polygon_vertices = 1000;
};

struct TriangleMesh {
  HostTensor vertices;  // float32 [V,3], the file's units
  HostTensor faces;     // int32 [F,3], rows of `vertices`, counter-clockwise as in the file
};

// Reads ascii and binary_little_endian files with an element `vertex` (properties x, y, z of any number
// type) and optionally an element `face` (list property vertex_indices or vertex_index); polygons become
// fans of triangles. Other elements and properties are skipped. `what` names the file in messages.
// Errors: DataError with the offset or line: a damaged or truncated file, an index outside of the
// vertices, a coordinate that is not finite, big-endian data, the limits (checked before anything
// is allocated).
absl::StatusOr<TriangleMesh> ParsePly(std::string_view bytes, std::string_view what, const PlyLimits& limits = {});

// binary_little_endian with float vertices and uchar/int face lists. `mesh.vertices` must be float32
// [V,3] and `mesh.faces` int32 [F,3]; anything else aborts: that is our bug.
std::string FormatPly(const TriangleMesh& mesh);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_PLY_H_
