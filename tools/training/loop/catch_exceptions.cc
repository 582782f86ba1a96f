#include "tools/training/loop/catch_exceptions.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace cubist {

absl::Status CatchExceptions(const std::function<absl::Status()>& body) {
  try {
    return body();
  } catch (const c10::OutOfMemoryError& error) {
    std::string reason = error.what_without_backtrace();
    // What follows is advice for programs in Python.
    reason.resize(std::min(reason.size(), reason.find(" If reserved but unallocated memory is large")));
    return ConfigError(absl::StrCat(
        "the GPU's memory does not suffice: ", absl::StripPrefix(reason, "CUDA out of memory. "),
        "\nmake batch.per_gpu smaller (batch.accumulate costs no memory), take training.precision BF16, or "
        "make the model smaller"));
  } catch (const c10::Error& error) {
    return InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return InternalError(error.what());
  }
}

}  // namespace cubist
