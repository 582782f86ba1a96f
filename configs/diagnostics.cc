#include "configs/diagnostics.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/status.h"

namespace cubist {
namespace {

constexpr size_t kMaximumShownLine = 160;

// The line with a caret under it. Tabs become single spaces so that the caret stands where it should;
// a very long line is shown as a window around the caret.
std::string RenderLine(const Place& place, const std::string& number) {
  const LineColumn position = LineColumnOf(*place.source, place.begin);
  std::string line = LineOf(*place.source, position.line);
  size_t column = std::min(position.column, line.size());
  size_t length = std::max<size_t>(1, std::min(place.end - std::min(place.begin, place.end), line.size() - column));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  if (line.size() > kMaximumShownLine) {
    const size_t start = column > kMaximumShownLine / 2 ? column - kMaximumShownLine / 2 : 0;
    const bool cut_after = start + kMaximumShownLine < line.size();
    line = (start > 0 ? "..." : "") + line.substr(start, kMaximumShownLine) + (cut_after ? "..." : "");
    column = column - start + (start > 0 ? 3 : 0);
    length = std::min(length, line.size() - std::min(column, line.size() - 1));
  }
  const std::string gutter(std::max<size_t>(number.size(), 5), ' ');
  std::string result = gutter.substr(number.size()) + number + " | " + line + "\n";
  result += gutter + " | " + std::string(column, ' ') + "^" + std::string(length - 1, '~') + "\n";
  return result;
}

}  // namespace

std::string RenderDiagnostic(const Diagnostic& diagnostic) {
  std::string result;
  const Place& place = diagnostic.place;
  if (place.source == nullptr) {
    result = diagnostic.message + "\n";
  } else if (place.begin == place.end) {
    result = place.source->name + ": " + diagnostic.message + "\n";
  } else if (place.source->kind == SourceText::Kind::kFlag) {
    result = place.source->name + " " + place.source->text + ": " + diagnostic.message + "\n";
    result += RenderLine(place, "");
  } else {
    const LineColumn position = LineColumnOf(*place.source, place.begin);
    const std::string line = std::to_string(position.line + 1);
    result = place.source->name + ":" + line + ":" + std::to_string(position.column + 1) + ": " + diagnostic.message;
    result += "\n" + RenderLine(place, line);
  }
  for (const std::string& note : diagnostic.notes) result += "  " + note + "\n";
  return result;
}

void Diagnostics::Add(Place place, std::string message, std::vector<std::string> notes) {
  diagnostics_.push_back({std::move(place), std::move(message), std::move(notes)});
}

absl::Status Diagnostics::ToStatus() const {
  if (diagnostics_.empty()) return absl::OkStatus();
  const Diagnostic& first = diagnostics_[0];
  if (size() == 1 && first.place.source == nullptr && first.notes.empty()) return ConfigError(first.message);
  std::map<const SourceText*, size_t> rank;
  for (const Diagnostic& diagnostic : diagnostics_) rank.emplace(diagnostic.place.source.get(), rank.size());
  std::vector<const Diagnostic*> sorted;
  for (const Diagnostic& diagnostic : diagnostics_) sorted.push_back(&diagnostic);
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Diagnostic* a, const Diagnostic* b) {
    return std::make_tuple(rank[a->place.source.get()], a->place.begin) <
           std::make_tuple(rank[b->place.source.get()], b->place.begin);
  });
  std::string report =
      sorted.size() == 1 ? "a mistake in the config\n" : std::to_string(sorted.size()) + " mistakes in the config\n";
  // A file that is no config at all would fill the screen.
  constexpr size_t kShown = 50;
  for (size_t i = 0; i < std::min(kShown, sorted.size()); ++i) report += "\n" + RenderDiagnostic(*sorted[i]);
  if (sorted.size() > kShown) report += "\nand " + std::to_string(sorted.size() - kShown) + " more\n";
  return ConfigError(report);
}

}  // namespace cubist
