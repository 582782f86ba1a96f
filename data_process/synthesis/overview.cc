#include "data_process/synthesis/overview.h"

#include <algorithm>
#include <cmath>

#include "data_process/scenes/birds_eye.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;
using Colour = BirdsEyeCanvas::Colour;

constexpr double kPixelsPerMetre = 4;
constexpr double kWidest = 1600;
constexpr int kMargin = 8;
constexpr size_t kMostPictures = 12;
constexpr Colour kBackground = {24, 26, 32};
constexpr Colour kRoof = {150, 104, 82};
constexpr Colour kEgo = {255, 86, 34};

Colour ColourOf(uint8_t label) { return kSemanticClasses[label].colour; }

// Takes points of the street. `to_picture` moves them to metres right of and above the picture's lower left corner.
class Canvas : public BirdsEyeCanvas {
 public:
  Canvas(const Isometry3d& to_picture, int width, int height, double scale)
      : BirdsEyeCanvas(width, height, scale, kBackground), to_picture_(to_picture) {}

  void Point(const Vector3d& street, const Colour& colour) {
    const Vector3d p = to_picture_ * street;
    BirdsEyeCanvas::Point(p.x(), p.y(), p.z(), colour);
  }

 private:
  const Isometry3d to_picture_;
};

// Points every `step` metres over the rectangle of half extents `half` around the origin of `frame`.
void FillRectangle(const Isometry3d& frame, double half_x, double half_y, double z, double step, const Colour& colour,
                   Canvas& canvas) {
  for (double x = -half_x; x <= half_x; x += step) {
    for (double y = -half_y; y <= half_y; y += step) canvas.Point(frame * Vector3d(x, y, z), colour);
  }
}

}  // namespace

HostTensor RenderOverview(const ClipContent& content) {
  const Scene& scene = content.scene;
  const Isometry3d& vehicle = scene.ego[0];
  const LabelledPoints& cloud = content.cloud;
  const auto point = [&](size_t k) {
    return Vector3d(vehicle * Vector3d(cloud.xyz[3 * k], cloud.xyz[3 * k + 1], cloud.xyz[3 * k + 2]));
  };

  // The line from the first to the last position runs to the right.
  const StreetCurve& curve = scene.layout.curve;
  const Eigen::Vector2d chord = curve.At(curve.s_max(), 0) - curve.At(curve.s_min(), 0);
  Isometry3d to_picture = Isometry3d::Identity();
  to_picture.linear() = Eigen::AngleAxisd(-std::atan2(chord.y(), chord.x()), Vector3d::UnitZ()).toRotationMatrix();
  Eigen::Array2d low(1e9, 1e9), high(-1e9, -1e9);
  for (size_t k = 0; k < cloud.labels.size(); ++k) {
    const Vector3d p = to_picture * point(k);
    low = low.min(p.head<2>().array());
    high = high.max(p.head<2>().array());
  }
  to_picture.pretranslate(Vector3d(-low.x(), -low.y(), 0));
  const double scale = std::min(kPixelsPerMetre, kWidest / (high.x() - low.x()));
  const auto pixels = [scale](double metres) { return std::max(1, static_cast<int>(std::ceil(metres * scale))); };
  Canvas canvas(to_picture, pixels(high.x() - low.x()), pixels(high.y() - low.y()), scale);

  const double step = 0.8 / scale;
  for (const Footprint& footprint : scene.footprints) {
    FillRectangle(footprint.pose, footprint.half.x(), footprint.half.y(), 0, step, kRoof, canvas);
  }
  // Paint is as high as the noise of the road around it.
  const Vector3d paint(0, 0, 0.03);
  for (size_t k = 0; k < cloud.labels.size(); ++k) {
    const bool is_paint = cloud.labels[k] == static_cast<uint8_t>(SemanticClass::kLaneMarker);
    canvas.Point(is_paint ? point(k) + paint : point(k), ColourOf(cloud.labels[k]));
  }
  const int middle = static_cast<int>(scene.ego.size()) / 2;
  for (size_t k = 0; k < scene.objects.size(); ++k) {
    const SceneObject& object = scene.objects[k];
    const Isometry3d* pose = object.PoseAt(middle);
    if (!object.is_dynamic || pose == nullptr) continue;
    for (const Vector3d& p : ObjectPoints(object, static_cast<uint32_t>(k), content.seed, content.clip, 0.15)) {
      canvas.Point(*pose * p, ColourOf(static_cast<uint8_t>(object.label)));
    }
  }
  canvas.FillHoles();
  for (size_t frame = 0; frame + 1 < scene.ego.size(); ++frame) {
    const Vector3d from = scene.ego[frame].translation(), to = scene.ego[frame + 1].translation();
    for (double part = 0; part < 1; part += 0.1) canvas.Point(from + part * (to - from) + Vector3d(0, 0, 50), kEgo);
  }
  FillRectangle(scene.ego[middle], 2.2, 0.95, 50, step, kEgo, canvas);
  return canvas.Picture();
}

HostTensor ContactSheet(const std::vector<HostTensor>& pictures) {
  const size_t count = std::min(pictures.size(), kMostPictures);
  const size_t columns = count > 1 ? 2 : 1, rows = (count + columns - 1) / columns;
  int64_t tile_width = 0;
  std::vector<int64_t> row_heights(rows, 0);
  for (size_t k = 0; k < count; ++k) {
    tile_width = std::max(tile_width, pictures[k].shape()[1]);
    row_heights[k / columns] = std::max(row_heights[k / columns], pictures[k].shape()[0]);
  }
  int64_t height = kMargin;
  for (const int64_t row : row_heights) height += row + kMargin;
  const int64_t width = kMargin + static_cast<int64_t>(columns) * (tile_width + kMargin);
  HostTensor sheet(DType::kUInt8, {height, width, 3});
  for (int64_t pixel = 0; pixel < height * width; ++pixel) {
    std::copy(kBackground.begin(), kBackground.end(), sheet.data<uint8_t>() + 3 * pixel);
  }
  int64_t y = kMargin;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t k = row * columns; k < std::min(count, (row + 1) * columns); ++k) {
      const HostTensor& picture = pictures[k];
      const int64_t x = kMargin + static_cast<int64_t>(k % columns) * (tile_width + kMargin);
      const int64_t top = y + (row_heights[row] - picture.shape()[0]) / 2, bytes = 3 * picture.shape()[1];
      for (int64_t line = 0; line < picture.shape()[0]; ++line) {
        std::copy_n(picture.data<uint8_t>() + line * bytes, bytes,
                    sheet.data<uint8_t>() + 3 * ((top + line) * width + x));
      }
    }
    y += row_heights[row] + kMargin;
  }
  return sheet;
}

}  // namespace cubist
