// Frames are converted, encoded and muxed into memory; Finish moves the index to the front (FFmpeg does so by reading
// back what it wrote) and writes the file as a whole.
#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/video.h"
#include "data_process/formats/video_ffmpeg.h"

extern "C" {
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
}

namespace cubist {
namespace {

// The same planes on every CPU: no approximate SIMD.
constexpr int kScaleFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT;
constexpr int kTransferBytes = 1 << 16;

// The file in memory. Writes go to `at`; FFmpeg opens it a second time to read, with a place of its own.
struct MemorySink {
  std::string bytes;
  int64_t at = 0;
  int64_t max_bytes = 0;
  bool full = false;
};

struct MemorySource {
  const MemorySink* sink;
  int64_t at = 0;
};

template <typename Place>
int64_t Seek(Place* place, int64_t size, int64_t offset, int whence) {
  if (whence == AVSEEK_SIZE) return size;
  if (whence == SEEK_CUR) offset += place->at;
  if (whence == SEEK_END) offset += size;
  // Beyond the end is allowed, as in files: FFmpeg leaves room for the index that way.
  return offset < 0 ? AVERROR(EINVAL) : place->at = offset;
}

int OnWrite(void* opaque, uint8_t* data, int size) {
  auto* sink = static_cast<MemorySink*>(opaque);
  const int64_t end = sink->at + size;
  if (end > sink->max_bytes) {
    sink->full = true;
    return AVERROR(ENOSPC);
  }
  if (end > static_cast<int64_t>(sink->bytes.size())) sink->bytes.resize(static_cast<size_t>(end));
  std::memcpy(&sink->bytes[static_cast<size_t>(sink->at)], data, static_cast<size_t>(size));
  sink->at = end;
  return size;
}

int64_t OnSeekSink(void* opaque, int64_t offset, int whence) {
  auto* sink = static_cast<MemorySink*>(opaque);
  return Seek(sink, static_cast<int64_t>(sink->bytes.size()), offset, whence);
}

int OnRead(void* opaque, uint8_t* data, int size) {
  auto* source = static_cast<MemorySource*>(opaque);
  const int64_t left = static_cast<int64_t>(source->sink->bytes.size()) - source->at;
  const int count = static_cast<int>(std::min<int64_t>(left, size));
  if (count <= 0) return AVERROR_EOF;
  std::memcpy(data, source->sink->bytes.data() + source->at, static_cast<size_t>(count));
  source->at += count;
  return count;
}

int64_t OnSeekSource(void* opaque, int64_t offset, int whence) {
  auto* source = static_cast<MemorySource*>(opaque);
  return Seek(source, static_cast<int64_t>(source->sink->bytes.size()), offset, whence);
}

void FreeTransfer(AVIOContext* transfer) {
  if (transfer != nullptr) av_freep(&transfer->buffer);
  avio_context_free(&transfer);
}

int OnOpen(AVFormatContext* container, AVIOContext** transfer, const char*, int flags, AVDictionary**) {
  if ((flags & AVIO_FLAG_WRITE) != 0) return AVERROR(EPERM);
  auto source = std::make_unique<MemorySource>();
  source->sink = static_cast<const MemorySink*>(container->opaque);
  auto* buffer = static_cast<unsigned char*>(av_malloc(kTransferBytes));
  *transfer = avio_alloc_context(buffer, kTransferBytes, 0, source.get(), OnRead, nullptr, OnSeekSource);
  if (*transfer == nullptr) return AVERROR(ENOMEM);
  source.release();  // OnClose deletes it
  return 0;
}

int OnClose(AVFormatContext*, AVIOContext* transfer) {
  delete static_cast<MemorySource*>(transfer->opaque);
  FreeTransfer(transfer);
  return 0;
}

class FfmpegWriter : public VideoWriter {
 public:
  FfmpegWriter(FileOps& ops, std::string path, const VideoWriterOptions& options)
      : ops_(ops), path_(std::move(path)), options_(options) {
    sink_.max_bytes = options.max_bytes;
  }
  ~FfmpegWriter() override {
    if (container_ != nullptr) FreeTransfer(container_->pb);
    avformat_free_context(container_);
  }

