#include "tools/training/logging/telemetry_errors.h"

#include <cstdio>

namespace cubist {

bool TelemetryErrors::Check(const absl::Status& status) {
  if (status.ok()) return true;
  if (count_++ == 0) {
    const std::string line = "some metrics cannot be written; training goes on: " + std::string(status.message());
    if (warn_) {
      warn_(line);
    } else {
      std::fprintf(stderr, "warning: %s\n", line.c_str());
    }
  }
  return false;
}

}  // namespace cubist
