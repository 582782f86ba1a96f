#include "data_process/formats/video_ffmpeg.h"

#include <mutex>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

extern "C" {
#include <libavutil/log.h>
#include <libavutil/mem.h>
}

namespace cubist {
namespace {

constexpr size_t kMaxLogBytes = 400;
// Of one allocation by FFmpeg: bounds what a hostile index can make it reserve.
constexpr size_t kMaxAllocationBytes = size_t{1} << 30;

thread_local std::string* current_log = nullptr;

void OnLog(void* source, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR || current_log == nullptr || current_log->size() >= kMaxLogBytes) return;
  char line[256];
  int print_prefix = 0;
  av_log_format_line2(source, level, format, arguments, line, sizeof(line), &print_prefix);
  const std::string text = absl::CHexEscape(absl::StripSuffix(line, "\n"));
  absl::StrAppend(current_log, current_log->empty() ? "" : "; ", text);
}

}  // namespace

AvLogScope::AvLogScope(std::string* text) : outer_(current_log) {
  static std::once_flag once;
  std::call_once(once, [] {
    av_log_set_callback(OnLog);
    av_max_alloc(kMaxAllocationBytes);
  });
  current_log = text;
}

AvLogScope::~AvLogScope() { current_log = outer_; }

std::string AvErrorText(int error, const std::string& log) {
  char name[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, name, sizeof(name));
  return log.empty() ? std::string(name) : absl::StrCat(name, " (", log, ")");
}

}  // namespace cubist
