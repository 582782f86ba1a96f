// Where bad data lies: carried by an absl::Status beside its message, so that a ledger can list it.
//
// Like the exit code it is a payload: Annotate() and RETURN_IF_ERROR keep it.
#ifndef CUBIST_BASE_DATA_PLACE_H_
#define CUBIST_BASE_DATA_PLACE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Fields that are not known, or make no sense for what is wrong, are empty. Any bytes may stand in the strings.
struct DataPlace {
  std::string clip;
  std::string attribute;
  std::string path;    // the file: a tar
  std::string member;  // the tar's member; of a missing member the name that was looked for
  // Bytes [begin, end) of the file; 0 and 0 where they are not known. Of a member they are its data. Where the tar
  // itself is damaged they begin at the header (or end marker) at fault and end with its entry or with the file.
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The same status with `place`. OK stays OK. A status that has a place keeps it, as the inner one knows best; only
// a clip and an attribute that it lacks are added, because what reads a file does not know whose it is.
absl::Status WithDataPlace(const absl::Status& status, const DataPlace& place);

template <typename T>
absl::StatusOr<T> WithDataPlace(absl::StatusOr<T> result, const DataPlace& place) {
  if (!result.ok()) return WithDataPlace(result.status(), place);
  return result;
}

// The place that `status` carries, if any.
std::optional<DataPlace> DataPlaceOf(const absl::Status& status);

}  // namespace cubist

#endif  // CUBIST_BASE_DATA_PLACE_H_