  absl::Status Start() {
    const AvLogScope scope(&log_);
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    if (codec == nullptr) {
      return ConfigError(absl::StrCat(path_,
                                      ": the installed FFmpeg has no libx264, which videos are written with: "
                                      "install a libavcodec that was built with it"));
    }
    RETURN_IF_ERROR(OpenEncoder(codec));
    return OpenContainer();
  }

  absl::Status Append(const HostTensor& image) override {
    if (image.dtype() != DType::kUInt8 || image.shape() != std::vector<int64_t>{options_.height, options_.width, 3}) {
      return InternalError(absl::StrCat(path_, ": frame ", frames_, " is ", image.Describe(), ", not uint8[",
                                        options_.height, ",", options_.width, ",3]"));
    }
    if (finished_) return InternalError(absl::StrCat(path_, ": a frame after the end"));
    const AvLogScope scope(&log_);
    // The encoder may still hold the planes of earlier frames.
    int error = av_frame_make_writable(frame_.get());
    if (error < 0) return Fault(error);
    av_image_copy_plane(rgb_->data[0], rgb_->linesize[0], image.data<uint8_t>(), 3 * options_.width, 3 * options_.width,
                        options_.height);
    sws_scale(scaler_.get(), rgb_->data, rgb_->linesize, 0, options_.height, frame_->data, frame_->linesize);
    frame_->pts = frames_++;
    return Encode(frame_.get());
  }

  absl::Status Finish() override {
    if (finished_ || frames_ == 0) {
      return InternalError(absl::StrCat(path_, finished_ ? ": finished before" : ": a video without frames"));
    }
    const AvLogScope scope(&log_);
    finished_ = true;
    RETURN_IF_ERROR(Encode(nullptr));
    const int error = av_write_trailer(container_);
    avio_flush(container_->pb);
    if (error < 0 || container_->pb->error < 0) return Fault(error < 0 ? error : container_->pb->error);
    return WriteFileAtomically(ops_, path_, sink_.bytes);
  }

 private:
  absl::Status Fault(int error) const {
    if (sink_.full) {
      return StorageError(absl::StrCat(path_, ": the video is larger than the limit of ", sink_.max_bytes, " bytes"));
    }
    return InternalError(absl::StrCat(path_, ": frame ", frames_, " cannot be written: ", AvErrorText(error, log_)));
  }

  absl::Status OpenEncoder(const AVCodec* codec) {
    encoder_.reset(avcodec_alloc_context3(codec));
    packet_.reset(av_packet_alloc());
    if (encoder_ == nullptr || packet_ == nullptr) return InternalError("no memory for FFmpeg");
    encoder_->width = options_.width;
    encoder_->height = options_.height;
    encoder_->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder_->time_base = {1, options_.frames_per_second};
    encoder_->framerate = {options_.frames_per_second, 1};
    encoder_->gop_size = 250;
    encoder_->max_b_frames = 3;
    encoder_->qcompress = 0.5f;
    encoder_->flags |= AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_GLOBAL_HEADER;
    encoder_->thread_count = 1;  // the bytes depend on the number of threads
    AVDictionary* options = nullptr;
    av_dict_set(&options, "preset", options_.preset.c_str(), 0);
    av_dict_set(&options, "crf", "23.5", 0);
    av_dict_set(&options, "sc_threshold", "60", 0);
    av_dict_set(&options, "psy-rd", "0.3:0", 0);
    av_dict_set(&options, "aq-mode", "2", 0);
    av_dict_set(&options, "aq-strength", "0.8", 0);
    av_dict_set(&options, "motion-est", "umh", 0);
    const int error = avcodec_open2(encoder_.get(), codec, &options);
    const bool unknown = av_dict_count(options) > 0;
    av_dict_free(&options);
    if (error < 0 || unknown) {
      return ConfigError(absl::StrCat(path_, ": libx264 does not take ", options_.width, "x", options_.height, " at ",
                                      options_.frames_per_second, " frames/s with preset '", options_.preset,
                                      "': ", AvErrorText(error, log_)));
    }
    return absl::OkStatus();
  }

