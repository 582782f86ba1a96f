#include "tools/interchange/checkpoint_difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/config_comparison.h"
#include "tools/interchange/tensor_elements.h"

namespace cubist {
namespace {

constexpr size_t kLongestValue = 60;

std::vector<int64_t> IndexOf(int64_t element, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t d = shape.size(); d-- > 0; element /= shape[d]) index[d] = element % shape[d];
  return index;
}

// |a - b| of values that differ.
template <typename T>
double Distance(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<double>(a > b ? static_cast<uint64_t>(a) - static_cast<uint64_t>(b)
                                     : static_cast<uint64_t>(b) - static_cast<uint64_t>(a));
  } else {
    const double distance = std::fabs(static_cast<double>(a) - static_cast<double>(b));
    return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
  }
}

// Elements `begin` to `begin` + `count` of a tensor; `a` and `b` point at the first of these.
template <typename T>
void CompareElements(const T* a, const T* b, int64_t begin, int64_t count, const std::vector<int64_t>& shape,
                     ValueDifference* difference) {
  int64_t absolute_at = -1, relative_at = -1;
  for (int64_t i = 0; i < count; ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (a[i] == b[i] || (std::isnan(x) && std::isnan(y))) continue;
    ++difference->different;
    const double absolute = Distance(a[i], b[i]);
    const double relative = std::isinf(absolute) ? absolute : absolute / std::max(std::fabs(x), std::fabs(y));
    if (absolute > difference->absolute) {
      difference->absolute = absolute;
      absolute_at = i;
    }
    if (relative > difference->relative) {
      difference->relative = relative;
      relative_at = i;
    }
  }
  if (absolute_at >= 0) {
    difference->absolute_at = IndexOf(begin + absolute_at, shape);
    difference->a = static_cast<double>(a[absolute_at]);
    difference->b = static_cast<double>(b[absolute_at]);
  }
  if (relative_at >= 0) difference->relative_at = IndexOf(begin + relative_at, shape);
}

// Bytes from `offset` on of a tensor like `a`.
void ComparePiece(const HostTensor& a, uint64_t offset, std::string_view b, ValueDifference* difference) {
  const std::byte* first = a.bytes() + offset;
  if (b.empty() || std::memcmp(first, b.data(), b.size()) == 0) return;
  const auto element = static_cast<int64_t>(SizeOf(a.dtype()));
  WithElements(a, [&](const auto* elements) {
    using Element = std::remove_cv_t<std::remove_pointer_t<decltype(elements)>>;
    CompareElements(reinterpret_cast<const Element*>(first), reinterpret_cast<const Element*>(b.data()),
                    static_cast<int64_t>(offset) / element, static_cast<int64_t>(b.size()) / element, a.shape(),
                    difference);
  });
}

// Every field that is set, and every entry of a map, with its value.
std::map<std::string, std::string> FieldsOf(const checkpoint::TrainingState& state) {
  std::map<std::string, std::string> fields;
  const google::protobuf::Reflection& reflection = *state.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection.ListFields(state, &set);
  for (const google::protobuf::FieldDescriptor* field : set) {
    if (!field->is_map()) {
      fields[field->name()] = CanonicalFieldText(state, field);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(state, field); ++i) {
      const google::protobuf::Message& entry = reflection.GetRepeatedMessage(state, field, i);
      const auto of = [&entry](int number) {
        return CanonicalFieldText(entry, entry.GetDescriptor()->FindFieldByNumber(number));
      };
      fields[absl::StrCat(field->name(), "[", of(1), "]")] = of(2);
    }
  }
  return fields;
}

std::vector<std::string> CompareStates(const checkpoint::TrainingState& a, const checkpoint::TrainingState& b) {
  const std::map<std::string, std::string> old_fields = FieldsOf(a), new_fields = FieldsOf(b);
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [name, value] : old_fields) both[name] = {value, "(not set)"};
  for (const auto& [name, value] : new_fields) both.try_emplace(name, "(not set)", "").first->second.second = value;
  std::vector<std::string> lines;
  for (const auto& [name, values] : both) {
    if (values.first == values.second) continue;
    lines.push_back(absl::StrCat(Shortened(name, kLongestValue), ": ", Shortened(values.first, kLongestValue), " -> ",
                                 Shortened(values.second, kLongestValue)));
  }
  return lines;
}

// The first part of names in `with` without which most of them are in `without`; empty if there is none.
std::string CommonPrefix(const std::vector<ListedTensor>& with, const std::vector<ListedTensor>& without) {
  std::set<std::string> names;
  for (const ListedTensor& tensor : without) names.insert(tensor.group + "/" + tensor.name);
  std::map<std::string, size_t> matches;
  for (const ListedTensor& tensor : with) {
    const size_t dot = tensor.name.find('.');
    if (dot == std::string::npos || names.count(tensor.group + "/" + tensor.name.substr(dot + 1)) == 0) continue;
    if (const size_t count = ++matches[tensor.name.substr(0, dot + 1)]; 2 * count > with.size()) {
      return tensor.name.substr(0, dot + 1);
    }
  }
  return "";
}

