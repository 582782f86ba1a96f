#include "data_process/scenes/archive_check.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/data_place.h"
#include "base/status.h"
#include "data_process/formats/tar.h"
#include "data_process/scenes/attribute_contract.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/prefetcher.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {
namespace {

// An archive of a thousand members that are all damaged fills no report.
constexpr size_t kMostBad = 10;

// Step 2 for one member.
absl::StatusOr<Payload> CheckMember(const MemberBytes& member, const std::string& attribute, const ReadLimits& limits) {
  ASSIGN_OR_RETURN(const DecodedFile file, DecodeFile(member.place.member, member.bytes, member.what, limits));
  RETURN_IF_ERROR(CheckContract(attribute, member.bytes, file, member.what));
  return file.Describe();
}

}  // namespace

ArchiveContents CheckArchive(const std::string& path, const std::string& attribute, const std::string& clip,
                             bool every_member, const ReadLimits& limits) {
  ArchiveContents contents;
  const DataPlace place{clip, attribute, path, "", 0, 0};
  const auto tar = TarIndex::Open(path, TarLimitsFrom(limits));
  if (!tar.ok()) {
    contents.bad.push_back(WithDataPlace(tar.status(), place));
    return contents;
  }
  const std::vector<TarMember>& members = (*tar)->members();
  if (members.empty()) contents.bad.push_back(WithDataPlace(DataError(path + ": the tar is empty"), place));
  contents.members = static_cast<int64_t>(members.size());
  for (const TarMember& member : members) contents.bytes += member.size;
  contents.frames = FramesBySuffix(**tar, clip);
  const size_t step = every_member ? 1 : std::max<size_t>(1, members.size() - 1);
  for (size_t i = 0; i < members.size(); i += step) {
    absl::StatusOr<Payload> payload =
        UseMember(ReadMember(**tar, members[i], attribute, clip),
                  [&](const MemberBytes& member) { return CheckMember(member, attribute, limits); });
    if (payload.ok()) {
      ++(payload->kind.empty() ? contents.read_only : contents.decoded);
      if (i == 0) contents.first = *std::move(payload);
      continue;
    }
    contents.bad.push_back(payload.status());
    if (contents.bad.size() < kMostBad) continue;
    contents.bad.push_back(WithDataPlace(DataError(path + ": members after these were not looked at"), place));
    break;
  }
  return contents;
}

absl::StatusOr<ArchiveReport> CheckArchives(const ClipIndex& clips, const Data& data, int threads,
                                            const std::function<void(int64_t done, int64_t total)>& progress,
                                            const std::function<bool()>& stop) {
  std::vector<std::string> ids;
  std::set<std::string> seen;
  for (const auto* side : {&clips.train_clips(), &clips.validation_clips()}) {
    for (const std::string& clip : *side) {
      if (seen.insert(clip).second) ids.push_back(clip);
    }
  }
  const auto attributes = static_cast<uint64_t>(data.attributes_size());
  const auto total = static_cast<int64_t>(ids.size() * attributes);
  Prefetcher<ArchiveContents>::Options options;
  options.end = static_cast<uint64_t>(total);
  options.threads = threads;
  options.capacity = 4 * std::max(1, threads);
  Prefetcher<ArchiveContents> archives(options, [&](uint64_t k) -> absl::StatusOr<ArchiveContents> {
    const std::string& attribute = data.attributes(static_cast<int>(k % attributes));
    const std::string& clip = ids[k / attributes];
    return CheckArchive(ClipTarPath(data.data_root(), attribute, clip), attribute, clip, /*every_member=*/false,
                        data.limits());
  });
  ArchiveReport all;
  while (all.archives < total) {
    all.stopped = stop && stop();
    if (all.stopped) break;
    ASSIGN_OR_RETURN(const std::optional<ArchiveContents> one, archives.Next(std::chrono::milliseconds(50)));
    if (!one.has_value()) continue;
    ++all.archives;
    all.members += one->members;
    all.bytes += one->bytes;
    all.decoded += one->decoded;
    all.read_only += one->read_only;
    all.bad.insert(all.bad.end(), one->bad.begin(), one->bad.end());
    if (progress) progress(all.archives, total);
  }
  return all;
}

}  // namespace cubist
