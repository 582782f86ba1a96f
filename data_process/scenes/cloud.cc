#include "data_process/scenes/cloud.h"

#include <cmath>

#include "base/status.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

bool IsRows3(const HostTensor& tensor) {
  return (tensor.dtype() == DType::kFloat32 || tensor.dtype() == DType::kFloat64) && tensor.shape().size() == 2 &&
         tensor.shape()[1] == 3;
}

bool IsInteger(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
    case DType::kInt8:
    case DType::kUInt16:
    case DType::kInt16:
    case DType::kUInt32:
    case DType::kInt32:
    case DType::kUInt64:
    case DType::kInt64:
      return true;
    default:
      return false;
  }
}

// DataError naming the first row of a float32 or float64 [N,3] array that is not finite.
absl::Status CheckFinite(const HostTensor& rows, const std::string& what) {
  int64_t bad = -1;
  ForEachRow(rows, [&bad](int64_t i, const Vector3& p) {
    if (bad < 0 && !(std::isfinite(p[0]) && std::isfinite(p[1]) && std::isfinite(p[2]))) bad = i;
  });
  if (bad < 0) return absl::OkStatus();
  return DataError(what + ": row " + std::to_string(bad) + " is not finite");
}

absl::StatusOr<HostTensor> TakeTensor(const std::map<std::string, HostTensor>& tensors, const std::string& name,
                                      const std::string& what) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return found->second;
  std::string names;
  for (const auto& [other, tensor] : tensors) {
    names += (names.empty() ? "" : ", ") + other;
    if (names.size() > 300) break;
  }
  return DataError(what + ": there is no array '" + name + "'; it holds: " + (names.empty() ? "nothing" : names));
}

}  // namespace

absl::StatusOr<std::vector<uint8_t>> ClassIdsFrom(const HostTensor& array, const std::string& what) {
  if (!IsInteger(array.dtype())) return DataError(what + ": classes must be integers, found " + array.Describe());
  const HostTensor wide = array.dtype() == DType::kUInt8 ? array : array.Cast(DType::kInt64);
  std::vector<uint8_t> ids(static_cast<size_t>(wide.size()));
  const auto copy = [&](const auto* values) -> absl::Status {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (values[i] < 0 || values[i] >= kSemanticClassCount) {
        return DataError(what + ": element " + std::to_string(i) + " is class " + std::to_string(values[i]) +
                         "; classes go from 0 to " + std::to_string(kSemanticClassCount - 1));
      }
      ids[i] = static_cast<uint8_t>(values[i]);
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(wide.dtype() == DType::kUInt8 ? copy(wide.data<uint8_t>()) : copy(wide.data<int64_t>()));
  return ids;
}

absl::StatusOr<PointCloud> CloudFrom(const std::map<std::string, HostTensor>& arrays, const std::string& what) {
  PointCloud cloud;
  ASSIGN_OR_RETURN(cloud.points, TakeTensor(arrays, "points", what));
  ASSIGN_OR_RETURN(const HostTensor semantics, TakeTensor(arrays, "semantics", what));
  ASSIGN_OR_RETURN(const HostTensor pc_to_world, TakeTensor(arrays, "pc_to_world", what));
  if (!IsRows3(cloud.points)) {
    return DataError(what + ": points must be float32[N,3] or float64[N,3], found " + cloud.points.Describe());
  }
  const int64_t count = cloud.points.shape()[0];
  if (!IsInteger(semantics.dtype()) || semantics.shape() != std::vector<int64_t>{count}) {
    return DataError(what + ": semantics must be one integer for each of the " + std::to_string(count) +
                     " points, found " + semantics.Describe());
  }
  RETURN_IF_ERROR(CheckFinite(cloud.points, what + ": points"));
  ASSIGN_OR_RETURN(cloud.classes, ClassIdsFrom(semantics, what + ": semantics"));
  ASSIGN_OR_RETURN(cloud.to_world, MatrixFrom(pc_to_world, what + ": pc_to_world"));
  return cloud;
}

absl::StatusOr<PointCloud> ReadCloud(std::string_view bytes, const std::string& what, const TorchLimits& limits) {
  ASSIGN_OR_RETURN(const auto tensors, ReadTorchTensors(bytes, what, limits));
  return CloudFrom(tensors, what);
}

absl::StatusOr<ObjectPoints> ObjectPointsFrom(const std::map<std::string, HostTensor>& arrays, const std::string& id,
                                              const std::string& what) {
  ObjectPoints found;
  ASSIGN_OR_RETURN(found.points, TakeTensor(arrays, id + "_xyz", what));
  ASSIGN_OR_RETURN(const HostTensor semantic, TakeTensor(arrays, id + "_semantic", what));
  if (!IsRows3(found.points) && found.points.size() > 0) {
    return DataError(what + ": '" + id + "_xyz' must be float64[N,3], found " + found.points.Describe());
  }
  if (!IsInteger(semantic.dtype()) || semantic.size() != 1) {
    return DataError(what + ": '" + id + "_semantic' must be one integer, found " + semantic.Describe());
  }
  ASSIGN_OR_RETURN(const std::vector<uint8_t> ids, ClassIdsFrom(semantic, what + ": '" + id + "_semantic'"));
  found.class_id = ids[0];
  if (found.points.size() > 0) {
    RETURN_IF_ERROR(CheckFinite(found.points, what + ": '" + id + "_xyz'"));
  }
  return found;
}

absl::StatusOr<HostTensor> MapPointsFrom(const HostTensor& array, const std::string& what) {
  if (array.size() == 0) return HostTensor(DType::kFloat32, {0, 3});  // an empty layer has shape (0,)
  if (!IsRows3(array)) return DataError(what + ": a map layer must be float64[N,3], found " + array.Describe());
  RETURN_IF_ERROR(CheckFinite(array, what));
  return array;
}

}  // namespace cubist
