// Tries the files that a row of metadata.csv names.
//
// 1. Each is opened: of videos the first frame is decoded, of tars the index and the first and last member.
// 2. The video model reads the same frames of the video, of its buffers and of the poses, so each of them needs all
//    frames that the video has, from 0 on. Frames beyond its last one are never read.
#ifndef CUBIST_DATA_PROCESS_METADATA_ROW_CHECK_H_
#define CUBIST_DATA_PROCESS_METADATA_ROW_CHECK_H_

#include <string>
#include <vector>

#include "data_process/metadata/metadata_table.h"

namespace cubist {

struct RowCheck {
  std::vector<std::string> problems;  // "<column>: <path>: <what is wrong>"
  std::string remark;                 // "5 frames, camera_pose has 6" where something is longer than the video
};

// `folder`: that of the videos. `row` is of MakeMetadataRow.
RowCheck CheckRow(const MetadataRow& row, const std::string& folder, bool instance_buffer);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_ROW_CHECK_H_
