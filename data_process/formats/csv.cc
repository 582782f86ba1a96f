#include "data_process/formats/csv.h"

#include <csv.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// libcsv is fed lines in parts of at most this size: a field that is too long is left early.
constexpr size_t kPartBytes = 1 << 12;

// What libcsv calls back with. It goes on after a limit is passed, so the first fault is kept and the rest ignored.
struct Table {
  const CsvLimits* limits;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string fault;
};

void OnField(void* bytes, size_t size, void* data) {
  auto* table = static_cast<Table*>(data);
  if (!table->fault.empty()) return;
  if (size > table->limits->max_field_bytes) {
    table->fault = absl::StrCat("a field of ", size, " bytes; the limit is ", table->limits->max_field_bytes);
  } else if (table->row.size() >= table->limits->max_fields) {
    table->fault = absl::StrCat("more than ", table->limits->max_fields, " fields");
  } else {
    table->row.emplace_back(static_cast<const char*>(bytes), size);
  }
}

void OnRow(int, void* data) {
  auto* table = static_cast<Table*>(data);
  if (!table->fault.empty()) return;
  if (table->rows.size() >= table->limits->max_rows) {
    table->fault = absl::StrCat("more than ", table->limits->max_rows, " rows");
  } else if (!table->rows.empty() && table->row.size() != table->rows[0].size()) {
    table->fault = absl::StrCat("a row of ", table->row.size(), " fields; the first row has ", table->rows[0].size());
  } else {
    table->rows.push_back(std::move(table->row));
  }
  table->row.clear();
}

// The first line, from 1, that is not UTF-8; one of them is not.
size_t LineOfBadUtf8(std::string_view bytes) {
  for (size_t line = 1;; ++line) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos || !IsUtf8(bytes.substr(0, end))) return line;
    bytes.remove_prefix(end + 1);
  }
}

class Parser {
 public:
  Parser() {
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_blk_size(&parser_, kPartBytes);
    // By default libcsv trims fields.
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });
  }
  ~Parser() { csv_free(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  csv_parser* get() { return &parser_; }

 private:
  csv_parser parser_;
};

}  // namespace

std::string FormatCsvRow(const std::vector<std::string>& fields) {
  std::string row;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) row += ',';
    const bool quoted =
        fields[i].find_first_of(",\"\r\n") != std::string::npos || (fields.size() == 1 && fields[i].empty());
    if (!quoted) {
      row += fields[i];
      continue;
    }
    const size_t size = csv_write(nullptr, 0, fields[i].data(), fields[i].size());
    const size_t at = row.size();
    row.resize(at + size);
    csv_write(&row[at], size, fields[i].data(), fields[i].size());
  }
  return row + "\r\n";
}

absl::StatusOr<std::vector<std::vector<std::string>>> ParseCsv(std::string_view bytes, std::string_view what_view,
                                                               const CsvLimits& limits) {
  const std::string what(what_view);
  if (bytes.size() > limits.max_bytes) {
    return DataError(
        absl::StrCat(what, ": CSV of ", bytes.size(), " bytes is more than the limit of ", limits.max_bytes));
  }
  if (bytes.substr(0, kByteOrderMark.size()) == kByteOrderMark) bytes.remove_prefix(kByteOrderMark.size());
  if (!IsUtf8(bytes)) return DataError(absl::StrCat(what, ": CSV is not UTF-8 at line ", LineOfBadUtf8(bytes)));
  Table table;
  table.limits = &limits;
  Parser parser;
  size_t line = 1;
  const auto fault = [&](std::string_view message) {
    return DataError(absl::StrCat(what, ": CSV line ", line, ": ", absl::string_view(message.data(), message.size())));
  };
  for (size_t at = 0; at < bytes.size();) {
    const std::string_view rest = bytes.substr(at);
    const size_t end = rest.find_first_of("\r\n");
    const std::string_view part = rest.substr(0, std::min(end == std::string_view::npos ? end : end + 1, kPartBytes));
    at += part.size();
    if (csv_parse(parser.get(), part.data(), part.size(), OnField, OnRow, &table) != part.size()) {
      return fault("a quote within a field without quotes, or text after a closing quote");
    }
    if (!table.fault.empty()) return fault(table.fault);
    if (parser.get()->entry_pos > limits.max_field_bytes) {
      return fault(absl::StrCat("a field of more than ", limits.max_field_bytes, " bytes"));
    }
    line += part.back() == '\n' || (part.back() == '\r' && bytes.substr(at, 1) != "\n");
  }
  // The last row may lack its line end, not its closing quote.
  if (csv_fini(parser.get(), OnField, OnRow, &table) != 0) return fault("the file ends within quotes");
  if (!table.fault.empty()) return fault(table.fault);
  return std::move(table.rows);
}

}  // namespace cubist
