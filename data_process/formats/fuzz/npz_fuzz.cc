#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/npz.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  NpzLimits limits;
  limits.max_total_bytes = kFuzzBytes;
  limits.max_members = 1000;
  const auto arrays = ParseNpz(bytes, kFuzzName, limits);
  if (!Accepted(arrays.status())) return false;
  uint64_t total = 0;
  for (const auto& [name, array] : *arrays) {
    Walk(array);
    total += array.byte_size();
  }
  Require(total <= limits.max_total_bytes, "the arrays are within their limit");
  const auto written = FormatNpz({arrays->begin(), arrays->end()});
  // Names that our writer refuses (an empty one) are read all the same.
  if (!written.ok()) return true;
  const auto again = ParseNpz(*written, kFuzzName);
  Require(again.ok() && again->size() == arrays->size(), "arrays that are written are read again");
  for (const auto& [name, array] : *arrays) Require(SameArray(again->at(name), array), "an array comes back");
  return true;
}

}  // namespace cubist
