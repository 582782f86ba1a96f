#include "tools/interchange/checkpoint_overview.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/config_comparison.h"
#include "tools/interchange/name_tree.h"

namespace cubist {
namespace {

constexpr size_t kColumns = 100, kHeaderWidth = 12, kNameWidth = 28, kTypeWidth = 26;

bool Matches(const std::string& name, const std::string& match) {
  if (match.find_first_of("*?[") != std::string::npos) return ::fnmatch(match.c_str(), name.c_str(), 0) == 0;
  return name.find(match) != std::string::npos;
}

const char* ValuesOf(const std::string& group) { return group == "optimizer" ? "values" : "parameters"; }

// A sentence of the header, broken between words.
std::string Wrapped(const std::string& sentence) {
  std::string text;
  size_t column = kHeaderWidth;
  for (const absl::string_view word : absl::StrSplit(sentence, ' ')) {
    if (!text.empty() && column + 1 + word.size() > kColumns) {
      absl::StrAppend(&text, "\n", std::string(kHeaderWidth, ' '));
      column = kHeaderWidth;
    } else if (!text.empty()) {
      text += ' ';
      ++column;
    }
    absl::StrAppend(&text, word);
    column += word.size();
  }
  return text;
}

std::string Header(const CheckpointOverview& overview) {
  const CheckpointDescription& description = overview.description;
  const checkpoint::TrainingState& state = description.state;
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    absl::StrAppend(&text, absl::StrFormat("%-11s %s\n", name, value));
  };
  line("checkpoint", description.path);
  line("format", Escaped(description.format_name));
  line("model", std::string(Name(overview.model)));
  if (state.has_step()) {
    const auto epoch = state.counters().find("reference/epoch");
    line("step", absl::StrCat(CountText(state.step()),
                              epoch == state.counters().end() ? "" : absl::StrCat(", epoch ", epoch->second),
                              state.has_samples_consumed()
                                  ? absl::StrCat(", ", CountText(state.samples_consumed()), " samples consumed")
                                  : "",
                              state.skipped_steps() > 0 ? absl::StrCat(", ", state.skipped_steps(), " skipped") : ""));
  }
  if (description.created.value_or(0) > 0) line("saved", TimeText(*description.created));
  if (!description.host.empty()) line("host", Escaped(description.host));
  if (!description.program_version.empty()) line("by", Escaped(description.program_version));
  line("identity", Escaped(description.identity));
  if (!description.config_text.empty() || !description.config_hash.empty()) {
    const std::string name = ConfigName(description.config_text);
    line("config", absl::StrCat(name.empty() ? "" : Escaped(name) + ", ",
                                description.config_hash.empty() ? "hash not known" : Escaped(description.config_hash)));
  }
  for (const checkpoint::Parent& parent : description.parents) line("parent", OneLine(parent));
  for (const auto& [metric, value] : std::map(state.best_metrics().begin(), state.best_metrics().end())) {
    const auto step = state.best_steps().find(metric);
    line("best", absl::StrCat(Escaped(metric), " ", absl::StrFormat("%.6g", value),
                              step == state.best_steps().end() ? "" : absl::StrCat(" at step ", step->second)));
  }
  for (const auto& [key, value] : description.metadata) {
    line("metadata", absl::StrCat(Shortened(key, 60), ": ", Shortened(value, 120)));
  }
  for (const std::string& remark : description.remarks) line("remark", Wrapped(Escaped(remark)));
  return text;
}

std::string StatisticsColumns(const TensorStatistics& statistics) {
  if (statistics.finite() == 0) return "";
  const double zeros = 100.0 * static_cast<double>(statistics.zeros) / static_cast<double>(statistics.count);
  // Only nothing is 0 %, and only everything 100 %.
  const double shown = zeros > 0 && zeros < 100 ? std::clamp(zeros, 1.0, 99.0) : zeros;
  return absl::StrFormat(" %9s %9s %9s %9s %3.0f%%", NumberText(statistics.min), NumberText(statistics.max),
                         NumberText(statistics.mean), NumberText(statistics.standard_deviation()), shown);
}

// What should be looked at; empty where nothing is.
std::string Mark(const TensorStatistics& statistics) {
  if (statistics.all_zeros()) return "all zeros";
  std::string mark;
  if (statistics.nans > 0) absl::StrAppend(&mark, CountText(statistics.nans), " NaN");
  if (statistics.infinities > 0) {
    absl::StrAppend(&mark, mark.empty() ? "" : ", ", CountText(statistics.infinities), " infinite");
  }
  return mark.empty() ? "" : absl::StrCat(mark, " of ", CountText(statistics.count));
}

class TreeText {
 public:
  TreeText(const OverviewOptions& options, const char* values) : options_(options), values_(values) {}

