#include "data_process/scenes/intrinsics.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

absl::StatusOr<Intrinsics> IntrinsicsFrom(const HostTensor& tensor, std::string_view what) {
  Intrinsics intrinsics{};
  bool good = tensor.dtype() == DType::kFloat64 && tensor.shape() == std::vector<int64_t>{6};
  if (good) {
    std::copy(tensor.data<double>(), tensor.data<double>() + 6, intrinsics.begin());
    good = std::all_of(intrinsics.begin(), intrinsics.end(), [](double value) { return std::isfinite(value); });
    for (const int positive : {0, 1, 4, 5}) good = good && intrinsics[static_cast<size_t>(positive)] > 0;
  }
  if (good) return intrinsics;
  return DataError(absl::StrCat(std::string(what),
                                ": intrinsics must be float64[6], fx, fy, cx, cy, width, height, with positive focal "
                                "lengths and sizes, found ",
                                tensor.Describe()));
}

Intrinsics ScaleIntrinsics(const Intrinsics& k, int64_t width, int64_t height) {
  const double x = static_cast<double>(width) / k[4], y = static_cast<double>(height) / k[5];
  return {k[0] * x, k[1] * y, k[2] * x, k[3] * y, static_cast<double>(width), static_cast<double>(height)};
}

}  // namespace cubist
