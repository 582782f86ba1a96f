#include "tools/training/logging/metrics_writer.h"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <optional>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

void AppendQuoted(std::string& out, const std::string& text) {
  // Bytes that are no UTF-8 become replacement characters.
  out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <typename T>
void AppendNumber(std::string& out, T value) {
  char buffer[64];
  const std::to_chars_result result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, result.ptr);
}

// The step of a row; nothing for a line that is no row.
std::optional<int64_t> StepOfRow(const std::string& line) {
  const nlohmann::json row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!row.is_object()) return std::nullopt;
  const auto step = row.find("step");
  if (step == row.end() || !step->is_number_integer()) return std::nullopt;
  return step->get<int64_t>();
}

bool EndsInsideALine(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(-1, std::ios::end);
  const int last = stream.get();
  return stream.good() && last != '\n';
}

}  // namespace

std::string FormatMetricsRow(int64_t step, Split split, double time, const Metrics& metrics) {
  std::string row = "{\"step\":";
  AppendNumber(row, step);
  row += split == Split::kTrain ? ",\"split\":\"train\",\"time\":" : ",\"split\":\"validation\",\"time\":";
  // Microseconds are enough, and shorter than a double's 17 digits.
  AppendNumber(row, std::isfinite(time) ? std::round(time * 1e6) / 1e6 : 0.0);
  std::string non_finite;
  for (const auto& [name, value] : metrics) {
    row += ',';
    AppendQuoted(row, name);
    row += ':';
    if (std::isfinite(value)) {
      AppendNumber(row, value);
    } else {
      row += "null";
      if (!non_finite.empty()) non_finite += ',';
      AppendQuoted(non_finite, name);
    }
  }
  if (!non_finite.empty()) row += ",\"non_finite\":[" + non_finite + "]";
  return row + "}\n";
}

absl::StatusOr<int64_t> TruncateMetricsAfter(FileOps& ops, const std::string& path, int64_t step) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT) return 0;
  absl::StatusOr<std::string> bytes = ReadWholeFile(path);
  if (!bytes.ok()) return StorageError(std::string(bytes.status().message()));
  std::string kept;
  int64_t removed = 0;
  for (size_t begin = 0; begin < bytes->size();) {
    const size_t end = bytes->find('\n', begin);
    const size_t next = end == std::string::npos ? bytes->size() : end + 1;
    const std::optional<int64_t> row_step =
        end == std::string::npos ? std::nullopt : StepOfRow(bytes->substr(begin, end - begin));
    if (row_step && *row_step <= step) {
      kept.append(*bytes, begin, next - begin);
    } else {
      ++removed;
    }
    begin = next;
  }
  if (removed > 0) RETURN_IF_ERROR(WriteFileAtomically(ops, path, kept));
  return removed;
}

MetricsWriter::MetricsWriter(FileOps& ops, std::string path, TelemetryErrors& errors)
    : ops_(ops), path_(std::move(path)), errors_(errors) {
  torn_ = EndsInsideALine(path_);
  Open();
}

MetricsWriter::~MetricsWriter() {
  if (file_ != nullptr) errors_.Check(file_->Close());
}

bool MetricsWriter::Open() {
  if (file_ != nullptr) return true;
  absl::StatusOr<std::unique_ptr<WritableFile>> opened = ops_.OpenForAppend(path_);
  if (!errors_.Check(opened.status())) return false;
  file_ = *std::move(opened);
  return true;
}

void MetricsWriter::Write(int64_t step, Split split, double time, const Metrics& metrics) {
  if (!Open()) return;
  std::string row = FormatMetricsRow(step, split, time, metrics);
  if (torn_) row.insert(row.begin(), '\n');
  torn_ = !errors_.Check(file_->Append(row.data(), row.size()));
}

void MetricsWriter::Sync() {
  if (file_ != nullptr) errors_.Check(file_->Sync());
}

}  // namespace cubist