  std::string Draw(const NameTree& root) {
    for (const auto& child : root.children) DrawNode(*child, 1);
    return std::move(text_);
  }

 private:
  void DrawNode(const NameTree& node, int level) {
    const bool is_cut = options_.depth > 0 && level >= options_.depth && !node.children.empty();
    if (is_cut) {
      DrawRow(node.label, level, absl::StrCat(TensorsText(node.tensors), ", ", BytesText(node.bytes)), node.statistics);
      return;
    }
    if (node.is_tensor) {
      std::string type = TypeText(node.dtype, node.shape);
      if (!options_.statistics) {
        const auto bytes = CheckedByteSize(node.dtype, node.shape).value_or(0);
        type = absl::StrFormat("%-26s %14s %12s", type, CountText(static_cast<int64_t>(bytes / SizeOf(node.dtype))),
                               BytesText(bytes));
      }
      DrawRow(node.label, level, type, node.own);
    } else {
      DrawName(node.label, level);
      absl::StrAppend(&text_, TensorsText(node.tensors), ", ", CountText(node.values), " ", values_, ", ",
                      BytesText(node.bytes), "\n");
    }
    for (const auto& child : node.children) DrawNode(*child, level + 1);
  }

  void DrawName(const std::string& label, int level) {
    const std::string name = std::string(static_cast<size_t>(2 * level), ' ') + Escaped(label);
    absl::StrAppend(&text_, name);
    if (name.size() > kNameWidth) text_ += "\n";
    text_.append(name.size() > kNameWidth ? kNameWidth + 1 : kNameWidth + 1 - name.size(), ' ');
  }

  void DrawRow(const std::string& label, int level, const std::string& what, const TensorStatistics& statistics) {
    DrawName(label, level);
    const std::string columns = StatisticsColumns(statistics), mark = Mark(statistics);
    absl::StrAppend(&text_, what);
    if (!columns.empty()) {
      if (what.size() < kTypeWidth) text_.append(kTypeWidth - what.size(), ' ');
      absl::StrAppend(&text_, columns);
    }
    text_ += "\n";
    if (!mark.empty()) absl::StrAppend(&text_, std::string(static_cast<size_t>(2 * level), ' '), "! ", mark, "\n");
  }

  const OverviewOptions& options_;
  const char* const values_;
  std::string text_;
};

std::string SumLine(const std::string& name, const NameTree& sum, const char* values) {
  return absl::StrFormat("%-11s %s, %s %s, %s\n", Escaped(name), TensorsText(sum.tensors), CountText(sum.values),
                         values, BytesText(sum.bytes));
}

}  // namespace

absl::StatusOr<CheckpointOverview> LookAt(const AnyCheckpoint& checkpoint, const OverviewOptions& options,
                                          const BytesProgress& progress) {
  CheckpointOverview overview;
  overview.description = checkpoint.description();
  overview.of = checkpoint.tensors().size();
  std::vector<std::string> names;
  std::vector<size_t> chosen;
  int64_t total = 0, done = 0;
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const ListedTensor& tensor = checkpoint.tensors()[i];
    if (tensor.group == "model") names.push_back(tensor.name);
    if ((!options.group.empty() && tensor.group != options.group) || !Matches(tensor.name, options.match)) continue;
    chosen.push_back(i);
    total += static_cast<int64_t>(tensor.bytes());
  }
  overview.model = ModelOfNames(names);
  if (chosen.empty() && overview.of > 0) {
    return ConfigError(absl::StrCat(overview.description.path, ": none of its ", TensorsText(int64_t(overview.of)),
                                    options.group.empty() ? "" : absl::StrCat(" is in the group ", options.group),
                                    options.group.empty() || options.match.empty() ? "" : " and",
                                    options.match.empty() ? "" : absl::StrCat(" matches \"", options.match, "\"")));
  }
  for (const size_t i : chosen) {
    CheckpointOverview::Tensor tensor{checkpoint.tensors()[i], {}};
    if (options.statistics) {
      ASSIGN_OR_RETURN(const HostTensor values, checkpoint.Read(i));
      tensor.statistics = StatisticsOf(values);
      done += static_cast<int64_t>(values.byte_size());
      if (progress) RETURN_IF_ERROR(progress(done, total));
    }
    overview.tensors.push_back(std::move(tensor));
  }
  return overview;
}

