#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/fuzz/pickle_walk.h"
#include "data_process/formats/pickle.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  const auto root = ParsePickle(bytes, kFuzzName, FuzzPickleLimits());
  if (!Accepted(root.status())) return false;
  WalkPickle(*root);
  return true;
}

}  // namespace cubist
