// The command line of `train`.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_TRAIN_FLAGS_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_TRAIN_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/loop/step_range.h"

namespace cubist {

// As typed: paths are relative to the folder the user stands in.
struct TrainFlags {
  std::string config;  // path; empty only with --explain and no config
  std::string run_dir;
  std::string run_name;  // --wname
  std::string log_dir;
  std::vector<FieldFlag> fields;  // flags that stand for one field of the config
  std::vector<std::string> set;   // --set path=value
  std::string device = "auto";    // cpu, cuda, auto
  std::optional<int> gpus;
  std::string init_from;
  std::string resume_from;
  bool fresh = false;
  bool allow_fallback = false;
  bool dry_run = false;
  bool preflight = false;
  std::optional<StepRange> profile_steps;
  int64_t replay_step = 0;  // 0: none
  bool print_config = false;
  std::optional<std::string> explain;  // "": the whole schema
  std::string help;                    // not empty: the text that --help asks for; nothing else is set
};

// ConfigError for unknown flags, missing or wrong values; it points at --help.
absl::StatusOr<TrainFlags> ParseTrainFlags(int argc, const char* const* argv);

// The experiment that the flags describe: config, then flags of fields, then --set. Errors: see LoadExperiment().
absl::StatusOr<ValidatedExperiment> LoadExperimentOf(const TrainFlags& flags);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_TRAIN_FLAGS_H_