std::string OverviewText(const CheckpointOverview& overview, const OverviewOptions& options) {
  std::string text = Header(overview), sums;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<TreeTensor>> by_group;
  int64_t not_finite = 0, all_zeros = 0;
  for (const CheckpointOverview::Tensor& tensor : overview.tensors) {
    const auto& [group, name, dtype, shape] = tensor.tensor;
    if (by_group.count(group) == 0) groups.push_back(group);
    by_group[group].push_back({name, dtype, shape, tensor.statistics});
    not_finite += tensor.statistics.finite() < tensor.statistics.count;
    all_zeros += tensor.statistics.all_zeros();
  }
  NameTree all;
  for (const std::string& group : groups) {
    const NameTree tree = MakeNameTree(by_group[group]);
    absl::StrAppend(&text, "\n", absl::StrFormat("%-28s %-26s", Escaped(group), ""));
    if (options.statistics) {
      absl::StrAppend(&text, absl::StrFormat(" %9s %9s %9s %9s %4s", "min", "max", "mean", "std", "0s"));
    } else {
      absl::StrAppend(&text, absl::StrFormat(" %14s %12s", ValuesOf(group), "bytes"));
    }
    absl::StrAppend(&text, "\n", TreeText(options, ValuesOf(group)).Draw(tree));
    absl::StrAppend(&sums, SumLine(group, tree, ValuesOf(group)));
    all.tensors += tree.tensors;
    all.values += tree.values;
    all.bytes += tree.bytes;
  }
  absl::StrAppend(&text, "\n", sums);
  if (groups.size() != 1) absl::StrAppend(&text, SumLine("all", all, "values"));
  if (overview.tensors.size() < overview.of) {
    absl::StrAppend(&text, "shown are ", TensorsText(int64_t(overview.tensors.size())), " of ",
                    CountText(int64_t(overview.of)), "\n");
  }
  if (not_finite > 0) absl::StrAppend(&text, "! with values that are not finite: ", TensorsText(not_finite), "\n");
  if (all_zeros > 0) absl::StrAppend(&text, "! all zeros: ", TensorsText(all_zeros), "\n");
  return text;
}

std::string OverviewJson(const CheckpointOverview& overview, const OverviewOptions& options) {
  Json json = DescriptionJson(overview.description);
  json["model"] = std::string(Name(overview.model));
  const std::string& config = overview.description.config_text;
  json["config_name"] = ConfigName(config);
  json["config"] = config;
  json["tensors"] = Json::array();
  for (const CheckpointOverview::Tensor& tensor : overview.tensors) {
    const auto bytes = tensor.tensor.bytes();
    Json entry = {{"group", tensor.tensor.group},
                  {"name", tensor.tensor.name},
                  {"dtype", std::string(Name(tensor.tensor.dtype))},
                  {"shape", tensor.tensor.shape},
                  {"count", bytes / SizeOf(tensor.tensor.dtype)},
                  {"bytes", bytes}};
    if (options.statistics) {
      const TensorStatistics& statistics = tensor.statistics;
      const auto number = [&](double value) { return statistics.finite() > 0 ? Json(value) : Json(nullptr); };
      entry["min"] = number(statistics.min);
      entry["max"] = number(statistics.max);
      entry["mean"] = number(statistics.mean);
      entry["std"] = number(statistics.standard_deviation());
      entry["zeros"] = statistics.zeros;
      entry["nans"] = statistics.nans;
      entry["infinities"] = statistics.infinities;
    }
    json["tensors"].push_back(std::move(entry));
  }
  return JsonText(json);
}

}  // namespace cubist
