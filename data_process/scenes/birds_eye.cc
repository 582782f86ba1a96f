#include "data_process/scenes/birds_eye.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cubist {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

}  // namespace

BirdsEyeCanvas::BirdsEyeCanvas(int width, int height, double scale, const Colour& background)
    : width_(width),
      height_(height),
      scale_(scale),
      top_(static_cast<size_t>(width) * height, kNothing),
      colours_(top_.size(), background) {}

void BirdsEyeCanvas::Point(double right, double up, double height, const Colour& colour) {
  const double x = std::floor(right * scale_), y = height_ - 1 - std::floor(up * scale_);
  // Written so that "not a number" is outside.
  if (!(x >= 0 && x < width_ && y >= 0 && y < height_)) return;
  const size_t pixel = static_cast<size_t>(y) * width_ + static_cast<size_t>(x);
  if (height < top_[pixel]) return;
  top_[pixel] = static_cast<float>(height);
  colours_[pixel] = colour;
}

void BirdsEyeCanvas::FillHoles() {
  const std::vector<float> top = top_;
  const std::vector<Colour> colours = colours_;
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const size_t pixel = static_cast<size_t>(y) * width_ + x;
      if (top[pixel] != kNothing) continue;
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          if (x + dx < 0 || x + dx >= width_ || y + dy < 0 || y + dy >= height_) continue;
          const size_t other = static_cast<size_t>(y + dy) * width_ + (x + dx);
          if (top[other] <= top_[pixel]) continue;
          top_[pixel] = top[other];
          colours_[pixel] = colours[other];
        }
      }
    }
  }
}

HostTensor BirdsEyeCanvas::Picture() const {
  HostTensor picture(DType::kUInt8, {height_, width_, 3});
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const size_t pixel = static_cast<size_t>(y) * width_ + x;
      double shade = 1;
      if (x > 0 && y > 0 && top_[pixel] != kNothing && top_[pixel - width_ - 1] != kNothing) {
        shade += std::clamp(0.3 * (top_[pixel] - top_[pixel - width_ - 1]), -0.3, 0.25);
      }
      for (int c = 0; c < 3; ++c) {
        picture.data<uint8_t>()[3 * pixel + c] =
            static_cast<uint8_t>(std::clamp(colours_[pixel][c] * shade, 0.0, 255.0));
      }
    }
  }
  return picture;
}

}  // namespace cubist
