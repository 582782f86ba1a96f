#include "tools/training/communicator/rank_agreement.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/training/checkpoint/hashes.h"
#include "tools/training/communicator/gather_strings.h"

namespace cubist {
namespace {

constexpr size_t kNamedTensors = 3;
constexpr size_t kHexDigits = 32;

std::string Ranks(const std::vector<int>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ", absl::StrJoin(ranks, ", "));
}

// The ranks that have the same value, largest group first, of equally large ones that of the lowest rank.
using Groups = std::vector<std::pair<std::string, std::vector<int>>>;
Groups GroupByValue(const std::vector<std::string>& values) {
  Groups groups;
  for (size_t rank = 0; rank < values.size(); ++rank) {
    auto found =
        std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == values[rank]; });
    if (found == groups.end()) found = groups.insert(groups.end(), {values[rank], {}});
    found->second.push_back(static_cast<int>(rank));
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  return groups;
}

// "rank 2 deviates from the others", or without a majority "rank 0 and rank 1 differ".
std::string WhoDiffers(const Groups& groups, size_t ranks_in_all) {
  if (2 * groups[0].second.size() > ranks_in_all) {
    std::vector<int> deviating;
    for (size_t i = 1; i < groups.size(); ++i) {
      deviating.insert(deviating.end(), groups[i].second.begin(), groups[i].second.end());
    }
    std::sort(deviating.begin(), deviating.end());
    return absl::StrCat(Ranks(deviating), deviating.size() == 1 ? " deviates" : " deviate", " from the others");
  }
  std::vector<std::string> parts;
  for (const auto& [value, ranks] : groups) parts.push_back(Ranks(ranks));
  return absl::StrCat(absl::StrJoin(parts, " and "), " differ");
}

}  // namespace

absl::Status AgreeOnFields(Communicator& communicator, const std::vector<std::pair<std::string, std::string>>& fields) {
  constexpr char kSeparator = '\0';
  std::string text;
  for (const auto& [name, value] : fields) text += name + kSeparator + value + kSeparator;
  ASSIGN_OR_RETURN(const std::vector<std::string> texts, GatherStrings(communicator, text));

  // Name -> value of each rank.
  std::map<std::string, std::vector<std::string>> table;
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    const std::vector<std::string> parts = absl::StrSplit(texts[rank], kSeparator);
    for (size_t i = 0; i + 1 < parts.size(); i += 2) {
      table.try_emplace(parts[i], texts.size(), "(nothing)").first->second[rank] = parts[i + 1];
    }
  }
  std::string lines;
  for (const auto& [name, values] : table) {
    const Groups groups = GroupByValue(values);
    if (groups.size() == 1) continue;
    absl::StrAppend(&lines, "\n  ", name, ":");
    for (const auto& [value, ranks] : groups) {
      absl::StrAppend(&lines, lines.back() == ':' ? " " : "; ", Ranks(ranks), ranks.size() == 1 ? " has " : " have ",
                      value);
    }
  }
  if (lines.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("the ranks of this run were not started alike:", lines,
                                  "\nStart all of them with the same program, the same config and flags, and the same "
                                  "data; --print_config shows what a config resolves to"));
}

absl::Status CompareTensors(Communicator& communicator, int64_t step, const std::vector<NamedBytes>& tensors) {
  const int64_t world_size = communicator.world_size();
  if (world_size == 1) return absl::OkStatus();
  std::string hashes;
  for (const NamedBytes& tensor : tensors) hashes += Xxh3Hex(tensor.data, tensor.size);
  const std::string digest = Xxh3Hex(hashes.data(), hashes.size());
  const at::Tensor mine = at::empty({static_cast<int64_t>(digest.size())}, at::kByte);
  const at::Tensor all = at::empty({world_size, mine.numel()}, at::kByte);
  std::memcpy(mine.data_ptr(), digest.data(), digest.size());
  RETURN_IF_ERROR(communicator.AllGather(mine, all));
  bool equal = true;
  const auto* const bytes = static_cast<const char*>(all.data_ptr());
  for (int64_t rank = 0; rank < world_size; ++rank) {
    equal = equal && std::memcmp(bytes + rank * mine.numel(), bytes, digest.size()) == 0;
  }
  if (equal) return absl::OkStatus();

  ASSIGN_OR_RETURN(const std::vector<std::string> of_ranks, GatherStrings(communicator, hashes));
  std::vector<std::string> differing;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto hash = [&](const std::string& list) {
      return std::string_view(list).substr(std::min(i * kHexDigits, list.size()), kHexDigits);
    };
    if (std::any_of(of_ranks.begin(), of_ranks.end(),
                    [&](const std::string& other) { return hash(other) != hash(of_ranks[0]); })) {
      differing.push_back(tensors[i].name);
    }
  }
  const size_t count = differing.size();
  differing.resize(std::min(count, kNamedTensors));
  return PeerLostError(absl::StrCat("after step ", step, " the ranks no longer hold the same numbers: ",
                                    WhoDiffers(GroupByValue(of_ranks), of_ranks.size()), " in ", count, " of ",
                                    tensors.size(), " tensors: ", absl::StrJoin(differing, ", "),
                                    count > differing.size() ? ", ..." : "",
                                    ". A fault of a machine's memory or processor, ranks on unlike processors, or a "
                                    "bug of Cubist; started again, the "
                                    "run resumes from its latest checkpoint"));
}

}  // namespace cubist
