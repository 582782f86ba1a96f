// The text behind `train --explain PATH`.
#ifndef CUBIST_CONFIGS_EXPLAIN_H_
#define CUBIST_CONFIGS_EXPLAIN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "configs/loader.h"

namespace cubist {

// Of a scalar or list: its type, unit, allowed values, default, what it is for, what changing it on
// resume means, and, given an experiment, the present value and where it comes from. Of a message:
// that, and a table of its fields. "" explains the whole experiment. `experiment` may be null.
// Errors: a ConfigError with the nearest names when the schema has no such path.
absl::StatusOr<std::string> Explain(const ValidatedExperiment* experiment, std::string_view path);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_EXPLAIN_H_
