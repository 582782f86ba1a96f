// Points seen from above.
#ifndef CUBIST_DATA_PROCESS_SCENES_BIRDS_EYE_H_
#define CUBIST_DATA_PROCESS_SCENES_BIRDS_EYE_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/host_tensor.h"

namespace cubist {

// A height and a colour (red, green, blue) a pixel; higher things hide lower ones.
class BirdsEyeCanvas {
 public:
  using Colour = std::array<uint8_t, 3>;

  // `width` and `height` in pixels; `scale` in pixels a metre.
  BirdsEyeCanvas(int width, int height, double scale, const Colour& background);

  // `right` and `up` in metres from the picture's lower left corner, `height` in metres from anywhere. Points outside
  // are left out.
  void Point(double right, double up, double height, const Colour& colour);
  // Pixels between points get the look of their highest neighbour.
  void FillHoles();
  // uint8 [height, width, 3]. Light from the upper left: slopes that face it are brighter.
  HostTensor Picture() const;

 private:
  const int width_, height_;
  const double scale_;
  std::vector<float> top_;
  std::vector<Colour> colours_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_BIRDS_EYE_H_
