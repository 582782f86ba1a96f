#include "tools/training/loop/step_profiler.h"

#include <ATen/record_function.h>
#include <c10/util/Exception.h>
#include <sys/stat.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

}  // namespace

// The step's own range, open between BeginStep() and EndStep().
struct StepProfiler::OpenStep {
  explicit OpenStep(int64_t step) : range(at::RecordScope::USER_SCOPE) {
    if (range.isActive()) range.before(absl::StrCat("ProfilerStep#", step));
  }
  at::RecordFunction range;
};

StepProfiler::StepProfiler(FileOps& ops, StepRange range, std::string folder, int rank, const std::string& device)
    : ops_(ops),
      range_(range),
      folder_(std::move(folder)),
      path_(absl::StrCat(folder_, "/steps-", range.first, "-", range.last, ".rank-", rank, ".trace.json")),
      on_cuda_(device == "cuda") {}

StepProfiler::~StepProfiler() {
  step_.reset();
  if (state_ != State::kRecording) return;
  try {
    profiler::disableProfiler();
  } catch (const std::exception&) {
    // Nobody waits for it.
  }
}

absl::Status StepProfiler::BeginStep(int64_t step) {
  step_.reset();
  if (!range_.contains(step) || state_ == State::kFailed || state_ == State::kWritten) return absl::OkStatus();
  if (state_ == State::kWaiting) RETURN_IF_ERROR(Attempt(&StepProfiler::Start));
  step_ = std::make_unique<OpenStep>(step);
  return absl::OkStatus();
}

absl::Status StepProfiler::EndStep(int64_t step) {
  step_.reset();
  return state_ == State::kRecording && step >= range_.last ? Attempt(&StepProfiler::Write) : absl::OkStatus();
}

absl::Status StepProfiler::Finish() {
  step_.reset();
  if (state_ == State::kRecording) return Attempt(&StepProfiler::Write);
  if (state_ != State::kWaiting) return absl::OkStatus();
  return ConfigError(absl::StrCat("--profile_steps ", range_.first, ":", range_.last,
                                  ": nothing was profiled, as this start took none of these steps"));
}

absl::Status StepProfiler::Start() {
  RETURN_IF_ERROR(ops_.MakeDirectory(folder_));
  const ProfilerConfig config(ProfilerState::KINETO, /*report_input_shapes=*/true);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (on_cuda_) activities.insert(ActivityType::CUDA);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  state_ = State::kRecording;
  return absl::OkStatus();
}

absl::Status StepProfiler::Write() {
  state_ = State::kWritten;
  const auto result = profiler::disableProfiler();
  // Under another name until it is whole. LibTorch does not say whether it could write.
  const std::string temporary = path_ + ".tmp";
  result->save(temporary);
  struct stat info;
  if (::stat(temporary.c_str(), &info) != 0 || info.st_size == 0) {
    return StorageError(absl::StrCat(temporary, ": the profile could not be written"));
  }
  return ops_.Rename(temporary, path_);
}

absl::Status StepProfiler::Attempt(absl::Status (StepProfiler::*action)()) {
  absl::Status status;
  try {
    status = (this->*action)();
  } catch (const c10::Error& error) {
    status = InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    status = InternalError(error.what());
  }
  if (!status.ok()) state_ = State::kFailed;
  return Annotate(status, absl::StrCat("--profile_steps ", range_.first, ":", range_.last));
}

}  // namespace cubist
