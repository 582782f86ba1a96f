// Zip archives of stored members whose data starts at chosen alignments. libzip's writer cannot
// align, and dates what it writes; this one is a page of fixed records (PKWARE APPNOTE 4.3) and
// gives the same bytes for the same members.
#ifndef CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_
#define CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Builds the archive in memory. Members of 4 GiB and more, and archives beyond 4 GiB, are refused.
class ZipWriter {
 public:
  // Data starts at multiples of `alignment` bytes within the archive; 1 for anywhere, at most 4096.
  explicit ZipWriter(size_t alignment) : alignment_(alignment) {}

  // Errors: DataError for an empty, too long or repeated name, or too many bytes.
  absl::Status Add(std::string_view name, std::string_view bytes);
  // The archive. Must be the last call.
  absl::StatusOr<std::string> Finish();

 private:
  size_t alignment_;
  std::string archive_;
  std::string directory_;
  std::unordered_set<std::string> names_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_
