// Tar archives. Nearly every mutation breaks a header's checksum, so each file is read a second time with checksums
// that are right: what the checksum would hide is met too.
#include <cstdio>
#include <memory>

#include "base/status.h"
#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/tar.h"

namespace cubist {
namespace {

constexpr size_t kBlock = 512;

// Gives every block that may be a header (all that are not zero) the checksum of its bytes; a block of data that is
// changed by it is as good as it was.
std::string WithChecksums(std::string bytes) {
  for (size_t block = 0; block + kBlock <= bytes.size(); block += kBlock) {
    unsigned sum = 0;
    for (size_t at = 0; at < kBlock; ++at) {
      sum += at >= 148 && at < 156 ? ' ' : static_cast<unsigned char>(bytes[block + at]);
    }
    if (sum == 8 * ' ') continue;
    char digits[8];
    std::snprintf(digits, sizeof(digits), "%06o", sum);
    bytes.replace(block + 148, 7, digits, 7);
    bytes[block + 155] = ' ';
  }
  return bytes;
}

bool ReadTar(std::string_view bytes) {
  const MemoryFile file(bytes);
  TarLimits limits;
  limits.max_member_bytes = kFuzzBytes;
  limits.max_members = 1000;
  const auto index = TarIndex::Open(file.path(), limits);
  if (!Accepted(index.status(), file.path())) return false;
  uint64_t end = 0;
  for (const TarMember& member : (*index)->members()) {
    Require(!member.name.empty() && member.name.size() <= limits.max_name_bytes,
            "a name is neither empty nor too long");
    Require(("/" + member.name + "/").find("/../") == std::string::npos && member.name[0] != '/',
            "a name stays inside");
    Require((*index)->Find(member.name) == &member, "a member is found by its name");
    Require(member.offset >= end + kBlock && member.size <= kFuzzBytes, "members follow each other");
    end = member.offset + member.size;
    Require(end <= bytes.size(), "a member lies within the file");
    const auto data = (*index)->Read(member);
    Require(data.ok() && *data == bytes.substr(member.offset, member.size), "a member is read as it lies in the file");
  }
  return true;
}

}  // namespace

bool FuzzFormat(std::string_view bytes) {
  const std::string repaired = WithChecksums(std::string(bytes));
  if (repaired != bytes) ReadTar(repaired);
  return ReadTar(bytes);
}

}  // namespace cubist