std::string HintOf(const CheckpointDifference& difference) {
  for (const bool in_b : {false, true}) {
    const auto& with = in_b ? difference.only_in_b : difference.only_in_a;
    const auto& without = in_b ? difference.only_in_a : difference.only_in_b;
    const std::string prefix = CommonPrefix(with, without);
    if (prefix.empty()) continue;
    return absl::StrCat("most names that only ", in_b ? "B" : "A", " has are those of ", in_b ? "A" : "B", " with \"",
                        Shortened(prefix, kLongestValue), "\" in front");
  }
  return "";
}

std::string NameOf(const ListedTensor& tensor) {
  return absl::StrCat(Escaped(tensor.group), "/", Escaped(tensor.name));
}

std::string PlaceText(const std::vector<int64_t>& index) {
  return index.empty() ? "" : absl::StrCat(" at [", absl::StrJoin(index, ", "), "]");
}

void AppendList(const std::string& title, const std::vector<std::string>& lines, std::string* text) {
  if (lines.empty()) return;
  absl::StrAppend(text, "\n", title, ":\n  ", absl::StrJoin(lines, "\n  "), "\n");
}

// What only one side has; a group that the other lacks altogether in one line.
void AppendOnly(const std::string& title, const std::vector<ListedTensor>& tensors,
                const std::set<std::string>& groups_of_other, std::string* text) {
  std::map<std::string, std::pair<int64_t, uint64_t>> groups;
  std::vector<std::string> lines;
  for (const ListedTensor& tensor : tensors) {
    if (groups_of_other.count(tensor.group) == 0) {
      ++groups[tensor.group].first;
      groups[tensor.group].second += tensor.bytes();
    } else {
      lines.push_back(absl::StrCat(NameOf(tensor), "  ", TypeText(tensor.dtype, tensor.shape)));
    }
  }
  for (const auto& [group, sum] : groups) {
    lines.push_back(
        absl::StrCat("the group ", Escaped(group), ": ", TensorsText(sum.first), ", ", BytesText(sum.second)));
  }
  AppendList(title, lines, text);
}

Json TensorJson(const ListedTensor& tensor) {
  return {{"group", tensor.group},
          {"name", tensor.name},
          {"dtype", std::string(Name(tensor.dtype))},
          {"shape", tensor.shape}};
}

Json TensorsJson(const std::vector<ListedTensor>& tensors) {
  Json json = Json::array();
  for (const ListedTensor& tensor : tensors) json.push_back(TensorJson(tensor));
  return json;
}

}  // namespace

ValueDifference CompareValues(const HostTensor& a, const HostTensor& b) {
  ValueDifference difference;
  difference.count = a.size();
  ComparePiece(a, 0, std::string_view(reinterpret_cast<const char*>(b.bytes()), b.byte_size()), &difference);
  return difference;
}

absl::StatusOr<CheckpointDifference> CompareCheckpoints(const AnyCheckpoint& a, const AnyCheckpoint& b,
                                                        double tolerance, const BytesProgress& progress) {
  CheckpointDifference difference;
  difference.a = a.description();
  difference.b = b.description();
  std::vector<std::pair<size_t, size_t>> shared;
  int64_t total = 0, done = 0;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const ListedTensor& tensor = a.tensors()[i];
    const std::optional<size_t> other = b.Find(tensor.group, tensor.name);
    if (!other.has_value()) {
      difference.only_in_a.push_back(tensor);
    } else if (const ListedTensor& second = b.tensors()[*other];
               tensor.dtype != second.dtype || tensor.shape != second.shape) {
      difference.types.push_back({tensor, second});
    } else {
      shared.emplace_back(i, *other);
      total += static_cast<int64_t>(tensor.bytes());
    }
  }
  for (const ListedTensor& tensor : a.tensors()) difference.groups_of_a.insert(tensor.group);
  for (const ListedTensor& tensor : b.tensors()) {
    difference.groups_of_b.insert(tensor.group);
    if (!a.Find(tensor.group, tensor.name).has_value()) difference.only_in_b.push_back(tensor);
  }
  for (const auto& [i, j] : shared) {
    ASSIGN_OR_RETURN(const HostTensor first, a.Read(i));
    ValueDifference values;
    values.count = first.size();
    uint64_t at = 0;
    // Pieces are whole elements: they are cut at powers of two.
    RETURN_IF_ERROR(b.Stream(j, [&](std::string_view piece) -> absl::Status {
      if (piece.size() % SizeOf(first.dtype()) != 0 || piece.size() > first.byte_size() - at) {
        return InternalError("a piece of a tensor that ends within an element");
      }
      ComparePiece(first, at, piece, &values);
      at += piece.size();
      return absl::OkStatus();
    }));
    if (values.different == 0) {
      ++difference.equal;
    } else if (values.absolute <= tolerance) {
      ++difference.within_tolerance;
      difference.largest_within = std::max(difference.largest_within, values.absolute);
    } else {
      difference.changed.push_back({a.tensors()[i], std::move(values)});
    }
    done += static_cast<int64_t>(first.byte_size());
    if (progress) RETURN_IF_ERROR(progress(done, total));
  }
  // Weights alone tell nothing of a run.
  const auto tells = [](const CheckpointDescription& of) {
    return of.state.has_samples_consumed() || !of.config_text.empty();
  };
  if (tells(difference.a) && tells(difference.b)) {
    difference.config = CompareConfigs(difference.a, difference.b);
    difference.state = CompareStates(difference.a.state, difference.b.state);
  }
  difference.hint = HintOf(difference);
  return difference;
}

