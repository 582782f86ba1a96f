#include "data_process/scenes/payload.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/json.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/ply.h"
#include "data_process/formats/png.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {

Payload DecodedFile::Describe() const {
  Payload payload{kind, {}};
  for (const auto& [name, array] : arrays) payload.arrays.push_back({name, array.dtype(), array.shape()});
  return payload;
}

absl::StatusOr<DecodedFile> DecodeFile(std::string_view name, std::string_view bytes, std::string_view what,
                                       const ReadLimits& limits) {
  DecodedFile file;
  const size_t dot = name.rfind('.');
  const std::string ending = dot == std::string_view::npos ? "" : std::string(name.substr(dot + 1));
  file.kind = absl::AsciiStrToLower(ending);
  if (file.kind == "jpeg") file.kind = "jpg";
  if (file.kind == "npy") {
    ASSIGN_OR_RETURN(file.arrays[""], ParseNpy(bytes, what, NpyLimitsFrom(limits)));
  } else if (file.kind == "npz") {
    ASSIGN_OR_RETURN(file.arrays, ParseNpz(bytes, what, NpzLimitsFrom(limits)));
  } else if (file.kind == "pth") {
    ASSIGN_OR_RETURN(file.arrays, ReadTorchTensors(bytes, what, TorchLimitsFrom(limits)));
  } else if (file.kind == "ply") {
    ASSIGN_OR_RETURN(TriangleMesh mesh, ParsePly(bytes, what));
    file.arrays = {{"faces", std::move(mesh.faces)}, {"vertices", std::move(mesh.vertices)}};
  } else if (file.kind == "json") {
    RETURN_IF_ERROR(ParseJson(bytes, what).status());
  } else if (file.kind == "png") {
    ASSIGN_OR_RETURN(file.arrays[""], ParsePng(bytes, what, ImageLimitsFrom(limits)));
  } else if (file.kind == "jpg") {
    ASSIGN_OR_RETURN(file.arrays[""], ParseJpeg(bytes, what, ImageLimitsFrom(limits)));
  } else {
    file.kind.clear();
  }
  return file;
}

}  // namespace cubist
