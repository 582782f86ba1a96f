// The mesh that stands for every car when cars' points are replaced.
#ifndef CUBIST_DATA_PROCESS_SCENES_CAR_MESH_H_
#define CUBIST_DATA_PROCESS_SCENES_CAR_MESH_H_

#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/formats/ply.h"
#include "data_process/scenes/coordinates.h"

namespace cubist {

// Length (x), width (y) and height (z) of the car that Cubist makes, in metres: those of the reference's.
inline constexpr Vector3 kCarExtents = {3.795, 1.836, 1.490};

// A passenger car of our own making: a hull with bonnet, windscreens and roof, and four wheels. Each of
// the five parts is a closed surface with outward normals; under 2000 triangles; x forward, z up, metres;
// the bounding box has kCarExtents and its centre at the origin. Always the same.
TriangleMesh MakeCarMesh();

// The mesh in data.car_mesh, else assets_root/car.ply when there is such a file, else MakeCarMesh().
// DataError, naming the file, when it cannot be read, is empty or flat, or holds values that are not finite.
absl::StatusOr<TriangleMesh> LoadCarMesh(const Data& data);

// Edges of the bounding box; 0 for a mesh without vertices.
Vector3 Extents(const TriangleMesh& mesh);

// The vertices, scaled about the origin axis by axis so that a mesh of the given extents gets the size
// `lwh` (length, width, height in metres) and then moved by `transform`, in double.
std::vector<Vector3> PlaceCar(const TriangleMesh& mesh, const Vector3& extents, const Vector3& lwh,
                              const Matrix4& transform);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CAR_MESH_H_
