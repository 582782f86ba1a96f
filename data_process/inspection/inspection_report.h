// An inspection as text for people and as JSON for programs.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_REPORT_H_
#define CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_REPORT_H_

#include <string>

#include "data_process/inspection/inspection.h"

namespace cubist {

// A table of attributes, then what is missing, what differs between clips, what is broken and what else was seen. Lists
// name their first entries only. Ends with a newline.
std::string InspectionText(const Inspection& inspection);

// Everything: root, clips, complete, attributes (name, clips, members {least, most}, bytes, holds [{what, clips}],
// missing), missing_frames (clip, attribute, series, frames [[first, last]]), broken (clip, attribute, path, member,
// begin, end, message), remarks. Bytes that are not UTF-8 become U+FFFD.
std::string InspectionJson(const Inspection& inspection);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_REPORT_H_
