#include "tools/interchange/name_tree.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/host_tensor.h"

namespace cubist {
namespace {

constexpr int kDeepest = 64;

// A number that an index of a module can be.
bool IsNumber(std::string_view label) {
  return !label.empty() && label.size() <= 9 && label.find_first_not_of("0123456789") == std::string_view::npos &&
         (label.size() == 1 || label[0] != '0');
}

int NumberOf(const std::string& label) { return std::stoi(label); }

// While names are put in: children by label.
struct Builder {
  NameTree* node;
  std::map<std::string, Builder, std::less<>> children;
};

void Put(const TreeTensor& tensor, Builder* at) {
  std::string_view rest = tensor.name;
  for (int depth = 0;; ++depth) {
    const size_t dot = depth + 1 < kDeepest ? rest.find('.') : std::string_view::npos;
    const std::string_view label = rest.substr(0, dot);
    auto found = at->children.find(label);
    if (found == at->children.end()) {
      at->node->children.push_back(std::make_unique<NameTree>());
      at->node->children.back()->label = std::string(label);
      found = at->children.emplace(std::string(label), Builder{at->node->children.back().get(), {}}).first;
    }
    at = &found->second;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  NameTree& leaf = *at->node;
  leaf.is_tensor = true;
  leaf.dtype = tensor.dtype;
  leaf.shape = tensor.shape;
  leaf.own = tensor.statistics;
}

// Adds what a node of the same structure sums up to.
void Merge(const NameTree& from, NameTree* into) {
  into->tensors += from.tensors;
  into->values += from.values;
  into->bytes += from.bytes;
  into->statistics.Add(from.statistics);
  into->own.Add(from.own);
  for (size_t i = 0; i < from.children.size(); ++i) Merge(*from.children[i], into->children[i].get());
}

// "{0..3,7}"
std::string RangesText(const std::vector<int>& numbers) {
  std::vector<std::string> ranges;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    ranges.push_back(last == first ? absl::StrCat(numbers[first])
                                   : absl::StrCat(numbers[first], last == first + 1 ? "," : "..", numbers[last]));
    first = last + 1;
  }
  return absl::StrCat("{", absl::StrJoin(ranges, ","), "}");
}

// Sums up, and folds numbered children of the same signature. Returns the node's own: names, dtypes, shapes of all
// below, with the length in front of each name so that no two read alike.
std::string Fold(NameTree* node) {
  node->statistics = node->own;
  if (node->is_tensor) {
    const uint64_t bytes = CheckedByteSize(node->dtype, node->shape).value_or(0);
    node->tensors = 1;
    node->bytes = bytes;
    node->values = static_cast<int64_t>(bytes / SizeOf(node->dtype));
  }
  auto& children = node->children;
  const bool all_numbers =
      std::all_of(children.begin(), children.end(), [](const auto& child) { return IsNumber(child->label); });
  if (all_numbers) {
    std::sort(children.begin(), children.end(),
              [](const auto& a, const auto& b) { return NumberOf(a->label) < NumberOf(b->label); });
  }
  std::string signature =
      node->is_tensor ? absl::StrCat(static_cast<int>(node->dtype), "[", absl::StrJoin(node->shape, ","), "]") : "";
  std::vector<std::unique_ptr<NameTree>> kept;
  std::map<std::string, std::pair<NameTree*, std::vector<int>>> folded;
  std::vector<std::pair<std::string, NameTree*>> signatures;
  for (auto& child : children) {
    std::string of_child = Fold(child.get());
    node->tensors += child->tensors;
    node->values += child->values;
    node->bytes += child->bytes;
    node->statistics.Add(child->statistics);
    if (IsNumber(child->label)) {
      auto& [first, numbers] = folded[of_child];
      numbers.push_back(NumberOf(child->label));
      if (first != nullptr) {
        Merge(*child, first);
        continue;
      }
      first = child.get();
    }
    signatures.emplace_back(std::move(of_child), child.get());
    kept.push_back(std::move(child));
  }
  for (auto& [unused, of] : folded) {
    auto& [first, numbers] = of;
    std::sort(numbers.begin(), numbers.end());
    if (numbers.size() > 1) first->label = RangesText(numbers);
  }
  for (const auto& [text, child] : signatures) {
    absl::StrAppend(&signature, "(", child->label.size(), ":", child->label, text, ")");
  }
  children = std::move(kept);
  return signature;
}

// Joins each node with its only child.
void Join(NameTree* node) {
  for (auto& child : node->children) {
    while (!child->is_tensor && child->children.size() == 1) {
      std::unique_ptr<NameTree> only = std::move(child->children[0]);
      only->label = absl::StrCat(child->label, ".", only->label);
      child = std::move(only);
    }
    Join(child.get());
  }
}

}  // namespace

NameTree MakeNameTree(const std::vector<TreeTensor>& tensors) {
  NameTree root;
  Builder builder{&root, {}};
  for (const TreeTensor& tensor : tensors) Put(tensor, &builder);
  Fold(&root);
  Join(&root);
  return root;
}

}  // namespace cubist
