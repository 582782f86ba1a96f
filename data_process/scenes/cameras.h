// The cameras of a clip: where they stand and how they see.
#ifndef CUBIST_DATA_PROCESS_SCENES_CAMERAS_H_
#define CUBIST_DATA_PROCESS_SCENES_CAMERAS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/intrinsics.h"

namespace cubist {

// Camera to world, OpenCV axes, of the camera `view` ("front") in a frame: of the attribute pose. Errors: those of
// ClipArchive::ReadFrame, ParseNpy and PoseFrom (coordinates.h), with their DataPlace.
absl::StatusOr<Matrix4> ReadPose(ClipArchive& archive, const std::string& clip, int64_t frame, std::string_view view);

// Of the attribute intrinsic. Errors: those of ClipArchive::Read, ParseNpy and IntrinsicsFrom, with their DataPlace.
absl::StatusOr<Intrinsics> ReadIntrinsics(ClipArchive& archive, const std::string& clip, std::string_view view);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CAMERAS_H_
