// What changed between the config that a run was started with and the one it is resumed with.
#ifndef CUBIST_CONFIGS_RESUME_COMPARISON_H_
#define CUBIST_CONFIGS_RESUME_COMPARISON_H_

#include <string>
#include <vector>

#include "configs/proto/experiment.pb.h"
#include "configs/proto/field_options.pb.h"

namespace cubist {

struct FieldDifference {
  std::string path;       // of a scalar or a whole list: "data.crop_min"
  std::string old_value;  // as in the canonical text; "(not set)" when absent
  std::string new_value;
  OnResume rule;  // FATAL: refuse; WARN: say so and go on; FREE: nothing to say
};

// Every field that differs, in the order of field numbers. The rule is the field's own on_resume, else
// that of the nearest message field above it that states one, else FATAL. Both should come from
// ValidatedExperiment::proto(): a default that is written out does not differ from the same one that is
// not.
std::vector<FieldDifference> CompareForResume(const Experiment& stored, const Experiment& now);

// "data.crop_min: [1, 2, 3] when the run started, [1, 2, 4] now", one line a difference of this rule;
// "" when there is none.
std::string DescribeDifferences(const std::vector<FieldDifference>& differences, OnResume rule);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_RESUME_COMPARISON_H_
