#include "tools/interchange/checkpoint_verification.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/tensor_statistics.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// The checkpoints of a run, also those that have lost their manifest: names of unfinished and discarded ones have a
// dot.
absl::StatusOr<std::vector<std::string>> PathsOf(const std::string& reference, const CheckpointResolver& resolve) {
  const std::string folder = RunFolder(ResolvePath(reference)).checkpoints_path();
  std::vector<std::string> paths;
  std::error_code error;
  if (!reference.empty() && IsDirectory(folder)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      const bool is_step = name.substr(0, 5) == "step-" && name.find_first_not_of("0123456789", 5) == std::string::npos;
      if (is_step) paths.push_back(entry.path().string());
    }
    if (error) return StorageError(absl::StrCat(folder, ": cannot list: ", error.message()));
    std::sort(paths.begin(), paths.end());
  }
  if (!paths.empty()) return paths;
  ASSIGN_OR_RETURN(std::string path, resolve(reference));
  return std::vector<std::string>{std::move(path)};
}

}  // namespace

absl::StatusOr<std::string> VerifyCheckpoint(const std::string& path, const BytesProgress& progress) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AnyCheckpoint> checkpoint, AnyCheckpoint::Open(path));
  const CheckpointDescription& description = checkpoint->description();
  const auto total = static_cast<int64_t>(checkpoint->TotalBytes());
  int64_t done = 0, not_finite = 0;
  for (size_t i = 0; i < checkpoint->tensors().size(); ++i) {
    ASSIGN_OR_RETURN(const HostTensor values, checkpoint->Read(i));
    const TensorStatistics statistics = StatisticsOf(values);
    not_finite += statistics.finite() < statistics.count;
    done += static_cast<int64_t>(values.byte_size());
    if (progress) RETURN_IF_ERROR(progress(done, total));
  }
  RETURN_IF_ERROR(checkpoint->VerifyRest());
  const auto tensors = static_cast<int64_t>(checkpoint->tensors().size());
  std::string text =
      absl::StrCat(description.state.has_step() ? absl::StrCat("step ", description.state.step(), ", ") : "",
                   TensorsText(tensors), ", ", BytesText(checkpoint->TotalBytes()));
  if (not_finite > 0) absl::StrAppend(&text, ", values that are not finite in ", TensorsText(not_finite));
  if (description.format == CheckpointFormat::kSafetensors) {
    absl::StrAppend(&text, " (safetensors has no checksums: only the structure could be checked)");
  }
  if (!description.optimizer.ok()) {
    absl::StrAppend(&text, " (whole, but ", std::string(description.optimizer.message()), ")");
  }
  return text;
}

absl::Status VerifyCheckpoints(const std::vector<std::string>& references, const BytesProgress& progress,
                               const std::function<void(const std::string& line)>& say,
                               const CheckpointResolver& resolve) {
  int64_t verified = 0, bad = 0;
  absl::Status first;
  const auto blame = [&](const absl::Status& error) {
    if (bad++ == 0) first = error;
    say(absl::StrCat("BAD  ", std::string(error.message())));
  };
  for (const std::string& reference : references) {
    const absl::StatusOr<std::vector<std::string>> paths = PathsOf(reference, resolve);
    if (ExitCodeOf(paths.status()) == ExitCode::kPreempted) return paths.status();
    if (!paths.ok()) blame(paths.status());
    if (!paths.ok()) continue;
    for (const std::string& path : *paths) {
      const absl::StatusOr<std::string> whole = VerifyCheckpoint(path, progress);
      if (ExitCodeOf(whole.status()) == ExitCode::kPreempted) return whole.status();
      if (!whole.ok()) {
        blame(whole.status());
        continue;
      }
      ++verified;
      say(absl::StrCat("ok  ", path, "  ", *whole));
    }
  }
  if (bad == 0) return absl::OkStatus();
  return WithMessage(first, absl::StrCat(bad, " of ", bad + verified, " could not be verified; see above"));
}

}  // namespace cubist
