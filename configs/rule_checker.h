// What the rules of all models share: saying that fields do not fit together, at the place of one of them.
#ifndef CUBIST_CONFIGS_RULE_CHECKER_H_
#define CUBIST_CONFIGS_RULE_CHECKER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "configs/diagnostics.h"
#include "configs/layered_config.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// Rules look only at fields for which Sound() holds: those that are wrong already have a report of their own.
class RuleChecker {
 public:
  // The message of `config` must be an Experiment. Both must outlive this.
  RuleChecker(const LayeredConfig& config, Diagnostics* diagnostics);

  const LayeredConfig& config() const { return config_; }
  const Experiment& experiment() const { return experiment_; }
  const Data& data() const { return experiment_.data(); }
  bool Sound(const std::vector<std::string>& paths) const { return config_.Sound(paths); }
  size_t reports() const { return diagnostics_->size(); }

  // Reports `message` at the value of `path`, or at `place`, with `notes` and what the schema says about the field.
  void Violation(const std::string& path, std::string message, std::vector<std::string> notes = {});
  void ViolationAt(const Place& place, const std::string& path, std::string message,
                   std::vector<std::string> notes = {});

  // "data.voxel_size is 0.2 (recipe.textproto:12)", to say what a value was held against.
  std::string ValueNote(const std::string& path) const;

  // Whether a list that some model needs has elements; reports if not: "data.crop_min is missing", with `because`
  // after it.
  bool Given(const std::string& path, int size, const std::string& because = "");
  // The same for a text.
  bool Given(const std::string& path, const std::string& value, const std::string& because);

  // Reports an element that `path` has before; `text(i)` is how element i reads.
  void CheckDistinct(const std::string& path, const std::vector<std::string>& elements);

  // Reports that data.attributes lacks `attribute`, "which ... needs", at `place`.
  void NeedAttribute(const std::string& attribute, const std::string& because, const Place& place);

  // As in the reference, a group normalisation has the groups at `groups_path`, or one where there are fewer channels.
  // Reports at `path` when they do not divide `channels`, which `what` has.
  void CheckGroups(const std::string& path, int64_t channels, const std::string& what, const std::string& groups_path,
                   int64_t groups);
  // Reports at `path` when `divisor`, the value at `divisor_path`, does not divide `number`, which `what` has.
  void CheckDivides(const std::string& path, int64_t number, const std::string& what, const std::string& divisor_path,
                    int64_t divisor);
  // Reports at `high_path` when the two numbers, which the messages call by their paths, are not in order.
  void CheckOrder(const std::string& low_path, double low, const std::string& high_path, double high);

  // Reports crops that are missing, out of order or no whole number of voxels; true if there is one to go on with.
  bool CheckCrop();
  double CropVoxels(int axis) const;  // after CheckCrop
  // "the crop of -6.4 to 6.4 m (left)".
  std::string CropText(int axis) const;
  // One violation of data.crop_max for all axes that break the same rule; true if none does.
  bool ReportAxes(const std::map<int, std::string>& messages, const std::vector<std::string>& value_paths);

 private:
  const LayeredConfig& config_;
  const Experiment& experiment_;
  Diagnostics* diagnostics_;
};

// Relative: corners and voxel sizes are decimal fractions that binary numbers only come near to.
bool SameLength(double a, double b);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_RULE_CHECKER_H_
