// Exceptions, which LibTorch throws, as statuses.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_CATCH_EXCEPTIONS_H_
#define CUBIST_TOOLS_TRAINING_LOOP_CATCH_EXCEPTIONS_H_

#include <functional>

#include "absl/status/status.h"

namespace cubist {

// What `body` returns; where it throws, a ConfigError that says what to change if a GPU's memory does not suffice, else
// an InternalError.
absl::Status CatchExceptions(const std::function<absl::Status()>& body);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_CATCH_EXCEPTIONS_H_
