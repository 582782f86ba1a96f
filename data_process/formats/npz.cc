#include "data_process/formats/npz.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/zip_reader.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {
namespace {

constexpr std::string_view kSuffix = ".npy";

}  // namespace

absl::StatusOr<std::map<std::string, HostTensor>> ParseNpz(std::string_view bytes, std::string_view what,
                                                           const NpzLimits& limits) {
  ZipLimits zip_limits;
  zip_limits.max_members = limits.max_members;
  zip_limits.max_total_bytes = limits.max_total_bytes;
  ASSIGN_OR_RETURN(const std::unique_ptr<ZipReader> zip, ZipReader::Open(bytes, what, zip_limits));
  std::map<std::string, HostTensor> arrays;
  for (const ZipMember& member : zip->members()) {
    const std::string where = absl::StrCat(std::string(what), ": member ", Quoted(member.name));
    if (member.name.size() <= kSuffix.size() ||
        member.name.compare(member.name.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) {
      return DataError(absl::StrCat(where, ": not an array (its name does not end in .npy)"));
    }
    ASSIGN_OR_RETURN(const std::string data, zip->Read(member));
    NpyLimits npy_limits;
    npy_limits.max_array_bytes = limits.max_total_bytes;
    ASSIGN_OR_RETURN(HostTensor array, ParseNpy(data, where, npy_limits));
    arrays.emplace(member.name.substr(0, member.name.size() - kSuffix.size()), std::move(array));
  }
  return arrays;
}

absl::StatusOr<std::string> FormatNpz(const std::vector<std::pair<std::string, HostTensor>>& arrays) {
  std::string archive;
  ZipWriter zip(1, AppendTo(archive));
  for (const auto& [name, array] : arrays) {
    if (name.empty()) return DataError("npz: an array without a name");
    RETURN_IF_ERROR(zip.Add(absl::StrCat(name, std::string(kSuffix)), FormatNpy(array)));
  }
  RETURN_IF_ERROR(zip.Finish());
  return archive;
}

}  // namespace cubist
