// What generate_metadata_csv did, for people and for programs.
#ifndef CUBIST_DATA_PROCESS_METADATA_METADATA_REPORT_H_
#define CUBIST_DATA_PROCESS_METADATA_METADATA_REPORT_H_

#include <string>

#include "data_process/metadata/metadata.h"

namespace cubist {

// A few lines: the CSV and its rows, which list decided, what was left out by reason with the first names of each, and
// warnings. Ends with a newline.
std::string MetadataReportText(const MetadataReport& report);

// Everything as JSON: csv, written, files_tried, allowed, videos, rows (clip ids), left_out (video, reason, details),
// warnings. Names that are not UTF-8 have U+FFFD in place of what is not.
std::string MetadataReportJson(const MetadataReport& report);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_METADATA_REPORT_H_
