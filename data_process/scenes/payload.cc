#include "data_process/scenes/payload.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/json.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/ply.h"
#include "data_process/formats/png.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {
namespace {

PayloadArray ArrayOf(std::string name, const HostTensor& tensor) {
  return {std::move(name), tensor.dtype(), tensor.shape()};
}

template <typename Arrays>
std::vector<PayloadArray> ArraysOf(const Arrays& arrays) {
  std::vector<PayloadArray> all;
  for (const auto& [name, tensor] : arrays) all.push_back(ArrayOf(name, tensor));
  return all;
}

}  // namespace

absl::StatusOr<Payload> DecodePayload(std::string_view name, std::string_view bytes, std::string_view what) {
  Payload payload;
  const size_t dot = name.rfind('.');
  const std::string ending = dot == std::string_view::npos ? "" : std::string(name.substr(dot + 1));
  payload.kind = absl::AsciiStrToLower(ending);
  if (payload.kind == "jpeg") payload.kind = "jpg";
  if (payload.kind == "npy") {
    ASSIGN_OR_RETURN(const HostTensor array, ParseNpy(bytes, what));
    payload.arrays = {ArrayOf("", array)};
  } else if (payload.kind == "npz") {
    ASSIGN_OR_RETURN(const auto arrays, ParseNpz(bytes, what));
    payload.arrays = ArraysOf(arrays);
  } else if (payload.kind == "pth") {
    ASSIGN_OR_RETURN(const auto tensors, ReadTorchTensors(bytes, what));
    payload.arrays = ArraysOf(tensors);
  } else if (payload.kind == "ply") {
    ASSIGN_OR_RETURN(const TriangleMesh mesh, ParsePly(bytes, what));
    payload.arrays = {ArrayOf("faces", mesh.faces), ArrayOf("vertices", mesh.vertices)};
  } else if (payload.kind == "json") {
    RETURN_IF_ERROR(ParseJson(bytes, what).status());
  } else if (payload.kind == "png") {
    ASSIGN_OR_RETURN(const HostTensor image, ParsePng(bytes, what));
    payload.arrays = {ArrayOf("", image)};
  } else if (payload.kind == "jpg") {
    ASSIGN_OR_RETURN(const HostTensor image, ParseJpeg(bytes, what));
    payload.arrays = {ArrayOf("", image)};
  } else {
    payload.kind.clear();
  }
  return payload;
}

}  // namespace cubist
