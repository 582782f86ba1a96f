// Which of many boxes a ray passes, nearest first, by Embree.
//
// Embree counts in single precision, with instructions that depend on the CPU. Here it only proposes: the boxes are
// a little larger than asked for, the ray ends a little later, and what the ray hits inside of a box is the caller's
// to find, in double. So results do not depend on what Embree rounds.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_BOX_HIERARCHY_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_BOX_HIERARCHY_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"

struct RTCSceneTy;

namespace cubist {

// Distances along a ray are in lengths of its direction, which is about 1 long.
struct Ray {
  Eigen::Vector3d origin;
  Eigen::Vector3d direction;
};
inline constexpr double kNoHit = std::numeric_limits<double>::infinity();

class BoxHierarchy {
 public:
  // Metres. May be empty. Starts no threads.
  explicit BoxHierarchy(const std::vector<Eigen::AlignedBox3d>& boxes);
  ~BoxHierarchy();
  BoxHierarchy(const BoxHierarchy&) = delete;
  BoxHierarchy& operator=(const BoxHierarchy&) = delete;

  // Calls far = test(number of the box, far) for every box that the ray passes between 0 and the far of that moment,
  // in no order that can be relied on, and for some boxes beside; `test` returns a smaller far when there is something
  // nearer in the box, and a negative one to end the search. From many threads at once, and from within `test` of
  // another hierarchy.
  void Visit(const Ray& ray, double far, absl::FunctionRef<double(uint32_t box, double far)> test) const;

 private:
  RTCSceneTy* scene_ = nullptr;  // null when there are no boxes
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_BOX_HIERARCHY_H_
