// Which of the models that a config can name this version trains. No LibTorch, so that the front can ask.
#ifndef CUBIST_TOOLS_TASKS_BUILT_MODELS_H_
#define CUBIST_TOOLS_TASKS_BUILT_MODELS_H_

#include "absl/status/status.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// ConfigError that names the model if this version cannot train it. `experiment` is validated.
absl::Status CheckModelIsBuilt(const Experiment& experiment);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_BUILT_MODELS_H_
