#include "tools/training/logging/event_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "tools/training/logging/crc32c.h"

namespace cubist {
namespace {

void AppendLittleEndian(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

uint32_t BigEndian(std::string_view bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

// Width, height and channels from the header chunk (PNG specification, 11.2.2 IHDR).
absl::Status DescribePng(std::string_view png, logging::Image& image) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  if (png.size() < 26 || png.substr(0, 8) != kSignature || png.substr(12, 4) != "IHDR") {
    return InternalError(absl::StrCat("a picture of ", png.size(), " bytes is no PNG file"));
  }
  const int colour_type = static_cast<unsigned char>(png[25]);
  // 0 grey, 2 RGB, 3 palette (shown as RGB), 4 grey and alpha, 6 RGBA.
  const int channels = colour_type == 0 ? 1 : colour_type == 4 ? 2 : colour_type == 6 ? 4 : 3;
  image.set_width(static_cast<int>(BigEndian(png, 16)));
  image.set_height(static_cast<int>(BigEndian(png, 20)));
  image.set_colorspace(channels);
  return absl::OkStatus();
}

}  // namespace

std::string FormatEventRecord(std::string_view bytes) {
  std::string record;
  record.reserve(bytes.size() + 16);
  AppendLittleEndian(record, bytes.size(), 8);
  AppendLittleEndian(record, MaskedCrc32c(record), 4);
  record.append(bytes);
  AppendLittleEndian(record, MaskedCrc32c(bytes), 4);
  return record;
}

EventFileName EventFileNameOfThisProcess() {
  char host[256] = {};
  const bool known = ::gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0';
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return {now, known ? host : "localhost", ::getpid()};
}

EventWriter::EventWriter(FileOps& ops, const std::string& folder, const EventFileName& name,
                         std::optional<int64_t> resumed_step, TelemetryErrors& errors)
    : errors_(errors) {
  // Ten digits, so that names sort by time: TensorBoard reads the files in the order of their names.
  const std::string base = absl::StrFormat("%s/events.out.tfevents.%010d.%s.%d", folder,
                                           static_cast<int64_t>(name.time), name.host, name.process);
  path_ = base;
  // A file of an earlier start within the same second stays.
  struct stat info;
  for (int i = 1; ::lstat(path_.c_str(), &info) == 0; ++i) path_ = absl::StrCat(base, ".", i);
  absl::StatusOr<std::unique_ptr<WritableFile>> opened = ops.Create(path_);
  if (!errors_.Check(opened.status())) return;
  file_ = *std::move(opened);
  logging::Event event;
  event.set_wall_time(name.time);
  event.set_file_version("brain.Event:2");
  Write(event);
  if (resumed_step) {
    // TensorBoard drops what earlier files hold from the step of a START on; the rows of the
    // checkpoint's own step are to stay.
    event.set_step(*resumed_step + 1);
    event.mutable_session_log()->set_status(logging::SessionLog::START);
    Write(event);
  }
}

EventWriter::~EventWriter() {
  if (file_ != nullptr) errors_.Check(file_->Close());
}

void EventWriter::Write(const logging::Event& event) {
  if (file_ == nullptr) {
    // Known to be missing since the start; counted, as the values are lost.
    errors_.Check(StorageError(absl::StrCat(path_, ": could not be created")));
    return;
  }
  const std::string record = FormatEventRecord(event.SerializeAsString());
  if (errors_.Check(file_->Append(record.data(), record.size()))) return;
  // Readers stop at a torn record, so nothing after it would be seen.
  file_ = nullptr;
}

void EventWriter::WriteScalars(int64_t step, double time, const std::vector<std::pair<std::string, double>>& scalars) {
  if (scalars.empty()) return;
  logging::Event event;
  event.set_wall_time(time);
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    logging::Summary::Value& entry = *event.mutable_summary()->add_value();
    entry.set_tag(tag);
    entry.set_simple_value(static_cast<float>(value));
  }
  Write(event);
}

void EventWriter::WriteImage(int64_t step, double time, const std::string& tag, std::string_view png) {
  logging::Event event;
  event.set_wall_time(time);
  event.set_step(step);
  logging::Summary::Value& entry = *event.mutable_summary()->add_value();
  entry.set_tag(tag);
  if (!errors_.Check(DescribePng(png, *entry.mutable_image()))) return;
  entry.mutable_image()->set_encoded_image_string(std::string(png));
  Write(event);
}

void EventWriter::Sync() {
  if (file_ != nullptr) errors_.Check(file_->Sync());
}

}  // namespace cubist
