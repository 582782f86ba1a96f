#include "data_process/scenes/test_clips.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "data_process/formats/tar.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {
namespace {

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << std::endl;
  std::abort();
}

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

}  // namespace

std::string NewTestFolder(const std::string& name) {
  const char* base = std::getenv("TEST_TMPDIR");
  const std::string folder = std::string(base == nullptr ? "." : base) + "/" + name;
  Check(RemoveTree(SystemFileOps(), folder));
  Check(MakeDirectories(SystemFileOps(), folder));
  return folder;
}

void WriteTestTar(const std::string& data_root, const std::string& attribute, const std::string& clip,
                  const Members& members) {
  Check(MakeDirectories(SystemFileOps(), data_root + "/" + attribute));
  auto writer = TarWriter::Create(SystemFileOps(), data_root + "/" + attribute + "/" + clip + ".tar");
  Check(writer.status());
  for (const auto& [name, bytes] : members) Check((*writer)->Add(name, bytes));
  Check((*writer)->Finish());
}

FoundMember ScanForMember(const std::string& path, const std::string& name) {
  const auto file = ReadWholeFile(path);
  Check(file.status());
  FoundMember found;
  int count = 0;
  for (size_t at = 0; at + 512 <= file->size(); at += 512) {
    // Name, padded by zeros; magic; size in octal (POSIX.1-2001, ustar interchange format).
    if (file->compare(at, name.size() + 1, name.c_str(), name.size() + 1) != 0) continue;
    if (file->compare(at + 257, 5, "ustar") != 0) continue;
    ++count;
    found.header = at;
    found.begin = at + 512;
    found.end = found.begin + std::strtoull(file->substr(at + 124, 11).c_str(), nullptr, 8);
  }
  if (count == 1) return found;
  std::cerr << path << ": " << name << " is there " << count << " times" << std::endl;
  std::abort();
}

void OverwriteBytes(const std::string& path, uint64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file << bytes << std::flush;
  if (file.good()) return;
  std::cerr << path << ": cannot be written" << std::endl;
  std::abort();
}

std::string FrameMember(const std::string& clip, int64_t frame, const std::string& suffix) {
  char digits[24];
  std::snprintf(digits, sizeof(digits), "%06lld", static_cast<long long>(frame));
  return clip + "." + digits + "." + suffix;
}

std::string CloudBytes(const HostTensor& points, const HostTensor& semantics, const HostTensor& pc_to_world) {
  auto bytes = FormatTorchZip({{"points", points}, {"semantics", semantics}, {"pc_to_world", pc_to_world}});
  Check(bytes.status());
  return *bytes;
}

std::string ObjectJson(const std::string& id, const std::string& type, const std::vector<double>& t, double yaw,
                       const std::vector<double>& lwh) {
  const std::string c = Number(std::cos(yaw)), s = Number(std::sin(yaw)), m = Number(-std::sin(yaw));
  return "\"" + id + "\": {\"object_to_world\": [[" + c + ", " + m + ", 0, " + Number(t[0]) + "], [" + s + ", " + c +
         ", 0, " + Number(t[1]) + "], [0, 0, 1, " + Number(t[2]) + "], [0, 0, 0, 1]], \"object_lwh\": [" +
         Number(lwh[0]) + ", " + Number(lwh[1]) + ", " + Number(lwh[2]) + "], \"object_is_moving\": false, " +
         "\"object_type\": \"" + type + "\", \"object_id_int\": 1}";
}

Data VoxelVaeData(const std::string& data_root) {
  Data data;
  data.set_data_root(data_root);
  for (const char* attribute :
       {"pose", "pc_with_map_without_car_voxelsize_01", "static_object_info", "dynamic_object_info"}) {
    data.add_attributes(attribute);
  }
  for (const double value : {-25.6, -25.6, -6.4}) data.add_crop_min(value);
  for (const double value : {25.6, 25.6, 19.2}) data.add_crop_max(value);
  data.set_crop_jitter(true);
  for (const double value : {3.2, 3.2, 0.8}) data.add_crop_jitter_range(value);
  data.add_input_frame_offsets(0);
  data.add_supervision_frame_offsets(0);
  data.set_replace_cars_with_cad(true);
  return data;
}

}  // namespace cubist
