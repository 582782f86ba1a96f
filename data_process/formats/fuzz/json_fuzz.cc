#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/json.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  JsonLimits limits;
  limits.max_bytes = kFuzzBytes;
  limits.max_values = 10000;
  const auto value = ParseJson(bytes, kFuzzName, limits);
  if (!Accepted(value.status())) return false;
  // The library's own parser, which knows no limits, is the oracle for what is JSON.
  Require(nlohmann::json::accept(bytes), "what is read is JSON");
  const auto again = ParseJson(value->dump(), kFuzzName, limits);
  Require(again.ok() && *again == *value, "a value that is written is read again");
  return true;
}

}  // namespace cubist
