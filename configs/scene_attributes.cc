#include "configs/scene_attributes.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cubist {
namespace {

bool IsOfView(std::string_view attribute, std::string_view kind, const std::string& view) {
  absl::string_view rest(attribute.data(), attribute.size());
  if (!absl::ConsumePrefix(&rest, absl::string_view(kind.data(), kind.size())) || !absl::ConsumePrefix(&rest, "_")) {
    return false;
  }
  if (rest == view) return true;
  absl::string_view after_rows = rest;
  while (!after_rows.empty() && absl::ascii_isdigit(static_cast<unsigned char>(after_rows[0]))) {
    after_rows.remove_prefix(1);
  }
  return after_rows.size() < rest.size() && absl::ConsumePrefix(&after_rows, "p_") && after_rows == view;
}

}  // namespace

std::string ViewName(CameraView view) { return absl::AsciiStrToLower(CameraView_Name(view)); }

std::string AttributeOfView(const Data& data, std::string_view kind, CameraView view) {
  for (const std::string& attribute : data.attributes()) {
    if (IsOfView(attribute, kind, ViewName(view))) return attribute;
  }
  return "";
}

bool HasAttributeOfKind(const Data& data, std::string_view kind) {
  for (int view = CameraView_MIN; view <= CameraView_MAX; ++view) {
    if (!AttributeOfView(data, kind, static_cast<CameraView>(view)).empty()) return true;
  }
  return false;
}

}  // namespace cubist
