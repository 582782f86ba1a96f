#include "data_process/scenes/birds_eye.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace cubist {
namespace {

using Colour = BirdsEyeCanvas::Colour;
constexpr Colour kNothing = {1, 2, 3}, kRed = {200, 0, 0}, kGreen = {0, 200, 0};

Colour At(const HostTensor& picture, int y, int x) {
  const auto view = picture.view<uint8_t, 3>();
  return {view(y, x, 0), view(y, x, 1), view(y, x, 2)};
}

TEST(BirdsEyeCanvas, HighestPointShowsWhereItLies) {
  BirdsEyeCanvas canvas(6, 4, 2, kNothing);  // 3 m to the right, 2 m up
  canvas.Point(0.1, 0.1, 5, kRed);
  canvas.Point(0.4, 0.4, 3, kGreen);  // below
  canvas.Point(2.9, 1.9, 3, kGreen);
  canvas.Point(2.9, 1.9, 4, kRed);
  for (const auto& [right, up] :
       {std::pair(-0.01, 1.0), {3.0, 1.0}, {1.0, -0.01}, {1.0, 2.0}, {1e300, 1.0}, {NAN, 1.0}}) {
    canvas.Point(right, up, 9, kGreen);
  }
  canvas.Point(1.1, 1.1, NAN, kNothing);
  const HostTensor picture = canvas.Picture();
  ASSERT_EQ(picture.shape(), (std::vector<int64_t>{4, 6, 3}));
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 6; ++x) {
      const bool drawn = (y == 3 && x == 0) || (y == 0 && x == 5);
      EXPECT_EQ(At(picture, y, x), drawn ? kRed : kNothing) << y << " " << x;
    }
  }
}

TEST(BirdsEyeCanvas, HolesTakeTheirHighestNeighbour) {
  BirdsEyeCanvas canvas(5, 1, 1, kNothing);
  canvas.Point(0.5, 0.5, 1, kRed);
  canvas.Point(2.5, 0.5, 2, kGreen);
  canvas.FillHoles();
  const HostTensor picture = canvas.Picture();
  EXPECT_EQ(At(picture, 0, 0), kRed);
  for (const int x : {1, 2, 3}) EXPECT_EQ(At(picture, 0, x), kGreen);
  EXPECT_EQ(At(picture, 0, 4), kNothing) << "two pixels away";
}

TEST(BirdsEyeCanvas, SlopesTowardsTheLightAreBrighter) {
  BirdsEyeCanvas canvas(2, 2, 1, kNothing), falling(2, 2, 1, kNothing);
  for (int x = 0; x < 2; ++x) {
    for (int y = 0; y < 2; ++y) {
      canvas.Point(x + 0.5, y + 0.5, x - y, kRed);
      falling.Point(x + 0.5, y + 0.5, y - x, kRed);
    }
  }
  EXPECT_GT(At(canvas.Picture(), 1, 1)[0], kRed[0]);
  EXPECT_LT(At(falling.Picture(), 1, 1)[0], kRed[0]);
}

}  // namespace
}  // namespace cubist
