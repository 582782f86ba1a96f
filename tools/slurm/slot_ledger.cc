#include "tools/slurm/slot_ledger.h"

#include <sys/stat.h>

#include <cstdio>
#include <ctime>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "google/protobuf/util/json_util.h"

namespace cubist {

using slurm::SlotEvent;

namespace {

// Not always the last one: the run may be launched again while a job that was cancelled still ends.
Slot* SlotOf(const SlotEvent& event, std::vector<SlotChain>* chains) {
  for (auto chain = chains->rbegin(); chain != chains->rend(); ++chain) {
    for (auto slot = chain->slots.rbegin(); slot != chain->slots.rend(); ++slot) {
      if (slot->started.slot() == event.slot()) return &*slot;
    }
  }
  return nullptr;
}

}  // namespace

std::string FormatSlotEvent(const SlotEvent& event) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  // It fails for fields that JSON cannot hold, which an event has not.
  (void)google::protobuf::util::MessageToJsonString(event, &line, options);
  return line + "\n";
}

absl::Status AppendSlotEvent(FileOps& ops, const std::string& path, SlotEvent event) {
  if (!event.has_time()) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    event.set_time(static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec / 1'000'000) / 1000);
  }
  std::string line = FormatSlotEvent(event);
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && info.st_size > 0) {
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
    if (text.back() != '\n') line.insert(line.begin(), '\n');
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.OpenForAppend(path));
  RETURN_IF_ERROR(file->Append(line.data(), line.size()));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::StatusOr<std::vector<SlotEvent>> ReadSlotEvents(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 && errno == ENOENT) return std::vector<SlotEvent>();
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  std::vector<SlotEvent> events;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    SlotEvent event;
    const auto parsed = google::protobuf::util::JsonStringToMessage(std::string(line), &event, options);
    if (parsed.ok() && event.has_event()) {
      events.push_back(event);
    } else {
      std::fprintf(stderr, "slurm_launch: %s has a line that is no event: %.80s\n", path.c_str(),
                   std::string(line).c_str());
    }
  }
  return events;
}

std::vector<SlotChain> ChainsOf(const std::vector<SlotEvent>& events) {
  std::vector<SlotChain> chains;
  for (const SlotEvent& event : events) {
    if (event.event() == SlotEvent::LAUNCHED || chains.empty()) chains.emplace_back();
    SlotChain& chain = chains.back();
    switch (event.event()) {
      case SlotEvent::LAUNCHED:
        chain.launched = event;
        break;
      case SlotEvent::SUBMITTED:
        chain.submissions.push_back(event);
        if (event.has_after()) ++chain.unstarted;
        break;
      case SlotEvent::STARTED:
        chain.slots.push_back({event, {}, {}});
        chain.unstarted = 0;
        chain.requeued.clear();
        break;
      case SlotEvent::SIGNALLED:
        if (Slot* slot = SlotOf(event, &chains)) slot->signals.push_back(event.signal());
        break;
      case SlotEvent::ENDED:
        if (Slot* slot = SlotOf(event, &chains)) slot->ended = event;
        break;
      case SlotEvent::REQUEUED:
        chain.requeued = event.job();
        break;
      case SlotEvent::CANCEL_REQUESTED:
        chain.cancel_requested = true;
        break;
      case SlotEvent::CHAIN_ENDED:
        chain.ended = event;
        break;
    }
  }
  return chains;
}

}  // namespace cubist
