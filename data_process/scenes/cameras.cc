#include "data_process/scenes/cameras.h"

#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {

absl::StatusOr<Matrix4> ReadPose(ClipArchive& archive, const std::string& clip, int64_t frame, std::string_view view) {
  return UseMember(archive.ReadFrame("pose", clip, frame, absl::StrCat("pose.", std::string(view), ".npy")),
                   [&](const MemberBytes& member) -> absl::StatusOr<Matrix4> {
                     ASSIGN_OR_RETURN(const HostTensor pose,
                                      ParseNpy(member.bytes, member.what, NpyLimitsFrom(archive.limits())));
                     return PoseFrom(pose, member.what);
                   });
}

absl::StatusOr<Intrinsics> ReadIntrinsics(ClipArchive& archive, const std::string& clip, std::string_view view) {
  return UseMember(archive.Read("intrinsic", clip, absl::StrCat("intrinsic.", std::string(view), ".npy")),
                   [&](const MemberBytes& member) -> absl::StatusOr<Intrinsics> {
                     ASSIGN_OR_RETURN(const HostTensor found,
                                      ParseNpy(member.bytes, member.what, NpyLimitsFrom(archive.limits())));
                     return IntrinsicsFrom(found, member.what);
                   });
}

}  // namespace cubist
