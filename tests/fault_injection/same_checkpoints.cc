// same_checkpoints A B: exit code 0 if two checkpoint folders hold the same state, bit for bit: tensors of every group,
// and the training state but for the time it took. Says what differs.
#include <cstdio>
#include <cstring>
#include <iterator>

#include "base/status.h"
#include "google/protobuf/util/message_differencer.h"
#include "tools/training/checkpoint/checkpoint_reader.h"

namespace cubist {
namespace {

checkpoint::TrainingState WhatItIs(checkpoint::TrainingState state) {
  state.clear_elapsed_seconds();
  auto& counters = *state.mutable_counters();
  for (auto entry = counters.begin(); entry != counters.end();) {
    entry = entry->first.rfind("replay_base/", 0) == 0 ? counters.erase(entry) : std::next(entry);
  }
  return state;
}

absl::StatusOr<std::string> Difference(const Checkpoint& a, const Checkpoint& b) {
  if (a.Groups() != b.Groups()) return std::string("groups differ");
  for (const std::string& group : a.Groups()) {
    const auto tensors = a.Tensors(group);
    if (tensors.empty() || tensors.size() != b.Tensors(group).size()) return group + ": number of tensors";
    for (const CheckpointTensor& tensor : tensors) {
      ASSIGN_OR_RETURN(const HostTensor left, a.Read(group, tensor.name));
      ASSIGN_OR_RETURN(const HostTensor right, b.Read(group, tensor.name));
      const bool same = left.dtype() == right.dtype() && left.shape() == right.shape() &&
                        std::memcmp(left.bytes(), right.bytes(), left.byte_size()) == 0;
      if (!same) return group + ": " + tensor.name;
    }
  }
  const checkpoint::TrainingState left = WhatItIs(a.state()), right = WhatItIs(b.state());
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  if (!differencer.Compare(left, right)) return "training state: " + difference;
  return std::string();
}

absl::Status Compare(const char* a_folder, const char* b_folder) {
  ASSIGN_OR_RETURN(const Checkpoint a, Checkpoint::Open(a_folder));
  ASSIGN_OR_RETURN(const Checkpoint b, Checkpoint::Open(b_folder));
  ASSIGN_OR_RETURN(const std::string difference, Difference(a, b));
  return difference.empty() ? absl::OkStatus() : DataError(difference);
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const absl::Status status = cubist::Compare(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s and %s: %s\n", argv[1], argv[2], std::string(status.message()).c_str());
  return static_cast<int>(cubist::ExitCodeOf(status));
}
