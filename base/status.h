// Errors of every Cubist library: absl::Status with the exit code that a program should end with.
//
// Each factory below makes a status whose message names the thing, the place and the way out. The
// exit code travels as a payload, so it survives Annotate() and every RETURN_IF_ERROR on its way.
#ifndef CUBIST_BASE_STATUS_H_
#define CUBIST_BASE_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Exit codes of all programs; scripts and slurm_launch rely on them.
enum class ExitCode : int {
  kDone = 0,
  kConfig = 2,      // bad flag or config
  kData = 3,        // missing, damaged or unusable data
  kNotFinite = 4,   // a loss or gradient is not finite
  kPeerLost = 5,    // another rank died, stalled or disagrees
  kStorage = 6,     // a checkpoint or run folder cannot be written or does not verify
  kInternal = 70,   // our bug
  kPreempted = 75,  // asked to stop; everything is saved, please start again
};

absl::Status ConfigError(std::string_view message);
absl::Status DataError(std::string_view message);
absl::Status NotFiniteError(std::string_view message);
absl::Status PeerLostError(std::string_view message);
absl::Status StorageError(std::string_view message);
absl::Status InternalError(std::string_view message);
absl::Status PreemptedError(std::string_view message);

// The exit code that `status` carries; kDone for OK, kInternal for a status made elsewhere.
ExitCode ExitCodeOf(const absl::Status& status);

// The same status, exit code and all, with another message. OK stays OK.
absl::Status WithMessage(const absl::Status& status, std::string_view message);

// The same status with "context: " before its message. OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// "strerror(errno)" as text, for messages about system calls.
std::string ErrnoText(int error_number);

}  // namespace cubist

#define CUBIST_STATUS_CONCAT_INNER(a, b) a##b
#define CUBIST_STATUS_CONCAT(a, b) CUBIST_STATUS_CONCAT_INNER(a, b)

// Leaves the enclosing function when `expression`, an absl::Status, is not OK.
#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (absl::Status status_of_macro = (expression); !status_of_macro.ok()) { \
      return status_of_macro;                                                 \
    }                                                                         \
  } while (false)

// Evaluates an absl::StatusOr: leaves the enclosing function on an error, else moves the value into
// `target`, which may be a declaration: ASSIGN_OR_RETURN(auto image, ReadPng(path)).
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(CUBIST_STATUS_CONCAT(status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(status_or, target, expression) \
  auto status_or = (expression);                              \
  if (!status_or.ok()) return status_or.status();             \
  target = *std::move(status_or)

#endif  // CUBIST_BASE_STATUS_H_
