#include "data_process/formats/csv.h"
#include "data_process/formats/fuzz/fuzz_target.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  CsvLimits limits;
  limits.max_bytes = size_t{1} << 17;
  limits.max_rows = 1000;
  limits.max_fields = 100;
  limits.max_field_bytes = 10000;
  const auto rows = ParseCsv(bytes, kFuzzName, limits);
  if (!Accepted(rows.status())) return false;
  Require(rows->size() <= limits.max_rows, "the rows are within their limit");
  std::string written;
  for (const auto& row : *rows) {
    Require(!row.empty() && row.size() == (*rows)[0].size() && row.size() <= limits.max_fields,
            "rows are of equal length");
    for (const std::string& field : row) Require(field.size() <= limits.max_field_bytes, "a field is within its limit");
    written += FormatCsvRow(row);
  }
  // A byte order mark that a field begins with would be taken for the file's.
  if (written.substr(0, 3) == "\xEF\xBB\xBF") return true;
  const auto again = ParseCsv(written, kFuzzName);
  Require(again.ok() && *again == *rows, "a table that is written is read again");
  return true;
}

}  // namespace cubist
