#include "tools/training/loop/run_logger.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status.h"
#include "data_process/formats/png.h"

namespace cubist {
namespace {

constexpr std::chrono::seconds kSilentUpload(2);

double SecondsSinceEpoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

RunLogger::RunLogger(FileOps& ops, const RunFolder& folder, std::optional<int64_t> resumed_step,
                     std::unique_ptr<WandbLogger> wandb)
    : ops_(ops),
      folder_(folder),
      console_(stderr),
      errors_([this](const std::string& line) { Message(line); }),
      wandb_(std::move(wandb)) {
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

void RunLogger::Message(const std::string& line) {
  console_.Message(line);
  if (wandb_ != nullptr) wandb_->Line(line);
}

void RunLogger::SayNews() {
  if (wandb_ == nullptr) return;
  for (const std::string& line : wandb_->TakeLines()) Message(line);
}

void RunLogger::Progress(const StepStatus& status) {
  SayNews();
  console_.Step(status, /*plain=*/false);
}

void RunLogger::IntervalLine(const StepStatus& status) {
  if (!console_.live()) console_.Step(status, /*plain=*/true);
  if (wandb_ != nullptr) wandb_->Line(FormatStepLine(status));
}

void RunLogger::Row(int64_t step, Split split, const Metrics& metrics) {
  const double now = SecondsSinceEpoch();
  metrics_->Write(step, split, now, metrics);
  events_->WriteScalars(step, now, metrics);
  if (wandb_ != nullptr) wandb_->Row(step, metrics);
}

void RunLogger::Picture(int64_t step, const std::string& name, const std::string& tag, const HostTensor& image) {
  const std::string png = FormatPng(image);
  const std::string path = absl::StrFormat("%s/step-%09d-%s.png", folder_.pictures_path(), step, name);
  if (errors_.Check(WriteFileAtomically(ops_, path, png)) && wandb_ != nullptr) wandb_->Picture(step, tag, path);
  events_->WriteImage(step, SecondsSinceEpoch(), tag, png);
}

void RunLogger::Saved(const SavedCheckpoint& checkpoint) {
  if (wandb_ != nullptr) wandb_->Saved(checkpoint);
}

void RunLogger::Sync() {
  metrics_->Sync();
  events_->Sync();
}

void RunLogger::Finish(const absl::Status& result, const std::function<bool()>& stop_requested) {
  Sync();
  if (wandb_ != nullptr) {
    // The last chance for lines to get there.
    if (!result.ok()) wandb_->Line(std::string(result.message()));
    const auto start = std::chrono::steady_clock::now();
    bool said = false;
    wandb_->Finish(ExitCodeOf(result), [&] {
      for (const std::string& line : wandb_->TakeLines()) console_.Message(line);
      if (!said && std::chrono::steady_clock::now() - start > kSilentUpload) {
        console_.Message("Weights & Biases: uploading the rest; when stopped, it stays here for wandb_sync");
        said = true;
      }
      return stop_requested();
    });
    for (const std::string& line : wandb_->TakeLines()) console_.Message(line);
  }
  console_.Finish();
}

}  // namespace cubist
