#include "tools/tasks/voxel_picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

using Colour = std::array<uint8_t, 3>;

constexpr Colour kBackground = {250, 251, 253};
// Darker than lane markings, so that these stand out.
constexpr Colour kPanel = {214, 221, 231};
constexpr int kPanelWidth = 600;  // pixels, about; each panel takes whole pixels a cell
constexpr int kMargin = 12;

Colour Shade(const Colour& colour, double factor) {
  Colour shaded;
  for (int c = 0; c < 3; ++c) shaded[c] = static_cast<uint8_t>(std::clamp(colour[c] * factor, 0.0, 255.0));
  return shaded;
}

class Image {
 public:
  Image(int height, int width, Colour colour) : pixels_(DType::kUInt8, {height, width, 3}) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) Set(y, x, colour);
    }
  }
  int height() const { return static_cast<int>(pixels_.shape()[0]); }
  int width() const { return static_cast<int>(pixels_.shape()[1]); }
  void Set(int y, int x, const Colour& colour) {
    if (y < 0 || x < 0 || y >= height() || x >= width()) return;
    std::memcpy(pixels_.data<uint8_t>() + (int64_t{y} * width() + x) * 3, colour.data(), 3);
  }
  void FillRectangle(int y, int x, int size_y, int size_x, const Colour& colour) {
    for (int dy = 0; dy < size_y; ++dy) {
      for (int dx = 0; dx < size_x; ++dx) Set(y + dy, x + dx, colour);
    }
  }
  void Paste(const Image& other, int y, int x) {
    for (int row = 0; row < other.height(); ++row) {
      for (int column = 0; column < other.width(); ++column) {
        const uint8_t* pixel = other.pixels_.data<uint8_t>() + (int64_t{row} * other.width() + column) * 3;
        Set(y + row, x + column, {pixel[0], pixel[1], pixel[2]});
      }
    }
  }
  const HostTensor& pixels() const { return pixels_; }

 private:
  HostTensor pixels_;
};

// A voxel in box coordinates, 0 to cells.
struct Cell {
  int i, j, k;
  Colour colour;
};

std::vector<Cell> CellsInBox(const LabelledVoxels& voxels, const VoxelBox& box) {
  std::vector<Cell> cells;
  const auto ijk = voxels.ijk.view<int32_t, 2>();
  const auto labels = voxels.labels.view<int32_t, 1>();
  for (int64_t row = 0; row < ijk.shape[0]; ++row) {
    int index[3];
    bool inside = true;
    for (int d = 0; d < 3; ++d) {
      index[d] = ijk(row, d) - box.first[d];
      inside = inside && index[d] >= 0 && index[d] < box.cells[d];
    }
    // A config may have more classes than the palette.
    const int label = labels(row) % kSemanticClassCount;
    if (inside) cells.push_back({index[0], index[1], index[2], kSemanticClasses[label].colour});
  }
  return cells;
}

// Cubes in isometric projection, seen along (1, 1, -1): forward goes to the upper right.
Image DrawCubes(std::vector<Cell> cells, const VoxelBox& box) {
  const int span = box.cells[0] + box.cells[1];
  const int half = std::max(1, (kPanelWidth + span / 2) / span);     // half the width of a cube
  const int rise = std::max(1, half / 2), tall = std::max(1, half);  // a step back, and a cube's height
  Image image(span * rise + (box.cells[2] + 1) * tall + 2 * rise, span * half, kPanel);
  // Back to front.
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Cell& a, const Cell& b) { return a.i + a.j - a.k > b.i + b.j - b.k; });
  for (const Cell& cell : cells) {
    // The middle of the cube's near upper corner.
    const int x = (cell.i - cell.j + box.cells[1]) * half;
    const int y = image.height() - 1 - ((cell.i + cell.j) * rise + (cell.k + 1) * tall);
    // Higher voxels are lighter, so that depth reads without shadows.
    const double light = 0.86 + 0.22 * cell.k / std::max(1, box.cells[2]);
    for (int dx = -half; dx < half; ++dx) {
      const int edge = static_cast<int>((half - std::abs(dx + 0.5)) * rise / half + 0.5);  // half height of the rhomb
      const double side = dx < 0 ? 0.82 : 0.66;
      for (int dy = -edge; dy <= edge; ++dy) image.Set(y - rise + dy, x + dx, Shade(cell.colour, light * 1.08));
      for (int dy = 1; dy <= tall; ++dy) image.Set(y - rise + edge + dy, x + dx, Shade(cell.colour, light * side));
    }
  }
  return image;
}

