#include "tools/training/communicator/gather_strings.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

absl::Status MakeStatus(int exit_code, const std::string& message) {
  switch (static_cast<ExitCode>(exit_code)) {
    case ExitCode::kConfig:
      return ConfigError(message);
    case ExitCode::kData:
      return DataError(message);
    case ExitCode::kNotFinite:
      return NotFiniteError(message);
    case ExitCode::kPeerLost:
      return PeerLostError(message);
    case ExitCode::kStorage:
      return StorageError(message);
    case ExitCode::kPreempted:
      return PreemptedError(message);
    default:
      return InternalError(message);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> GatherStrings(Communicator& communicator, std::string_view text) {
  const int64_t world_size = communicator.world_size();
  if (world_size == 1) return std::vector<std::string>{std::string(text)};
  const at::Tensor size = at::empty({1}, at::kLong);
  const at::Tensor sizes = at::empty({world_size}, at::kLong);
  size.data_ptr<int64_t>()[0] = static_cast<int64_t>(text.size());
  RETURN_IF_ERROR(communicator.AllGather(size, sizes));
  const int64_t* const lengths = sizes.data_ptr<int64_t>();
  const int64_t longest = *std::max_element(lengths, lengths + world_size);
  std::vector<std::string> texts(static_cast<size_t>(world_size));
  if (longest == 0) return texts;

  const at::Tensor padded = at::zeros({longest}, at::kByte);
  const at::Tensor all = at::empty({world_size, longest}, at::kByte);
  if (!text.empty()) std::memcpy(padded.data_ptr(), text.data(), text.size());
  RETURN_IF_ERROR(communicator.AllGather(padded, all));
  const char* const bytes = static_cast<const char*>(all.data_ptr());
  for (int64_t rank = 0; rank < world_size; ++rank) {
    texts[static_cast<size_t>(rank)].assign(bytes + rank * longest, static_cast<size_t>(lengths[rank]));
  }
  return texts;
}

absl::Status AgreeOnStatus(Communicator& communicator, const absl::Status& status) {
  // "<exit code> <message>"; nothing when all is well.
  std::string text;
  if (!status.ok()) text = absl::StrCat(static_cast<int>(ExitCodeOf(status)), " ", status.message());
  const absl::StatusOr<std::vector<std::string>> texts = GatherStrings(communicator, text);
  if (!texts.ok()) return status.ok() ? texts.status() : status;
  const auto failed =
      std::find_if(texts->begin(), texts->end(), [](const std::string& other) { return !other.empty(); });
  if (failed == texts->end()) return absl::OkStatus();
  const int rank = static_cast<int>(failed - texts->begin());
  if (rank == communicator.rank()) return status;
  const size_t space = failed->find(' ');
  int exit_code = 0;
  if (!absl::SimpleAtoi(failed->substr(0, space), &exit_code)) exit_code = static_cast<int>(ExitCode::kInternal);
  return MakeStatus(exit_code, absl::StrCat("rank ", rank, ": ", failed->substr(space + 1)));
}

}  // namespace cubist
