// JSON text from files, without exceptions and with limits.
#ifndef CUBIST_DATA_PROCESS_FORMATS_JSON_H_
#define CUBIST_DATA_PROCESS_FORMATS_JSON_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace cubist {

struct JsonLimits {
  size_t max_bytes = size_t{1} << 30;
  int max_depth = 64;
  size_t max_values = 50000000;
};

// `what` names the file and member in messages. Errors: DataError with the offset: anything that RFC
// 8259 does not allow (so also NaN and comments), a repeated key in an object, numbers too large for
// a double, text that is not UTF-8, the limits.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view bytes, std::string_view what, const JsonLimits& limits = {});

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_JSON_H_