Image DrawBirdsEye(const std::vector<Cell>& cells, const VoxelBox& box) {
  const int size = std::max(1, kPanelWidth / box.cells[1]);
  Image image(box.cells[0] * size, box.cells[1] * size, kPanel);
  std::vector<const Cell*> top(static_cast<size_t>(box.cells[0]) * box.cells[1], nullptr);
  for (const Cell& cell : cells) {
    const Cell*& slot = top[static_cast<size_t>(cell.i) * box.cells[1] + cell.j];
    if (slot == nullptr || slot->k < cell.k) slot = &cell;
  }
  for (const Cell* cell : top) {
    if (cell == nullptr) continue;
    const double light = 0.8 + 0.35 * cell->k / std::max(1, box.cells[2]);
    image.FillRectangle((box.cells[0] - 1 - cell->i) * size, (box.cells[1] - 1 - cell->j) * size, size, size,
                        Shade(cell->colour, light));
  }
  return image;
}

// Cells that a slab is deep: an eighth of the box.
int SlabDepth(const VoxelBox& box, int axis) { return std::max(1, box.cells[axis] / 8); }

int Along(const Cell& cell, int axis) { return axis == 0 ? cell.i : cell.j; }

// Where along `axis` (0 or 1) the slab with the most voxels starts.
int FullestSlab(const std::vector<Cell>& cells, const VoxelBox& box, int axis) {
  std::vector<int> count(box.cells[axis], 0);
  for (const Cell& cell : cells) ++count[Along(cell, axis)];
  const int depth = SlabDepth(box, axis);
  int best = 0, most = -1;
  for (int first = 0; first + depth <= box.cells[axis]; ++first) {
    const int voxels = std::accumulate(count.begin() + first, count.begin() + first + depth, 0);
    if (voxels > most) {
      best = first;
      most = voxels;
    }
  }
  return best;
}

// A slab across `axis` that starts at `first`, seen from the side; z is up.
Image DrawSlab(std::vector<Cell> cells, const VoxelBox& box, int axis, int first) {
  const int across = 1 - axis, slab = SlabDepth(box, axis);
  const int size = std::max(1, kPanelWidth / box.cells[across]);
  Image image(box.cells[2] * size, box.cells[across] * size, kPanel);
  // Seen from behind and from the right: what is nearer is drawn last.
  std::stable_sort(cells.begin(), cells.end(),
                   [axis](const Cell& a, const Cell& b) { return Along(a, axis) > Along(b, axis); });
  for (const Cell& cell : cells) {
    const int behind = Along(cell, axis) - first;
    if (behind < 0 || behind >= slab) continue;
    // Across the street left is left; along it forward is right.
    const int column = across == 1 ? box.cells[1] - 1 - cell.j : cell.i;
    image.FillRectangle((box.cells[2] - 1 - cell.k) * size, column * size, size, size,
                        Shade(cell.colour, 1.05 - 0.35 * behind / slab));
  }
  return image;
}

}  // namespace

HostTensor DrawComparison(const LabelledVoxels& input, const LabelledVoxels& reconstruction, const VoxelBox& box) {
  std::vector<std::array<Image, 2>> rows;
  const std::vector<Cell> left = CellsInBox(input, box), right = CellsInBox(reconstruction, box);
  rows.push_back({DrawCubes(left, box), DrawCubes(right, box)});
  rows.push_back({DrawBirdsEye(left, box), DrawBirdsEye(right, box)});
  for (const int axis : {1, 0}) {
    const int first = FullestSlab(left, box, axis);
    rows.push_back({DrawSlab(left, box, axis, first), DrawSlab(right, box, axis, first)});
  }

  int height = kMargin, column = 0;
  for (const auto& row : rows) {
    height += row[0].height() + kMargin;
    column = std::max(column, row[0].width());
  }
  Image picture(height, 2 * column + 3 * kMargin, kBackground);
  int y = kMargin;
  for (const auto& row : rows) {
    const int indent = (column - row[0].width()) / 2;
    picture.Paste(row[0], y, kMargin + indent);
    picture.Paste(row[1], y, 2 * kMargin + column + indent);
    y += row[0].height() + kMargin;
  }
  return picture.pixels();
}

}  // namespace cubist
