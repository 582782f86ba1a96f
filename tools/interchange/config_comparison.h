// What differs between the configs of two checkpoints.
#ifndef CUBIST_TOOLS_INTERCHANGE_CONFIG_COMPARISON_H_
#define CUBIST_TOOLS_INTERCHANGE_CONFIG_COMPARISON_H_

#include <string>
#include <vector>

#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// A line a difference: "learning_rate.initial: 0.0001 -> 0.0002", made fit for a terminal. Fields where both configs
// can be read, without the run's name, else lines of their texts. Empty where they are the same, or neither has one.
std::vector<std::string> CompareConfigs(const CheckpointDescription& old_one, const CheckpointDescription& new_one);

// The name in a config; empty if it cannot be read.
std::string ConfigName(const std::string& config_text);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CONFIG_COMPARISON_H_