  absl::Status OpenContainer() {
    ASSIGN_OR_RETURN(rgb_, Planes(AV_PIX_FMT_RGB24));
    ASSIGN_OR_RETURN(frame_, Planes(AV_PIX_FMT_YUV420P));
    // By default to BT.601 in limited range.
    scaler_.reset(sws_getContext(options_.width, options_.height, AV_PIX_FMT_RGB24, options_.width, options_.height,
                                 AV_PIX_FMT_YUV420P, kScaleFlags, nullptr, nullptr, nullptr));
    avformat_alloc_output_context2(&container_, nullptr, "mp4", nullptr);
    auto* buffer = static_cast<unsigned char*>(av_malloc(kTransferBytes));
    AVIOContext* transfer = avio_alloc_context(buffer, kTransferBytes, 1, &sink_, nullptr, OnWrite, OnSeekSink);
    if (container_ == nullptr || scaler_ == nullptr || transfer == nullptr)
      return InternalError("no memory for FFmpeg");
    container_->pb = transfer;
    container_->flags |= AVFMT_FLAG_CUSTOM_IO;
    container_->opaque = &sink_;
    container_->io_open = OnOpen;
    container_->io_close2 = OnClose;
    AVStream* stream = avformat_new_stream(container_, nullptr);
    if (stream == nullptr) return InternalError("no memory for FFmpeg");
    stream->time_base = encoder_->time_base;  // a wish: the muxer makes 1/10240 of 1/10
    stream->avg_frame_rate = encoder_->framerate;
    int error = avcodec_parameters_from_context(stream->codecpar, encoder_.get());
    AVDictionary* options = nullptr;
    av_dict_set(&options, "movflags", "+faststart", 0);
    if (error >= 0) error = avformat_write_header(container_, &options);
    av_dict_free(&options);
    return error < 0 ? Fault(error) : absl::OkStatus();
  }

  absl::StatusOr<AvPtr<AVFrame>> Planes(AVPixelFormat format) const {
    AvPtr<AVFrame> planes(av_frame_alloc());
    if (planes == nullptr) return InternalError("no memory for FFmpeg");
    planes->width = options_.width;
    planes->height = options_.height;
    planes->format = format;
    if (av_frame_get_buffer(planes.get(), 0) < 0) return InternalError("no memory for FFmpeg");
    return planes;
  }

  // Null: the frames that the encoder still holds.
  absl::Status Encode(const AVFrame* frame) {
    int error = avcodec_send_frame(encoder_.get(), frame);
    while (error >= 0) {
      error = avcodec_receive_packet(encoder_.get(), packet_.get());
      if (error < 0) break;
      packet_->duration = 1;
      packet_->stream_index = 0;
      av_packet_rescale_ts(packet_.get(), encoder_->time_base, container_->streams[0]->time_base);
      error = av_write_frame(container_, packet_.get());
      if (error >= 0 && container_->pb->error < 0) error = container_->pb->error;
      av_packet_unref(packet_.get());
    }
    return error == AVERROR(EAGAIN) || error == AVERROR_EOF ? absl::OkStatus() : Fault(error);
  }

  FileOps& ops_;
  const std::string path_;
  const VideoWriterOptions options_;
  std::string log_;
  MemorySink sink_;
  AVFormatContext* container_ = nullptr;
  AvPtr<AVCodecContext> encoder_;
  AvPtr<AVPacket> packet_;
  AvPtr<AVFrame> rgb_;
  AvPtr<AVFrame> frame_;
  AvPtr<SwsContext> scaler_;
  int64_t frames_ = 0;
  bool finished_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VideoWriter>> VideoWriter::Create(FileOps& ops, const std::string& path,
                                                                 const VideoWriterOptions& options) {
  if (options.width < 2 || options.height < 2 || options.width % 2 != 0 || options.height % 2 != 0 ||
      options.frames_per_second < 1) {
    return ConfigError(absl::StrCat(path, ": a video of ", options.width, "x", options.height, " pixels at ",
                                    options.frames_per_second,
                                    " frames/s; width and height have to be even: colours are stored for 2x2 pixels"));
  }
  auto writer = std::make_unique<FfmpegWriter>(ops, path, options);
  RETURN_IF_ERROR(writer->Start());
  return writer;
}

}  // namespace cubist
