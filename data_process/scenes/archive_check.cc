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
#include "data_process/formats/json.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/png.h"
#include "data_process/formats/tar.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/prefetcher.h"

namespace cubist {
namespace {

// Whether there is a decoder for the member's kind, and it took its bytes.
absl::StatusOr<bool> Decode(const MemberBytes& member) {
  const std::string& name = member.place.member;
  std::string kind = name.substr(std::min(name.size(), name.rfind('.') + 1));
  for (char& c : kind) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  absl::Status status;
  if (kind == "npy") {
    status = ParseNpy(member.bytes, member.what).status();
  } else if (kind == "npz") {
    status = ParseNpz(member.bytes, member.what).status();
  } else if (kind == "pth") {
    status = ReadTorchTensors(member.bytes, member.what).status();
  } else if (kind == "json") {
    status = ParseJson(member.bytes, member.what).status();
  } else if (kind == "png") {
    status = ParsePng(member.bytes, member.what).status();
  } else {
    return false;
  }
  if (!status.ok()) return status;
  return true;
}

ArchiveReport CheckArchive(const std::string& data_root, const std::string& attribute, const std::string& clip) {
  ArchiveReport report;
  report.archives = 1;
  const std::string path = ClipTarPath(data_root, attribute, clip);
  const DataPlace place{clip, attribute, path, "", 0, 0};
  const auto tar = TarIndex::Open(path);
  if (!tar.ok()) {
    report.bad.push_back(WithDataPlace(tar.status(), place));
    return report;
  }
  const std::vector<TarMember>& members = (*tar)->members();
  if (members.empty()) report.bad.push_back(WithDataPlace(DataError(path + ": the tar is empty"), place));
  report.members = static_cast<int64_t>(members.size());
  for (const TarMember& member : members) report.bytes += member.size;
  for (size_t i = 0; i < members.size(); i += std::max<size_t>(1, members.size() - 1)) {
    const absl::StatusOr<bool> decoded = UseMember(ReadMember(**tar, members[i], attribute, clip), Decode);
    if (!decoded.ok()) {
      report.bad.push_back(decoded.status());
    } else {
      ++(*decoded ? report.decoded : report.read_only);
    }
  }
  return report;
}

}  // namespace

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
  Prefetcher<ArchiveReport>::Options options;
  options.end = static_cast<uint64_t>(total);
  options.threads = threads;
  options.capacity = 4 * std::max(1, threads);
  Prefetcher<ArchiveReport> archives(options, [&](uint64_t k) -> absl::StatusOr<ArchiveReport> {
    return CheckArchive(data.data_root(), data.attributes(static_cast<int>(k % attributes)), ids[k / attributes]);
  });
  ArchiveReport all;
  while (all.archives < total) {
    all.stopped = stop && stop();
    if (all.stopped) break;
    ASSIGN_OR_RETURN(const std::optional<ArchiveReport> one, archives.Next(std::chrono::milliseconds(50)));
    if (!one.has_value()) continue;
    all.archives += one->archives;
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
