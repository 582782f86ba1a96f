#include "tools/training/rehearsal/needed_members.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "configs/scene_attributes.h"

namespace cubist {

std::vector<NeededMember> NeededMembers(const Data& data) {
  std::map<std::pair<std::string, std::string>, std::set<int64_t>> needed;  // by attribute and suffix
  const int64_t first_input = data.input_frame_offsets_size() > 0 ? data.input_frame_offsets(0) : 0;
  needed[{"pose", "pose.front.npy"}] = {first_input};
  for (const std::string& attribute : data.attributes()) {
    if (absl::StartsWith(attribute, "pc_")) needed[{attribute, "pcd.vs01.pth"}];
    for (const char* objects : {"static_object_info", "dynamic_object_info"}) {
      if (attribute == objects) needed[{attribute, attribute + ".json"}] = {first_input};
    }
    for (const std::string& type : data.map_types()) {
      if (absl::StartsWith(attribute, absl::StrCat("3d_", type, "_voxelsize"))) needed[{attribute, type + ".npy"}];
    }
  }
  const auto add_images = [&](const auto& offsets, const auto& views) {
    for (const int number : views) {
      const auto view = static_cast<CameraView>(number);
      const std::string name = ViewName(view);
      needed[{"intrinsic", absl::StrCat("intrinsic.", name, ".npy")}];
      const auto add = [&](const std::string& attribute, const std::string& suffix) {
        if (!attribute.empty()) needed[{attribute, suffix}].insert(offsets.begin(), offsets.end());
      };
      add("pose", absl::StrCat("pose.", name, ".npy"));
      add(AttributeOfView(data, kImageKind, view), absl::StrCat("image.", name, ".jpg"));
      for (const char* kind : {kSkyMaskKind, kVoxelDepthKind}) {
        add(AttributeOfView(data, kind, view), absl::StrCat(kind, ".", name, ".png"));
      }
    }
  };
  if (HasAttributeOfKind(data, kImageKind)) {
    add_images(data.input_frame_offsets(), data.input_views());
    add_images(data.supervision_frame_offsets(), data.supervision_views());
  }
  std::vector<NeededMember> members;
  for (auto& [name, offsets] : needed) members.push_back({name.first, name.second, std::move(offsets)});
  return members;
}

}  // namespace cubist
