#include "tools/interchange/weights_match.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace cubist {
namespace {

std::string ListSome(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  const auto shown = std::vector<std::string>(names.begin(), names.begin() + std::min(kShown, names.size()));
  return absl::StrCat(absl::StrJoin(shown, ", "),
                      names.size() > kShown ? absl::StrCat(" and ", names.size() - kShown, " more") : "");
}

}  // namespace

absl::StatusOr<std::map<std::string, size_t>> MatchWeights(const AnyCheckpoint& source,
                                                           const std::vector<WantedTensor>& wanted,
                                                           const std::vector<std::string>& prefixes) {
  const auto find = [&source](const std::string& name) { return source.Find("model", name); };
  std::string prefix;
  for (const std::string& candidate : prefixes) {
    if (!wanted.empty() && !find(wanted[0].name) && find(candidate + wanted[0].name)) prefix = candidate;
  }
  std::map<std::string, size_t> match;
  std::vector<std::string> missing, left_over;
  std::set<size_t> used;
  for (const WantedTensor& tensor : wanted) {
    if (const std::optional<size_t> found = find(prefix + tensor.name)) {
      match[tensor.name] = *found;
      used.insert(*found);
    } else {
      missing.push_back(tensor.name);
    }
  }
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const ListedTensor& tensor = source.tensors()[i];
    if (tensor.group == "model" && absl::StartsWith(tensor.name, prefix) && used.count(i) == 0) {
      left_over.push_back(tensor.name);
    }
  }
  if (missing.empty() && left_over.empty()) return match;
  return DataError(absl::StrCat(source.description().path, ": these are not the weights of this model: ", match.size(),
                                " of ", wanted.size(), " tensors are there",
                                missing.empty() ? "" : absl::StrCat("; missing: ", ListSome(missing)),
                                left_over.empty() ? "" : absl::StrCat("; left over: ", ListSome(left_over)),
                                ". Start with the config that they were trained with"));
}

}  // namespace cubist
