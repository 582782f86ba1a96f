// Which of data.attributes holds the images, sky masks or depth of a camera.
#ifndef CUBIST_CONFIGS_SCENE_ATTRIBUTES_H_
#define CUBIST_CONFIGS_SCENE_ATTRIBUTES_H_

#include <string>
#include <string_view>

#include "configs/proto/experiment.pb.h"

namespace cubist {

// As attributes and members of tars spell it: "front", "front_left", ...
std::string ViewName(CameraView view);

// Kinds of attributes that there is one of for each view.
inline constexpr char kImageKind[] = "image";
inline constexpr char kSkyMaskKind[] = "skymask";
inline constexpr char kVoxelDepthKind[] = "voxel_depth_100";

// The first of data.attributes that is "<kind>_<view>" or, scaled to a number of rows, "<kind>_<rows>p_<view>", such as
// image_480p_front. Empty if there is none.
std::string AttributeOfView(const Data& data, std::string_view kind, CameraView view);

// Whether data.attributes has that kind for any view.
bool HasAttributeOfKind(const Data& data, std::string_view kind);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_SCENE_ATTRIBUTES_H_
