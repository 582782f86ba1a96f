#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/npy.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  NpyLimits limits;
  limits.max_array_bytes = kFuzzBytes;
  const auto array = ParseNpy(bytes, kFuzzName, limits);
  if (!Accepted(array.status())) return false;
  Walk(*array);
  Require(array->byte_size() < bytes.size(), "an array is as large as its data");
  const auto again = ParseNpy(FormatNpy(*array), kFuzzName, limits);
  Require(again.ok() && SameArray(*again, *array), "an array that is written is read again");
  return true;
}

}  // namespace cubist
