// Comma-separated tables, in the default dialect of Python's csv module: commas, CRLF, quotes only where needed.
#ifndef CUBIST_DATA_PROCESS_FORMATS_CSV_H_
#define CUBIST_DATA_PROCESS_FORMATS_CSV_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// One row with its line end, byte for byte what Python's csv.writer writes: a field that holds a comma, a quote, CR or
// LF is quoted, quotes within are doubled; so is the only field of a row if it is empty.
std::string FormatCsvRow(const std::vector<std::string>& fields);

struct CsvLimits {
  size_t max_bytes = size_t{1} << 26;  // what comes out takes up to forty times the memory: each field is a string
  size_t max_rows = size_t{1} << 20;
  size_t max_fields = 256;  // of a row
  size_t max_field_bytes = size_t{1} << 20;
};

// All rows, the header among them, each of as many fields as the first. Rows end in CRLF, LF or CR; empty lines are
// passed over; blanks belong to their field. A byte order mark at the start is skipped, as pandas does.
// `what` names the file in messages. Errors: DataError with the line: not UTF-8, a quote where none may stand or
// without its end, a row of more or fewer fields than the first, more than the limits.
absl::StatusOr<std::vector<std::vector<std::string>>> ParseCsv(std::string_view bytes, std::string_view what,
                                                               const CsvLimits& limits = {});

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_CSV_H_
