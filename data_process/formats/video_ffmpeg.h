// What the video reader and writer share: owners of FFmpeg's objects, and its log as part of error messages.
#ifndef CUBIST_DATA_PROCESS_FORMATS_VIDEO_FFMPEG_H_
#define CUBIST_DATA_PROCESS_FORMATS_VIDEO_FFMPEG_H_

#include <memory>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

namespace cubist {

struct AvDeleter {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
template <typename T>
using AvPtr = std::unique_ptr<T, AvDeleter>;

// While it lives, what FFmpeg logs as an error in this thread is kept in `text` (printable, cut), and nothing is
// printed. FFmpeg is silent otherwise, too, once a first one was made.
class AvLogScope {
 public:
  explicit AvLogScope(std::string* text);
  ~AvLogScope();
  AvLogScope(const AvLogScope&) = delete;
  AvLogScope& operator=(const AvLogScope&) = delete;

 private:
  std::string* outer_;
};

// FFmpeg's name of an error, and what it logged, if anything.
std::string AvErrorText(int error, const std::string& log);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_VIDEO_FFMPEG_H_
