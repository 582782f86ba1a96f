#include "data_process/formats/torch_zip_strides.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/status.h"

namespace cubist {
namespace {

// All indices of some axes, the last axis fastest.
class Odometer {
 public:
  explicit Odometer(std::vector<StridedAxis> axes) : axes_(std::move(axes)), index_(axes_.size(), 0) {}
  int64_t from() const { return from_; }
  int64_t to() const { return to_; }
  // False after the last index.
  bool Next() {
    for (size_t d = axes_.size(); d-- > 0;) {
      from_ += axes_[d].from;
      to_ += axes_[d].to;
      if (++index_[d] < axes_[d].extent) return true;
      from_ -= axes_[d].from * axes_[d].extent;
      to_ -= axes_[d].to * axes_[d].extent;
      index_[d] = 0;
    }
    return false;
  }

 private:
  std::vector<StridedAxis> axes_;
  std::vector<int64_t> index_;
  int64_t from_ = 0;
  int64_t to_ = 0;
};

// How many elements that are neighbours in the storage are taken together: each opens a place of its own that is
// written in order, and the first-level cache, where steps of powers of two share one set, holds few of those.
constexpr int64_t kBlock = 8;

// Copies a box of elements, given by `axes` (by falling step in the storage), from `window` to `result`.
template <size_t kSize>
void PlaceBox(const char* window, std::vector<StridedAxis> axes, char* result) {
  constexpr auto kBytes = static_cast<int64_t>(kSize);
  StridedAxis inner = {1, 1, 1};
  if (!axes.empty()) {
    inner = axes.back();
    axes.pop_back();
  }
  // Everything else in the order of the result.
  std::sort(axes.begin(), axes.end(), [](const StridedAxis& a, const StridedAxis& b) { return a.to > b.to; });
  StridedAxis middle = {1, 0, 0};
  if (!axes.empty()) {
    middle = axes.back();
    axes.pop_back();
  }
  const bool run = inner.from == 1 && inner.to == 1;
  const int64_t block = run || inner.to < middle.to ? inner.extent : kBlock;
  for (int64_t begin = 0; begin < inner.extent; begin += block) {
    const int64_t count = std::min(block, inner.extent - begin);
    Odometer outer(axes);
    do {
      const char* source = window + (outer.from() + begin * inner.from) * kBytes;
      char* target = result + (outer.to() + begin * inner.to) * kBytes;
      for (int64_t m = 0; m < middle.extent; ++m) {
        if (run) {
          std::memcpy(target, source, static_cast<size_t>(count) * kSize);
        } else {
          for (int64_t i = 0; i < count; ++i) {
            std::memcpy(target + i * inner.to * kBytes, source + i * inner.from * kBytes, kSize);
          }
        }
        source += middle.from * kBytes;
        target += middle.to * kBytes;
      }
    } while (outer.Next());
  }
}

void PlaceBox(const char* window, const std::vector<StridedAxis>& axes, size_t element, char* result) {
  switch (element) {
    case 1:
      return PlaceBox<1>(window, axes, result);
    case 2:
      return PlaceBox<2>(window, axes, result);
    case 4:
      return PlaceBox<4>(window, axes, result);
    default:
      return PlaceBox<8>(window, axes, result);
  }
}

// Copies what stands at index 0 of each axis of stride 0 to its other indices.
void Repeat(const PickleTensor& tensor, size_t element, char* result) {
  const std::vector<int64_t>& shape = tensor.shape;
  std::vector<int64_t> step(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) step[d - 1] = step[d] * shape[d];
  const auto repeats = [&](size_t d) { return shape[d] > 1 && tensor.stride[d] == 0; };
  for (size_t d = shape.size(); d-- > 0;) {
    if (!repeats(d)) continue;
    // The axes before it that repeat are filled later, from what is complete then.
    std::vector<StridedAxis> outer;
    for (size_t o = 0; o < d; ++o) outer.push_back({repeats(o) ? 1 : shape[o], 0, step[o]});
    const size_t total = static_cast<size_t>(step[d] * shape[d]) * element;
    Odometer blocks(std::move(outer));
    do {
      char* const block = result + static_cast<size_t>(blocks.to()) * element;
      size_t done = static_cast<size_t>(step[d]) * element;
      while (done < total) {
        const size_t more = std::min(done, total - done);
        std::memcpy(block + done, block, more);
        done += more;
      }
    } while (blocks.Next());
  }
}

// The axes of one window: the last of `plan.axes` whole, and `rows` of the one before them.
struct Window {
  size_t split;      // how many axes lie outside; the last of them is cut into rows
  int64_t rows = 1;  // of axis split - 1 in one window
  int64_t span = 1;  // elements of the storage that one row reaches over
};

Window ChooseWindow(const StridedPlan& plan, const GatherOptions& options, size_t element) {
  const auto fitting = static_cast<int64_t>(options.window_bytes / element);
  const auto gap = static_cast<int64_t>(std::min(options.max_gap_bytes / element, uint64_t{1} << 62));
  Window window = {plan.axes.size()};
  if (plan.overlaps) return {0, 1, plan.span};
  while (window.split > 0) {
    const StridedAxis& axis = plan.axes[window.split - 1];
    if (axis.from - window.span > gap) return window;
    if ((axis.extent - 1) * axis.from + window.span > fitting) {
      window.rows = std::max<int64_t>(1, (fitting - window.span) / axis.from + 1);
      return window;
    }
    window.span += (axis.extent - 1) * axis.from;
    --window.split;
  }
  return window;
}

}  // namespace

StridedPlan PlanStrides(const PickleTensor& tensor) {
  StridedPlan plan;
  int64_t to = 1;
  for (size_t d = tensor.shape.size(); d-- > 0;) {
    // Along an extent of 1 nothing is stepped over, and any number may stand there.
    if (tensor.shape[d] > 1 && tensor.stride[d] > 0) plan.axes.push_back({tensor.shape[d], tensor.stride[d], to});
    to *= tensor.shape[d];
  }
  std::sort(plan.axes.begin(), plan.axes.end(), [](const StridedAxis& a, const StridedAxis& b) {
    return a.from != b.from ? a.from > b.from : a.to > b.to;
  });
  std::vector<StridedAxis> merged;
  for (const StridedAxis& axis : plan.axes) {
    if (!merged.empty() && merged.back().from == axis.extent * axis.from && merged.back().to == axis.extent * axis.to) {
      merged.back() = {merged.back().extent * axis.extent, axis.from, axis.to};
    } else {
      merged.push_back(axis);
    }
  }
  plan.axes = std::move(merged);
  for (size_t d = plan.axes.size(); d-- > 0;) {
    plan.overlaps = plan.overlaps || plan.axes[d].from < plan.span;
    plan.span += (plan.axes[d].extent - 1) * plan.axes[d].from;
  }
  return plan;
}

absl::Status GatherStrided(const PickleTensor& tensor, const GatherOptions& options, const ReadStorage& read,
                           char* result) {
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return absl::OkStatus();
  const StridedPlan plan = PlanStrides(tensor);
  const size_t element = SizeOf(tensor.dtype);
  const Window window = ChooseWindow(plan, options, element);
  std::vector<StridedAxis> outside(plan.axes.begin(), plan.axes.begin() + static_cast<ptrdiff_t>(window.split));
  const std::vector<StridedAxis> inside(plan.axes.begin() + static_cast<ptrdiff_t>(window.split), plan.axes.end());
  StridedAxis rows = {1, 0, 0};
  if (!outside.empty()) {
    rows = outside.back();
    outside.pop_back();
  }
  std::unique_ptr<char[]> buffer;
  Odometer boxes(std::move(outside));
  do {
    for (int64_t row = 0; row < rows.extent; row += window.rows) {
      const int64_t count = std::min(window.rows, rows.extent - row);
      std::vector<StridedAxis> box = inside;
      if (count > 1) box.insert(box.begin(), {count, rows.from, rows.to});
      const auto begin = static_cast<uint64_t>(tensor.offset + boxes.from() + row * rows.from) * element;
      const uint64_t size = static_cast<uint64_t>((count - 1) * rows.from + window.span) * element;
      char* const target = result + static_cast<uint64_t>(boxes.to() + row * rows.to) * element;
      if (box.empty() || (box.size() == 1 && box[0].from == 1 && box[0].to == 1)) {
        RETURN_IF_ERROR(read(begin, size, target));
        continue;
      }
      if (buffer == nullptr) {
        const int64_t most = (std::min(window.rows, rows.extent) - 1) * rows.from + window.span;
        buffer.reset(new char[static_cast<size_t>(most) * element]);
      }
      RETURN_IF_ERROR(read(begin, size, buffer.get()));
      PlaceBox(buffer.get(), box, element, target);
    }
  } while (boxes.Next());
  Repeat(tensor, element, result);
  return absl::OkStatus();
}

}  // namespace cubist
