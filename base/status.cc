#include "base/status.h"

#include <cstring>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cubist {
namespace {

constexpr char kExitCodeUrl[] = "cubist/exit_code";

absl::Status Make(absl::StatusCode code, ExitCode exit_code, std::string_view message) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  status.SetPayload(kExitCodeUrl, absl::Cord(absl::StrCat(static_cast<int>(exit_code))));
  return status;
}

}  // namespace

absl::Status ConfigError(std::string_view message) {
  return Make(absl::StatusCode::kInvalidArgument, ExitCode::kConfig, message);
}
absl::Status DataError(std::string_view message) { return Make(absl::StatusCode::kDataLoss, ExitCode::kData, message); }
absl::Status NotFiniteError(std::string_view message) {
  return Make(absl::StatusCode::kOutOfRange, ExitCode::kNotFinite, message);
}
absl::Status PeerLostError(std::string_view message) {
  return Make(absl::StatusCode::kUnavailable, ExitCode::kPeerLost, message);
}
absl::Status StorageError(std::string_view message) {
  return Make(absl::StatusCode::kDataLoss, ExitCode::kStorage, message);
}
absl::Status InternalError(std::string_view message) {
  return Make(absl::StatusCode::kInternal, ExitCode::kInternal, message);
}
absl::Status PreemptedError(std::string_view message) {
  return Make(absl::StatusCode::kCancelled, ExitCode::kPreempted, message);
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  const auto payload = status.GetPayload(kExitCodeUrl);
  int code = 0;
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &code)) return static_cast<ExitCode>(code);
  return ExitCode::kInternal;
}

absl::Status WithMessage(const absl::Status& status, std::string_view message) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::string_view(message.data(), message.size()));
  status.ForEachPayload(
      [&result](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  return WithMessage(status, absl::StrCat(absl::string_view(context.data(), context.size()), ": ", status.message()));
}

std::string ErrnoText(int error_number) { return std::strerror(error_number); }

}  // namespace cubist
