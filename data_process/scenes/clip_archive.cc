#include "data_process/scenes/clip_archive.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/read_limits.h"

namespace cubist {
namespace {

constexpr size_t kFrameDigits = 6;

const TarMember* FindMember(const TarIndex& tar, const std::string& name) {
  if (const TarMember* member = tar.Find(name)) return member;
  const std::string wanted = absl::AsciiStrToLower(name);
  for (const TarMember& member : tar.members()) {
    if (absl::AsciiStrToLower(member.name) == wanted) return &member;
  }
  return nullptr;
}

// "its frames go from 0 to 99", of members "<clip>.NNNNNN.<suffix>".
std::string DescribeFrames(const TarIndex& tar, const std::string& clip, const std::string& suffix) {
  const auto frames = FramesBySuffix(tar, clip);
  if (const auto found = frames.find(absl::AsciiStrToLower(suffix)); found != frames.end()) {
    return "its frames go from " + std::to_string(found->second.front()) + " to " +
           std::to_string(found->second.back());
  }
  return tar.members().empty() ? "the tar is empty" : "its first member is '" + tar.members()[0].name + "'";
}

}  // namespace

std::map<std::string, std::vector<int64_t>> FramesBySuffix(const TarIndex& tar, const std::string& clip) {
  const std::string front = absl::AsciiStrToLower(clip) + ".";
  std::map<std::string, std::vector<int64_t>> frames;
  for (const TarMember& member : tar.members()) {
    const std::string name = absl::AsciiStrToLower(member.name);
    const size_t end = front.size() + kFrameDigits;
    if (name.compare(0, front.size(), front) != 0 || name.size() <= end + 1 || name[end] != '.') continue;
    const std::string digits = name.substr(front.size(), kFrameDigits);
    if (digits.find_first_not_of("0123456789") != std::string::npos) continue;
    frames[name.substr(end + 1)].push_back(std::stoll(digits));
  }
  for (auto& [suffix, numbers] : frames) {
    std::sort(numbers.begin(), numbers.end());
    // Two members may differ in case only.
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  }
  return frames;
}

absl::StatusOr<MemberBytes> ReadMember(const TarIndex& tar, const TarMember& member, const std::string& attribute,
                                       const std::string& clip) {
  DataPlace place{clip, attribute, tar.path(), member.name, member.offset, member.offset + member.size};
  ASSIGN_OR_RETURN(std::string bytes, WithDataPlace(tar.Read(member), place));
  return MemberBytes{std::move(bytes), tar.path() + ": member '" + member.name + "'", std::move(place)};
}

ClipArchive::ClipArchive(std::string data_root, size_t max_indices, const ReadLimits& limits)
    : data_root_(std::move(data_root)), capacity_(std::max<size_t>(1, max_indices)), limits_(limits) {}

absl::StatusOr<ClipArchive::Tar> ClipArchive::Open(const std::string& path) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (auto found = by_path_.find(path); found != by_path_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
  }
  // Indexing reads a whole tar's headers, so it happens without the lock; two threads may do it for the
  // same tar, and the second one's index is dropped.
  ASSIGN_OR_RETURN(Tar tar, TarIndex::Open(path, TarLimitsFrom(limits_)));
  std::lock_guard<std::mutex> lock(mutex_);
  if (auto found = by_path_.find(path); found != by_path_.end()) return found->second->second;
  recent_.emplace_front(path, tar);
  by_path_[path] = recent_.begin();
  while (recent_.size() > capacity_) {
    by_path_.erase(recent_.back().first);
    recent_.pop_back();  // who still reads it shares the index
  }
  return tar;
}

absl::StatusOr<MemberBytes> ClipArchive::ReadNamed(const std::string& attribute, const std::string& clip,
                                                   const std::string& name,
                                                   const std::function<std::string(const TarIndex&)>& explain) {
  const std::string path = ClipTarPath(data_root_, attribute, clip);
  ASSIGN_OR_RETURN(const Tar tar, WithDataPlace(Open(path), {clip, attribute, path, "", 0, 0}));
  if (const TarMember* member = FindMember(*tar, name)) return ReadMember(*tar, *member, attribute, clip);
  return WithDataPlace(DataError(path + ": there is no member '" + name + "'" + explain(*tar)),
                       {clip, attribute, path, name, 0, 0});
}

absl::StatusOr<MemberBytes> ClipArchive::Read(const std::string& attribute, const std::string& clip,
                                              const std::string& suffix) {
  return ReadNamed(attribute, clip, clip + "." + suffix, [](const TarIndex& tar) {
    return tar.members().empty() ? "; the tar is empty" : "; its first is '" + tar.members()[0].name + "'";
  });
}

absl::StatusOr<MemberBytes> ClipArchive::ReadFrame(const std::string& attribute, const std::string& clip, int64_t frame,
                                                   const std::string& suffix) {
  char digits[24];
  std::snprintf(digits, sizeof(digits), "%06lld", static_cast<long long>(frame));
  return ReadNamed(attribute, clip, clip + "." + digits + "." + suffix, [&](const TarIndex& tar) {
    return " for frame " + std::to_string(frame) + "; " + DescribeFrames(tar, clip, suffix) +
           " (data.frame_start, frame_end, validation_start_frame and the frame offsets say which are read)";
  });
}

size_t ClipArchive::kept_indices() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return recent_.size();
}

}  // namespace cubist
