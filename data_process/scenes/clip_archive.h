// Members of the tars <data_root>/<attribute>/<clip>.tar, by exact name, with the indices of recently used
// tars kept.
#ifndef CUBIST_DATA_PROCESS_SCENES_CLIP_ARCHIVE_H_
#define CUBIST_DATA_PROCESS_SCENES_CLIP_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "base/data_place.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/formats/tar.h"

namespace cubist {

// Bytes of one member, how messages name it ("<tar>: member '<name>'"), and where it lies.
struct MemberBytes {
  std::string bytes;
  std::string what;
  DataPlace place;
};

// A member of the tar of this attribute and clip. Errors: those of TarIndex::Read, with the member's DataPlace.
absl::StatusOr<MemberBytes> ReadMember(const TarIndex& tar, const TarMember& member, const std::string& attribute,
                                       const std::string& clip);

// The frames of the members "<clip>.NNNNNN.<suffix>" with six digits, ascending, by suffix in lower case. Names count
// as equal in upper and lower case, as when they are read.
std::map<std::string, std::vector<int64_t>> FramesBySuffix(const TarIndex& tar, const std::string& clip);

// What `consume` makes of a member, an absl::Status or StatusOr; whatever it finds wrong gets the member's
// DataPlace. Where there is no member: why.
template <typename Consume>
auto UseMember(const absl::StatusOr<MemberBytes>& member, const Consume& consume) -> decltype(consume(*member)) {
  if (!member.ok()) return member.status();
  return WithDataPlace(consume(*member), member->place);
}

// Any thread may call.
class ClipArchive {
 public:
  // At most `max_indices` indices are kept; the least recently used goes first.
  ClipArchive(std::string data_root, size_t max_indices, const ReadLimits& limits = ReadLimits::default_instance());

  // The member "<clip>.<suffix>" of the attribute's tar. Where no member has exactly that name, upper
  // and lower case count as equal, because the reference reads keys back in lower case.
  // Errors: DataErrors that name the tar: it is missing or damaged, or lacks the member. All carry their
  // DataPlace; that of a missing member has its name and no bytes.
  absl::StatusOr<MemberBytes> Read(const std::string& attribute, const std::string& clip, const std::string& suffix);

  // The member "<clip>.NNNNNN.<suffix>" with the frame's number in six digits. Errors as above; a missing
  // member's message says which frames there are.
  absl::StatusOr<MemberBytes> ReadFrame(const std::string& attribute, const std::string& clip, int64_t frame,
                                        const std::string& suffix);

  // For what is read of members.
  const ReadLimits& limits() const { return limits_; }

  // Indices that are kept now.
  size_t kept_indices() const;

 private:
  using Tar = std::shared_ptr<const TarIndex>;

  absl::StatusOr<Tar> Open(const std::string& path);
  // The member of this name; `explain` ends the message when there is none.
  absl::StatusOr<MemberBytes> ReadNamed(const std::string& attribute, const std::string& clip, const std::string& name,
                                        const std::function<std::string(const TarIndex&)>& explain);

  const std::string data_root_;
  const size_t capacity_;
  const ReadLimits limits_;
  mutable std::mutex mutex_;
  std::list<std::pair<std::string, Tar>> recent_;  // path and index, newest first
  std::unordered_map<std::string, std::list<std::pair<std::string, Tar>>::iterator> by_path_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CLIP_ARCHIVE_H_