std::string DifferenceText(const CheckpointDifference& difference) {
  const auto size = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  std::string text;
  for (const auto& [letter, description] : {std::pair("A", &difference.a), std::pair("B", &difference.b)}) {
    absl::StrAppend(&text, letter, "  ", description->path, "\n   ", OneLine(*description), "\n");
  }
  absl::StrAppend(&text, "\nequal: ", TensorsText(difference.equal), ", changed: ", CountText(size(difference.changed)),
                  ", of another dtype or shape: ", CountText(size(difference.types)),
                  ", only in A: ", CountText(size(difference.only_in_a)),
                  ", only in B: ", CountText(size(difference.only_in_b)), "\n");
  if (difference.within_tolerance > 0) {
    absl::StrAppend(&text, "within the tolerance: ", TensorsText(difference.within_tolerance), ", by ",
                    NumberText(difference.largest_within), " at most\n");
  }
  if (difference.same()) {
    absl::StrAppend(&text, "config and state of the run: equal\n");
    return text;
  }
  if (!difference.hint.empty()) absl::StrAppend(&text, "hint: ", difference.hint, "\n");
  AppendOnly("only in A", difference.only_in_a, difference.groups_of_b, &text);
  AppendOnly("only in B", difference.only_in_b, difference.groups_of_a, &text);
  std::vector<std::string> lines;
  for (const CheckpointDifference::Typed& pair : difference.types) {
    lines.push_back(absl::StrCat(NameOf(pair.a), "  ", TypeText(pair.a.dtype, pair.a.shape), " -> ",
                                 TypeText(pair.b.dtype, pair.b.shape)));
  }
  AppendList("of another dtype or shape", lines, &text);
  lines.clear();
  for (const CheckpointDifference::Changed& changed : difference.changed) {
    const ValueDifference& values = changed.values;
    lines.push_back(absl::StrCat(NameOf(changed.tensor), "  ", CountText(values.different), " of ",
                                 CountText(values.count), " values\n    by ", NumberText(values.absolute), " at most",
                                 PlaceText(values.absolute_at),
                                 absl::StrFormat(": %.9g -> %.9g; relative ", values.a, values.b),
                                 NumberText(values.relative), PlaceText(values.relative_at)));
  }
  AppendList("changed", lines, &text);
  AppendList("config", difference.config, &text);
  AppendList("state of the run", difference.state, &text);
  return text;
}

std::string DifferenceJson(const CheckpointDifference& difference) {
  Json json = {{"same", difference.same()},
               {"a", DescriptionJson(difference.a)},
               {"b", DescriptionJson(difference.b)},
               {"equal", difference.equal},
               {"within_tolerance", difference.within_tolerance},
               {"largest_within_tolerance", difference.largest_within},
               {"only_in_a", TensorsJson(difference.only_in_a)},
               {"only_in_b", TensorsJson(difference.only_in_b)},
               {"other_dtype_or_shape", Json::array()},
               {"changed", Json::array()},
               {"config", difference.config},
               {"state", difference.state}};
  for (const CheckpointDifference::Typed& pair : difference.types) {
    json["other_dtype_or_shape"].push_back({{"a", TensorJson(pair.a)}, {"b", TensorJson(pair.b)}});
  }
  for (const CheckpointDifference::Changed& changed : difference.changed) {
    const ValueDifference& values = changed.values;
    Json entry = TensorJson(changed.tensor);
    entry["values"] = values.count;
    entry["different"] = values.different;
    entry["absolute"] = values.absolute;
    entry["absolute_at"] = values.absolute_at;
    entry["relative"] = values.relative;
    entry["relative_at"] = values.relative_at;
    entry["a"] = values.a;
    entry["b"] = values.b;
    json["changed"].push_back(std::move(entry));
  }
  if (!difference.hint.empty()) json["hint"] = difference.hint;
  return JsonText(json);
}

}  // namespace cubist
