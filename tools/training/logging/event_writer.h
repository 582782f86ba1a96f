// TensorBoard events: a file of records (length, CRC, bytes, CRC), each an Event message. Format:
// TensorFlow's core/lib/io/record_writer and core/util/event.proto.
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_EVENT_WRITER_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_EVENT_WRITER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_ops.h"
#include "tools/training/logging/event.pb.h"
#include "tools/training/logging/telemetry_errors.h"

namespace cubist {

// One record: 8 bytes length and 4 bytes masked CRC32C of them, the bytes, 4 bytes masked CRC32C of
// the bytes; all little-endian.
std::string FormatEventRecord(std::string_view bytes);

struct EventFileName {
  double time = 0;  // seconds since 1970-01-01 UTC
  std::string host;
  int64_t process = 0;
};
// This process, now.
EventFileName EventFileNameOfThisProcess();

// Every start writes a file of its own in the folder: events.out.tfevents.<time>.<host>.<process>.
class EventWriter {
 public:
  // `resumed_step`: the run goes on from a checkpoint of this step; TensorBoard is told to drop what an
  // earlier process wrote beyond it.
  EventWriter(FileOps& ops, const std::string& folder, const EventFileName& name, std::optional<int64_t> resumed_step,
              TelemetryErrors& errors);
  ~EventWriter();

  // All values of one step in one record. `time`: seconds since 1970-01-01 UTC. Non-finite numbers
  // are kept: TensorBoard shows them as such. Values are stored as float32.
  void WriteScalars(int64_t step, double time, const std::vector<std::pair<std::string, double>>& scalars);
  // `png`: a whole PNG file, whose header says height, width and channels; anything else counts as an error.
  void WriteImage(int64_t step, double time, const std::string& tag, std::string_view png);
  void Sync();

  const std::string& path() const { return path_; }

 private:
  void Write(const logging::Event& event);
  TelemetryErrors& errors_;
  std::string path_;
  std::unique_ptr<WritableFile> file_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_EVENT_WRITER_H_
