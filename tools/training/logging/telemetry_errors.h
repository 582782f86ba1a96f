// Telemetry never fails a step: what goes wrong with it becomes one warning and a count.
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_TELEMETRY_ERRORS_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_TELEMETRY_ERRORS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace cubist {

class TelemetryErrors {
 public:
  // `warn` takes the one warning; without one it goes to stderr.
  explicit TelemetryErrors(std::function<void(const std::string&)> warn = nullptr) : warn_(std::move(warn)) {}

  // Counts `status` if it is an error, and warns of the first. Returns whether it was OK.
  bool Check(const absl::Status& status);
  // Writes that failed so far.
  int64_t count() const { return count_; }

 private:
  std::function<void(const std::string&)> warn_;
  int64_t count_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_TELEMETRY_ERRORS_H_
