// The rows and columns of metadata.csv.
//
// Bytes: as the reference's, which are those of Python's csv module: a header row, comma, CRLF, quotes where needed.
// Columns, relative to the video folder: video, prompt (a fixed sentence and the caption), semantic_buffer_video,
// depth_buffer_tar, camera_intrinsic, camera_pose, and with `instance_buffer` instance_buffer_tar.
#ifndef CUBIST_DATA_PROCESS_METADATA_METADATA_TABLE_H_
#define CUBIST_DATA_PROCESS_METADATA_METADATA_TABLE_H_

#include <string>
#include <vector>

namespace cubist {

// A column after video and prompt, whose value is "../<attribute>/<clip><ending>".
struct BufferColumn {
  std::string name, attribute, ending;
  std::string series;  // of a tar with members by frame: "pose.front.npy" of "<clip>.NNNNNN.pose.front.npy"
};

std::vector<BufferColumn> BufferColumns(bool instance_buffer);

struct MetadataRow {
  std::string clip;
  std::vector<std::string> fields;  // one a column
};

// The clip that a video file shows: its name without the ending. Dots at its very beginning are part of it, as Python's
// splitext has it.
std::string ClipOfVideo(const std::string& video);

MetadataRow MakeMetadataRow(const std::string& video, const std::string& prompt, bool instance_buffer);

// The CSV, header included.
std::string FormatMetadata(const std::vector<MetadataRow>& rows, bool instance_buffer);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_METADATA_TABLE_H_
