// What each reader takes of ReadLimits (data.limits of a config).
#ifndef CUBIST_DATA_PROCESS_SCENES_READ_LIMITS_H_
#define CUBIST_DATA_PROCESS_SCENES_READ_LIMITS_H_

#include <cstdint>

#include "configs/proto/experiment.pb.h"
#include "data_process/formats/image_limits.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/tar.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {

inline TarLimits TarLimitsFrom(const ReadLimits& limits) {
  TarLimits tar;
  tar.max_member_bytes = static_cast<uint64_t>(limits.max_member_bytes());
  return tar;
}

inline NpyLimits NpyLimitsFrom(const ReadLimits& limits) { return {static_cast<uint64_t>(limits.max_array_bytes())}; }

inline NpzLimits NpzLimitsFrom(const ReadLimits& limits) {
  NpzLimits npz;
  npz.max_total_bytes = static_cast<uint64_t>(limits.max_array_bytes());
  return npz;
}

inline TorchLimits TorchLimitsFrom(const ReadLimits& limits) {
  TorchLimits torch;
  torch.max_storage_bytes = torch.max_tensor_bytes = static_cast<uint64_t>(limits.max_array_bytes());
  return torch;
}

inline ImageLimits ImageLimitsFrom(const ReadLimits& limits) { return {limits.max_image_pixels()}; }

inline VideoLimits VideoLimitsFrom(const ReadLimits& limits) {
  return {limits.max_image_pixels(), limits.max_video_frames(), limits.max_video_seconds()};
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_READ_LIMITS_H_
