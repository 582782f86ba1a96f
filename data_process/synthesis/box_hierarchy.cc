#include "data_process/synthesis/box_hierarchy.h"

#include <embree3/rtcore.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace cubist {
namespace {

// Metres, and parts of a coordinate or distance: far more than single precision loses.
constexpr double kMargin = 1e-3;
constexpr double kRelativeMargin = 1e-6;

// One device for the program: it goes with the process.
RTCDevice Device() {
  static const RTCDevice device = [] {
    const RTCDevice made = rtcNewDevice("threads=1,set_affinity=0");
    if (made == nullptr) {
      std::fprintf(stderr, "Embree cannot be used: error %d\n", static_cast<int>(rtcGetDeviceError(nullptr)));
      std::abort();
    }
    return made;
  }();
  return device;
}

// The first member is what Embree hands back.
struct Query {
  RTCIntersectContext context;
  absl::FunctionRef<double(uint32_t, double)> test;
  double far;
};

float LaterThan(double far) { return static_cast<float>(far * (1 + kRelativeMargin) + kMargin); }

void Propose(const RTCIntersectFunctionNArguments* arguments) {
  if (arguments->valid[0] == 0) return;
  auto* query = reinterpret_cast<Query*>(arguments->context);
  const double far = query->test(arguments->primID, query->far);
  if (far >= query->far) return;
  query->far = far;
  RTCRayHitN* hit = arguments->rayhit;
  RTCRayN_tfar(RTCRayHitN_RayN(hit, 1), 1, 0) = far < 0 ? -1.0f : LaterThan(far);
  RTCHitN_geomID(RTCRayHitN_HitN(hit, 1), 1, 0) = arguments->geomID;
}

void Bounds(const RTCBoundsFunctionArguments* arguments) {
  const auto* boxes = static_cast<const std::vector<Eigen::AlignedBox3d>*>(arguments->geometryUserPtr);
  const Eigen::AlignedBox3d& box = (*boxes)[arguments->primID];
  const double margin = kMargin + kRelativeMargin * box.min().cwiseAbs().cwiseMax(box.max().cwiseAbs()).maxCoeff();
  const Eigen::Vector3f low = (box.min().array() - margin).cast<float>(),
                        high = (box.max().array() + margin).cast<float>();
  *arguments->bounds_o = {low.x(), low.y(), low.z(), 0, high.x(), high.y(), high.z(), 0};
}

}  // namespace

BoxHierarchy::BoxHierarchy(const std::vector<Eigen::AlignedBox3d>& boxes) {
  if (boxes.empty()) return;
  scene_ = rtcNewScene(Device());
  rtcSetSceneFlags(scene_, RTC_SCENE_FLAG_ROBUST);
  RTCGeometry geometry = rtcNewGeometry(Device(), RTC_GEOMETRY_TYPE_USER);
  rtcSetGeometryUserPrimitiveCount(geometry, static_cast<unsigned>(boxes.size()));
  // The boxes are looked at while committing only.
  rtcSetGeometryUserData(geometry, const_cast<std::vector<Eigen::AlignedBox3d>*>(&boxes));
  rtcSetGeometryBoundsFunction(geometry, Bounds, nullptr);
  rtcSetGeometryIntersectFunction(geometry, Propose);
  rtcCommitGeometry(geometry);
  rtcAttachGeometry(scene_, geometry);
  rtcReleaseGeometry(geometry);
  rtcCommitScene(scene_);
}

BoxHierarchy::~BoxHierarchy() {
  if (scene_ != nullptr) rtcReleaseScene(scene_);
}

void BoxHierarchy::Visit(const Ray& ray, double far, absl::FunctionRef<double(uint32_t, double)> test) const {
  if (scene_ == nullptr) return;
  Query query = {{}, test, far};
  rtcInitIntersectContext(&query.context);
  RTCRayHit hit = {};
  hit.ray.org_x = static_cast<float>(ray.origin.x());
  hit.ray.org_y = static_cast<float>(ray.origin.y());
  hit.ray.org_z = static_cast<float>(ray.origin.z());
  hit.ray.dir_x = static_cast<float>(ray.direction.x());
  hit.ray.dir_y = static_cast<float>(ray.direction.y());
  hit.ray.dir_z = static_cast<float>(ray.direction.z());
  hit.ray.tfar = LaterThan(far);
  hit.ray.mask = ~0u;
  hit.hit.geomID = RTC_INVALID_GEOMETRY_ID;
  rtcIntersect1(scene_, &query.context, &hit);
}

}  // namespace cubist
