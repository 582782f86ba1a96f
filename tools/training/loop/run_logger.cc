#include "tools/training/loop/run_logger.h"

#include <chrono>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "data_process/formats/png.h"

namespace cubist {
namespace {

double SecondsSinceEpoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

RunLogger::RunLogger(FileOps& ops, const RunFolder& folder, std::optional<int64_t> resumed_step)
    : ops_(ops),
      folder_(folder),
      console_(stderr),
      errors_([this](const std::string& line) { console_.Message(line); }) {
  Open(resumed_step);
}

void RunLogger::Open(std::optional<int64_t> resumed_step) {
  // A new run begins with an empty file, should one that never saved have left rows.
  errors_.Check(TruncateMetricsAfter(ops_, folder_.metrics_path(), resumed_step.value_or(-1)).status());
  metrics_.emplace(ops_, folder_.metrics_path(), errors_);
  events_.emplace(ops_, folder_.events_path(), EventFileNameOfThisProcess(), resumed_step, errors_);
}

void RunLogger::Rewind(int64_t step) {
  Sync();
  metrics_.reset();
  events_.reset();
  Open(step);
}

RunLogger::~RunLogger() = default;

void RunLogger::Row(int64_t step, Split split, const Metrics& metrics) {
  const double now = SecondsSinceEpoch();
  metrics_->Write(step, split, now, metrics);
  events_->WriteScalars(step, now, metrics);
}

void RunLogger::Picture(int64_t step, const std::string& name, const std::string& tag, const HostTensor& image) {
  const std::string png = FormatPng(image);
  const std::string path = absl::StrFormat("%s/step-%09d-%s.png", folder_.pictures_path(), step, name);
  errors_.Check(WriteFileAtomically(ops_, path, png));
  events_->WriteImage(step, SecondsSinceEpoch(), tag, png);
}

void RunLogger::Sync() {
  metrics_->Sync();
  events_->Sync();
}

void RunLogger::Finish() {
  Sync();
  console_.Finish();
}

}  // namespace cubist
