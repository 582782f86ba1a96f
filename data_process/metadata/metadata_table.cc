#include "data_process/metadata/metadata_table.h"

#include "absl/strings/str_cat.h"
#include "data_process/formats/csv.h"

namespace cubist {

std::vector<BufferColumn> BufferColumns(bool instance_buffer) {
  std::vector<BufferColumn> columns = {
      {"semantic_buffer_video", "semantic_buffer_video_480p_front", ".mp4", ""},
      {"depth_buffer_tar", "voxel_depth_100_480p_front", ".tar", "voxel_depth_100.front.png"},
      {"camera_intrinsic", "intrinsic", ".tar", ""},
      {"camera_pose", "pose", ".tar", "pose.front.npy"},
  };
  if (instance_buffer) {
    columns.push_back({"instance_buffer_tar", "instance_buffer_480p_front", ".tar", "instance_buffer.front.png"});
  }
  return columns;
}

std::string ClipOfVideo(const std::string& video) {
  const size_t dot = video.rfind('.');
  return video.find_first_not_of('.') > dot ? video : video.substr(0, dot);
}

MetadataRow MakeMetadataRow(const std::string& video, const std::string& prompt, bool instance_buffer) {
  MetadataRow row{ClipOfVideo(video), {video, prompt}};
  for (const BufferColumn& column : BufferColumns(instance_buffer)) {
    row.fields.push_back(absl::StrCat("../", column.attribute, "/", row.clip, column.ending));
  }
  return row;
}

std::string FormatMetadata(const std::vector<MetadataRow>& rows, bool instance_buffer) {
  std::vector<std::string> header = {"video", "prompt"};
  for (const BufferColumn& column : BufferColumns(instance_buffer)) header.push_back(column.name);
  std::string csv = FormatCsvRow(header);
  for (const MetadataRow& row : rows) csv += FormatCsvRow(row.fields);
  return csv;
}

}  // namespace cubist
