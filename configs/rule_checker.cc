#include "configs/rule_checker.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"

namespace cubist {
namespace {

const std::array<const char*, 3> kAxes = {"forward", "left", "up"};

}  // namespace

bool SameLength(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)); }

RuleChecker::RuleChecker(const LayeredConfig& config, Diagnostics* diagnostics)
    : config_(config), experiment_(static_cast<const Experiment&>(*config.message)), diagnostics_(diagnostics) {}

void RuleChecker::Violation(const std::string& path, std::string message, std::vector<std::string> notes) {
  ViolationAt(config_.PlaceOf(path), path, std::move(message), std::move(notes));
}

void RuleChecker::ViolationAt(const Place& place, const std::string& path, std::string message,
                              std::vector<std::string> notes) {
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  if (resolved.ok() && !resolved.fields.empty()) notes.push_back(FieldSummary(resolved.fields.back(), path));
  diagnostics_->Add(place, std::move(message), std::move(notes));
}

std::string RuleChecker::ValueNote(const std::string& path) const {
  const google::protobuf::Message* message = &experiment_;
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
    message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
  }
  const auto entry = config_.places.find(path);
  const std::string origin = entry == config_.places.end() ? "default" : OriginText(entry->second.statement);
  return absl::StrCat(path, " is ", CanonicalFieldText(*message, resolved.fields.back()), " (", origin, ")");
}

bool RuleChecker::Given(const std::string& path, int size, const std::string& because) {
  if (size > 0 || !Sound({path})) return size > 0;
  Violation(path, absl::StrCat(path, " is missing", because.empty() ? "" : ", ", because));
  return false;
}

bool RuleChecker::Given(const std::string& path, const std::string& value, const std::string& because) {
  return Given(path, value.empty() ? 0 : 1, because);
}

void RuleChecker::CheckDistinct(const std::string& path, const std::vector<std::string>& elements) {
  std::set<std::string> seen;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (seen.insert(elements[i]).second) continue;
    ViolationAt(config_.PlaceOfElement(path, static_cast<int>(i)), path,
                absl::StrCat(path, " has ", elements[i], " twice"));
  }
}

void RuleChecker::NeedAttribute(const std::string& attribute, const std::string& because, const Place& place) {
  const auto& attributes = data().attributes();
  if (std::count(attributes.begin(), attributes.end(), attribute) > 0) return;
  ViolationAt(place, "data.attributes", absl::StrCat("data.attributes lacks \"", attribute, "\", ", because));
}

void RuleChecker::CheckGroups(const std::string& path, int64_t channels, const std::string& what,
                              const std::string& groups_path, int64_t groups) {
  if (channels < 1 || groups < 1 || channels < groups || channels % groups == 0) return;
  Violation(path, absl::StrCat(what, " is ", channels, " channels, which ", groups, " groups do not divide"),
            {ValueNote(groups_path)});
}

void RuleChecker::CheckDivides(const std::string& path, int64_t number, const std::string& what,
                               const std::string& divisor_path, int64_t divisor) {
  if (divisor < 1 || number % divisor == 0) return;
  Violation(path, absl::StrCat(what, " is ", number, ", which ", divisor_path, ", ", divisor, ", does not divide"),
            {ValueNote(divisor_path)});
}

void RuleChecker::CheckOrder(const std::string& low_path, double low, const std::string& high_path, double high) {
  if (low < high || !Sound({low_path, high_path})) return;
  Violation(high_path,
            absl::StrCat(high_path, ", ", ShortestNumber(high), ", is not above ", low_path, ", ", ShortestNumber(low)),
            {ValueNote(low_path), ValueNote(high_path)});
}

std::string RuleChecker::CropText(int axis) const {
  return absl::StrCat("the crop of ", ShortestNumber(data().crop_min(axis)), " to ",
                      ShortestNumber(data().crop_max(axis)), " m (", kAxes[axis], ")");
}

bool RuleChecker::ReportAxes(const std::map<int, std::string>& messages, const std::vector<std::string>& value_paths) {
  if (messages.empty()) return true;
  const std::string path = "data.crop_max";
  std::vector<std::string> notes;
  for (auto entry = std::next(messages.begin()); entry != messages.end(); ++entry) {
    notes.push_back("and " + entry->second);
  }
  for (const std::string& value_path : value_paths) notes.push_back(ValueNote(value_path));
  const bool one = messages.size() == 1;
  ViolationAt(one ? config_.PlaceOfElement(path, messages.begin()->first) : config_.PlaceOf(path), path,
              messages.begin()->second, std::move(notes));
  return false;
}

double RuleChecker::CropVoxels(int axis) const {
  return (data().crop_max(axis) - data().crop_min(axis)) / data().voxel_size();
}

bool RuleChecker::CheckCrop() {
  if (experiment_.task_case() != Experiment::TASK_NOT_SET) {
    Given("data.crop_min", data().crop_min_size());
    Given("data.crop_max", data().crop_max_size());
  }
  if (data().crop_jitter() && data().crop_jitter_range_size() == 0 &&
      Sound({"data.crop_jitter", "data.crop_jitter_range"})) {
    Violation("data.crop_jitter", "data.crop_jitter needs data.crop_jitter_range");
  }
  if (data().crop_min_size() != 3 || data().crop_max_size() != 3 || !Sound({"data.crop_min", "data.crop_max"})) {
    return false;
  }
  std::map<int, std::string> wrong;
  for (int axis = 0; axis < 3; ++axis) {
    if (!(data().crop_max(axis) > data().crop_min(axis))) wrong[axis] = CropText(axis) + " is empty";
  }
  if (!ReportAxes(wrong, {"data.crop_min", "data.crop_max"}) || !Sound({"data.voxel_size"})) return false;
  for (int axis = 0; axis < 3; ++axis) {
    const double voxels = CropVoxels(axis);
    if (SameLength(voxels, std::round(voxels)) && std::round(voxels) >= 1) continue;
    wrong[axis] =
        absl::StrCat(CropText(axis), " is no whole number of voxels of ", ShortestNumber(data().voxel_size()), " m");
  }
  return ReportAxes(wrong, {"data.crop_min", "data.voxel_size"});
}

}  // namespace cubist
