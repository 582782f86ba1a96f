#include "data_process/synthesis/clip_video.h"

#include <utility>

#include "base/status.h"
#include "data_process/formats/video.h"

namespace cubist {
namespace {

class FfmpegClipVideo : public ClipVideo {
 public:
  explicit FfmpegClipVideo(std::unique_ptr<VideoWriter> writer) : writer_(std::move(writer)) {}
  absl::Status Append(const HostTensor& frame) override { return writer_->Append(frame); }
  absl::Status Finish() override { return writer_->Finish(); }

 private:
  std::unique_ptr<VideoWriter> writer_;
};

}  // namespace

ClipVideoOpener FfmpegClipVideos() {
  return
      [](FileOps& ops, const std::string& path, int width, int height) -> absl::StatusOr<std::unique_ptr<ClipVideo>> {
        VideoWriterOptions options;
        options.width = width;
        options.height = height;
        options.preset = "superfast";
        ASSIGN_OR_RETURN(std::unique_ptr<VideoWriter> writer, VideoWriter::Create(ops, path, options));
        return std::make_unique<FfmpegClipVideo>(std::move(writer));
      };
}

}  // namespace cubist
