// Zip archives of stored members whose data starts at chosen alignments, written front to back. libzip's
// writer cannot align, and dates what it writes; this one is a page of fixed records (PKWARE APPNOTE 4.3)
// and gives the same bytes for the same members.
#ifndef CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_
#define CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "absl/status/status.h"
#include "base/byte_sink.h"

namespace cubist {

// A sink that collects everything in `bytes`, which must outlive it.
ByteSink AppendTo(std::string& bytes);

// Keeps the directory in memory, nothing else. The 64-bit records (APPNOTE 4.3.9, 4.5.3) are written only where a
// member, an offset or the number of members needs them. After an error the archive is lost.
class ZipWriter {
 public:
  // Data starts at multiples of `alignment` bytes within the archive; 1 for anywhere, at most 4096.
  ZipWriter(size_t alignment, ByteSink sink) : alignment_(alignment), sink_(std::move(sink)) {}

  // Errors: DataError for an empty, too long or repeated name; those of the sink.
  absl::Status Add(std::string_view name, std::string_view bytes);
  // The same for bytes that are not at hand all at once: they are asked for twice, the first time for their checksum.
  // Errors: as above, those of `bytes`; InternalError if it gives others the second time.
  absl::Status AddStream(std::string_view name, uint64_t size, const ByteStream& bytes);
  // Writes the directory. Must be the last call. Errors: those of the sink.
  absl::Status Finish();

 private:
  absl::Status Write(std::string_view bytes);
  // A member's records: its header, before its bytes, and its entry in the directory.
  absl::Status Begin(std::string_view name, uint64_t size, uint32_t checksum);

  size_t alignment_;
  ByteSink sink_;
  uint64_t written_ = 0;
  std::string directory_;
  std::unordered_set<std::string> names_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_ZIP_WRITER_H_
