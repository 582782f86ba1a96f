// Points and class ids as the archives hold them: clouds, the points of labelled objects and map layers, all checked.
#ifndef CUBIST_DATA_PROCESS_SCENES_CLOUD_H_
#define CUBIST_DATA_PROCESS_SCENES_CLOUD_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/scenes/coordinates.h"

namespace cubist {

// All errors here are DataErrors with `what` in front: an array that is missing, of another dtype or shape than is
// said, a point that is not finite, a class id out of range.

// A clip's cloud: the arrays points, semantics and pc_to_world of pcd.vs01.pth.
struct PointCloud {
  HostTensor points;             // float32 or float64 [N,3], metres, finite
  std::vector<uint8_t> classes;  // N ids below kSemanticClassCount
  Matrix4 to_world;
};
absl::StatusOr<PointCloud> CloudFrom(const std::map<std::string, HostTensor>& arrays, const std::string& what);
// The same of a .pth's bytes; refuses arrays above `limits`.
absl::StatusOr<PointCloud> ReadCloud(std::string_view bytes, const std::string& what, const TorchLimits& limits);

// A labelled object's points in its own axes: the arrays <id>_xyz and <id>_semantic.
struct ObjectPoints {
  HostTensor points;  // float32 or float64 [N,3], metres, finite; of any shape if there are none
  uint8_t class_id = 0;
};
absl::StatusOr<ObjectPoints> ObjectPointsFrom(const std::map<std::string, HostTensor>& arrays, const std::string& id,
                                              const std::string& what);

// A map layer's points: float32 or float64 [N,3], finite; [0,3] of an empty array of any shape.
absl::StatusOr<HostTensor> MapPointsFrom(const HostTensor& array, const std::string& what);

// Class ids of any integer dtype as bytes, in the array's order.
absl::StatusOr<std::vector<uint8_t>> ClassIdsFrom(const HostTensor& array, const std::string& what);

// Calls body(row, x, y, z as doubles) for each row of a float32 or float64 [N,3] array.
template <typename Body>
void ForEachRow(const HostTensor& rows, const Body& body) {
  const int64_t count = rows.shape()[0];
  if (rows.dtype() == DType::kFloat32) {
    const float* p = rows.data<float>();
    for (int64_t i = 0; i < count; ++i, p += 3) body(i, Vector3{p[0], p[1], p[2]});
  } else {
    const double* p = rows.data<double>();
    for (int64_t i = 0; i < count; ++i, p += 3) body(i, Vector3{p[0], p[1], p[2]});
  }
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CLOUD_H_
