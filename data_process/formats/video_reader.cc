// Reads frames in these steps:
//   1. Only regular files are opened, by the containers and decoders of the lists below, without other files or
//   networks.
//   2. The size of the stream is checked when the header has been read, before anything is decoded.
//   3. Packets go to the decoder one by one; frames come out in the order of their presentation. What FFmpeg returns,
//      flags or only logs as an error ends the reading: it would conceal it otherwise.
//   4. Each packet of H.264 and HEVC is a frame that is shown at the packet's time: a time that is passed over is a
//   frame
//      that the decoder gave up without a word.
//   5. At the end of the file, as many packets must have been read as the container's index has.
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "data_process/formats/video.h"
#include "data_process/formats/video_ffmpeg.h"

extern "C" {
#include <libavutil/imgutils.h>
}

namespace cubist {
namespace {

constexpr char kContainers[] = "mov,matroska,avi,asf,flv";
constexpr char kDecoders[] = "h264,hevc,mpeg4,vp8,vp9,libdav1d,ffv1,mjpeg,wmv1,wmv2,wmv3,vc1,flv";
constexpr int kMaxStreams = 16;
// How far is read to learn what the header does not say.
constexpr int64_t kMaxProbeBytes = 1 << 20;
constexpr int64_t kMaxProbeMicroseconds = 1000000;

using Clock = std::chrono::steady_clock;

class FfmpegReader : public VideoReader {
 public:
  FfmpegReader(std::string path, const VideoLimits& limits)
      : path_(std::move(path)), limits_(limits), left_(limits.max_seconds) {}
  ~FfmpegReader() override { avformat_close_input(&container_); }

  absl::Status Start() {
    return Guarded([&] { return OpenStream(); });
  }

  absl::StatusOr<std::optional<HostTensor>> Next() override {
    ASSIGN_OR_RETURN(const bool decoded, Skip());
    if (!decoded) return std::optional<HostTensor>();
    HostTensor image;
    RETURN_IF_ERROR(Guarded([&] { return Convert(&image); }));
    return std::optional<HostTensor>(std::move(image));
  }

  absl::StatusOr<bool> Skip() override {
    bool decoded = false;
    RETURN_IF_ERROR(Guarded([&] { return Decode(&decoded); }));
    return decoded;
  }

  int64_t width() const override { return parameters_->width; }
  int64_t height() const override { return parameters_->height; }
  std::optional<int64_t> indexed_frames() const override {
    AVStream* const video = container_->streams[stream_];
    // A movie in fragments has none in its header.
    if (!IsMov() || video->nb_frames == 0) return std::nullopt;
    int64_t frames = 0;
    for (int i = 0; i < avformat_index_get_entries_count(video); ++i) {
      // What an edit list hides is decoded, but not shown.
      if ((avformat_index_get_entry(video, i)->flags & AVINDEX_DISCARD_FRAME) == 0) ++frames;
    }
    return frames;
  }
  double frames_per_second() const override {
    const AVRational rate = container_->streams[stream_]->avg_frame_rate;
    return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
  }

 private:
  // Runs a step within the time that is left. The first error stays.
  template <typename Step>
  absl::Status Guarded(const Step& step) {
    if (!failure_.ok()) return failure_;
    const AvLogScope scope(&log_);
    const Clock::time_point begin = Clock::now();
    deadline_ = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(left_));
    failure_ = step();
    left_ -= std::chrono::duration<double>(Clock::now() - begin).count();
    return failure_;
  }

  bool TimeIsUp() const { return Clock::now() >= deadline_; }
  static int OnInterrupt(void* reader) { return static_cast<const FfmpegReader*>(reader)->TimeIsUp() ? 1 : 0; }

  absl::Status Fault(std::string_view message) const {
    return DataError(absl::StrCat(path_, ": video after ", frames_, " frames, at ", absl::StrFormat("%.3f", seconds_),
                                  " s: ", absl::string_view(message.data(), message.size())));
  }
  // The time limit shows as all kinds of errors of FFmpeg.
  absl::Status Fault(int error, std::string_view step) const {
    if (TimeIsUp()) return TimeFault();
    return Fault(absl::StrCat(absl::string_view(step.data(), step.size()), ": ", AvErrorText(error, log_)));
  }
  absl::Status TimeFault() const {
    return Fault(absl::StrCat("reading it takes more than the limit of ", limits_.max_seconds, " seconds"));
  }

  absl::Status CheckPixels(const AVCodecParameters& parameters) const {
    if (int64_t{parameters.width} * parameters.height <= limits_.max_pixels) return absl::OkStatus();
    return Fault(absl::StrCat("frames of ", parameters.width, "x", parameters.height,
                              " pixels are more than the limit of ", limits_.max_pixels));
  }

  // What FFmpeg may allocate for: it decodes whole blocks, with margins, and counts them.
  int64_t MaxCodedPixels() const { return 2 * limits_.max_pixels + (1 << 16); }

  absl::Status OpenStream() {
    struct stat info;
    if (::stat(path_.c_str(), &info) != 0) return Fault(ErrnoText(errno));
    if (!S_ISREG(info.st_mode)) return Fault("not a regular file");
    container_ = avformat_alloc_context();
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (container_ == nullptr || packet_ == nullptr || frame_ == nullptr) return InternalError("no memory for FFmpeg");
    container_->interrupt_callback = {&FfmpegReader::OnInterrupt, this};
    container_->probesize = kMaxProbeBytes;
    container_->max_analyze_duration = kMaxProbeMicroseconds;
    container_->max_streams = kMaxStreams;
    container_->error_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    av_dict_set(&options, "format_whitelist", kContainers, 0);
    av_dict_set(&options, "codec_whitelist", kDecoders, 0);
    // On an error the container is freed, and set to null. The prefix keeps a name with a colon from being a protocol.
    int error = avformat_open_input(&container_, absl::StrCat("file:", path_).c_str(), nullptr, &options);
    av_dict_free(&options);
    if (error < 0) return Fault(error, "the header cannot be read");
    for (unsigned i = 0; i < container_->nb_streams; ++i) {
      RETURN_IF_ERROR(CheckPixels(*container_->streams[i]->codecpar));
    }
    if (IsMov()) RETURN_IF_ERROR(CheckBoxes());
    RETURN_IF_ERROR(Probe());
    const AVCodec* codec = nullptr;
    stream_ = av_find_best_stream(container_, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (stream_ < 0) return Fault("no video in a codec that can be read");
    for (unsigned i = 0; i < container_->nb_streams; ++i) {
      if (static_cast<int>(i) != stream_) container_->streams[i]->discard = AVDISCARD_ALL;
    }
    parameters_ = container_->streams[stream_]->codecpar;
    if (parameters_->width <= 0 || parameters_->height <= 0) return Fault("the header has no frame size");
    RETURN_IF_ERROR(CheckPixels(*parameters_));
    return OpenDecoder(codec);
  }

  bool IsMov() const { return std::strncmp(container_->iformat->name, "mov", 3) == 0; }

  // A file of the mov family is a row of boxes that ends where the file does (ISO/IEC 14496-12, 4.2). FFmpeg would take
  // one that lost its last fragments for shorter.
  absl::Status CheckBoxes() const {
    AVIOContext* const io = container_->pb;
    const int64_t resume = avio_tell(io);
    const int64_t end = avio_size(io);
    for (int64_t at = 0; at < end;) {
      if (TimeIsUp()) return TimeFault();
      avio_seek(io, at, SEEK_SET);
      uint64_t size = avio_rb32(io);
      avio_skip(io, 4);  // its type
      if (size == 1) size = avio_rb64(io);
      if (size == 0 && end - at >= 8) break;  // up to the end
      if (size < 8 || size > static_cast<uint64_t>(end - at)) {
        return Fault(absl::StrCat("truncated or damaged: a box of ", size, " bytes at offset ", at, " of ", end));
      }
      at += static_cast<int64_t>(size);
    }
    return avio_seek(io, resume, SEEK_SET) == resume ? absl::OkStatus() : Fault("it cannot be sought in");
  }

  // Reads ahead for what the header does not say, which may decode a frame.
  absl::Status Probe() {
    std::vector<AVDictionary*> options(container_->nb_streams, nullptr);
    for (AVDictionary*& of_stream : options) {
      av_dict_set_int(&of_stream, "max_pixels", MaxCodedPixels(), 0);
      av_dict_set(&of_stream, "threads", "1", 0);
    }
    const int error = avformat_find_stream_info(container_, options.data());
    for (AVDictionary*& of_stream : options) av_dict_free(&of_stream);
    return error < 0 ? Fault(error, "the header is not enough to read the video") : absl::OkStatus();
  }

  absl::Status OpenDecoder(const AVCodec* codec) {
    decoder_.reset(avcodec_alloc_context3(codec));
    if (decoder_ == nullptr) return InternalError("no memory for FFmpeg");
    int error = avcodec_parameters_to_context(decoder_.get(), parameters_);
    decoder_->pkt_timebase = container_->streams[stream_]->time_base;
    decoder_->thread_count = 1;  // errors are logged in this thread, and nothing depends on the machine
    decoder_->max_pixels = MaxCodedPixels();
    // FFmpeg finds the blocks that no slice has reached, and marks their frame, only where it would conceal them:
    // CheckFrame() refuses such frames. Its own choice of how; nobody sees the outcome.
    decoder_->error_concealment = FF_EC_GUESS_MVS | FF_EC_DEBLOCK;
    decoder_->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    // Damaged frames come out, marked, where they would be left out silently.
    decoder_->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
    decoder_->flags2 |= AV_CODEC_FLAG2_SHOW_ALL;
    // Not the fields of interlaced video, which may lie in packets of their own.
    frame_a_packet_ =
        (codec->id == AV_CODEC_ID_H264 || codec->id == AV_CODEC_ID_HEVC) &&
        (parameters_->field_order == AV_FIELD_UNKNOWN || parameters_->field_order == AV_FIELD_PROGRESSIVE);
    if (error >= 0) error = avcodec_open2(decoder_.get(), codec, nullptr);
    return error < 0 ? Fault(error, "the decoder cannot be opened") : absl::OkStatus();
  }

  // Decodes one frame into frame_; `decoded` is false at the end.
  absl::Status Decode(bool* decoded) {
    while (true) {
      if (TimeIsUp()) return TimeFault();
      av_frame_unref(frame_.get());
      const int error = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (error == AVERROR_EOF) return CheckLastFrame();
      if (error == 0) {
        *decoded = true;
        return CheckFrame();
      }
      if (error != AVERROR(EAGAIN)) return Fault(error, "a frame cannot be decoded");
      RETURN_IF_ERROR(Feed());
      if (!log_.empty()) return Fault(AVERROR_INVALIDDATA, "damaged");
    }
  }

  absl::Status Feed() {
    av_packet_unref(packet_.get());
    int error = av_read_frame(container_, packet_.get());
    if (error == AVERROR_EOF) {
      RETURN_IF_ERROR(CheckEnd());
      error = avcodec_send_packet(decoder_.get(), nullptr);
      return error < 0 ? Fault(error, "the last frames cannot be decoded") : absl::OkStatus();
    }
    if (error < 0) return Fault(error, "the file cannot be read further");
    if (packet_->stream_index != stream_) return absl::OkStatus();
    ++packets_;
    if (frame_a_packet_ && (packet_->flags & AV_PKT_FLAG_DISCARD) == 0 && packet_->pts != AV_NOPTS_VALUE) {
      awaited_.insert(packet_->pts);
    }
    if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) return Fault("truncated or damaged within a frame");
    error = avcodec_send_packet(decoder_.get(), packet_.get());
    return error < 0 ? Fault(error, "a frame cannot be decoded") : absl::OkStatus();
  }

  absl::Status CheckEnd() const {
    if (container_->pb != nullptr && container_->pb->error < 0) return Fault(container_->pb->error, "read error");
    // The index of the mov family has all frames, that of others only some.
    const int indexed = avformat_index_get_entries_count(container_->streams[stream_]);
    if (IsMov() && packets_ < indexed) {
      return Fault(absl::StrCat("truncated: ", packets_, " packets of the ", indexed, " in the index"));
    }
    return absl::OkStatus();
  }

  absl::Status CheckLastFrame() const {
    if (frames_ == 0) return Fault("the file ends without a frame");
    return awaited_.empty() ? absl::OkStatus() : MissingFault();
  }

  absl::Status MissingFault() const {
    return Fault(absl::StrCat("the frame of ", absl::StrFormat("%.3f", Seconds(*awaited_.begin())), " s is missing"));
  }

  double Seconds(int64_t time) const { return static_cast<double>(time) * av_q2d(decoder_->pkt_timebase); }

  absl::Status CheckFrame() {
    if (frame_->best_effort_timestamp != AV_NOPTS_VALUE) {
      seconds_ = Seconds(frame_->best_effort_timestamp);
    }
    if (frame_a_packet_ && frame_->pts != AV_NOPTS_VALUE) {
      if (awaited_.empty()) return Fault("a frame that no packet holds");
      if (*awaited_.begin() != frame_->pts) return MissingFault();
      awaited_.erase(awaited_.begin());
    }
    if (!log_.empty()) return Fault(AVERROR_INVALIDDATA, "damaged");
    if (frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      return Fault("the next frame is damaged, or one that it refers to is missing");
    }
    if (frame_->width != width() || frame_->height != height()) {
      return Fault(absl::StrCat("the next frame has ", frame_->width, "x", frame_->height, " pixels, not the ", width(),
                                "x", height(), " of the header"));
    }
    if (frames_ == 0) format_ = frame_->format;
    if (frame_->format != format_) return Fault("the pixel format changes");
    if (frames_ == limits_.max_frames) return Fault(absl::StrCat("more frames than the limit of ", limits_.max_frames));
    ++frames_;
    return absl::OkStatus();
  }

  absl::Status Convert(HostTensor* image) {
    const int w = frame_->width, h = frame_->height;
    if (scaler_ == nullptr) {
      scaler_.reset(sws_getContext(w, h, static_cast<AVPixelFormat>(format_), w, h, AV_PIX_FMT_RGB24, SWS_BICUBIC,
                                   nullptr, nullptr, nullptr));
      // With its own margins: swscale may write beyond the end of a row.
      rgb_.reset(av_frame_alloc());
      if (rgb_ == nullptr) return InternalError("no memory for FFmpeg");
      rgb_->width = w;
      rgb_->height = h;
      rgb_->format = AV_PIX_FMT_RGB24;
      const int error = av_frame_get_buffer(rgb_.get(), 0);
      if (error < 0) return Fault(error, "its frames cannot be held");
    }
    if (scaler_ == nullptr) return Fault("its pixel format cannot be converted to RGB");
    const int* table = sws_getCoefficients(
        frame_->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_ITU601 : static_cast<int>(frame_->colorspace));
    const bool full_range = frame_->color_range == AVCOL_RANGE_JPEG || format_ == AV_PIX_FMT_YUVJ420P ||
                            format_ == AV_PIX_FMT_YUVJ422P || format_ == AV_PIX_FMT_YUVJ444P;
    // Refused for formats that are RGB already, which need none.
    sws_setColorspaceDetails(scaler_.get(), table, full_range ? 1 : 0, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                             1 << 16, 1 << 16);
    if (sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, h, rgb_->data, rgb_->linesize) != h) {
      return Fault("its pixels cannot be converted to RGB");
    }
    *image = HostTensor(DType::kUInt8, {h, w, 3});
    av_image_copy_plane(image->data<uint8_t>(), 3 * w, rgb_->data[0], rgb_->linesize[0], 3 * w, h);
    return absl::OkStatus();
  }

  const std::string path_;
  const VideoLimits limits_;
  double left_;  // seconds
  Clock::time_point deadline_;
  absl::Status failure_;
  std::string log_;
  AVFormatContext* container_ = nullptr;
  const AVCodecParameters* parameters_ = nullptr;  // of the stream
  AvPtr<AVCodecContext> decoder_;
  AvPtr<AVPacket> packet_;
  AvPtr<AVFrame> frame_;
  AvPtr<AVFrame> rgb_;
  AvPtr<SwsContext> scaler_;
  int stream_ = -1;
  int format_ = AV_PIX_FMT_NONE;
  bool frame_a_packet_ = false;
  std::multiset<int64_t> awaited_;  // times of packets whose frames have not come out yet
  int64_t packets_ = 0;
  int64_t frames_ = 0;
  double seconds_ = 0;  // when the last frame is shown
};

}  // namespace

absl::StatusOr<std::unique_ptr<VideoReader>> VideoReader::Open(const std::string& path, const VideoLimits& limits) {
  auto reader = std::make_unique<FfmpegReader>(path, limits);
  RETURN_IF_ERROR(reader->Start());
  return reader;
}

absl::StatusOr<int64_t> CountFrames(const std::string& path, const VideoLimits& limits) {
  ASSIGN_OR_RETURN(const std::unique_ptr<VideoReader> reader, VideoReader::Open(path, limits));
  for (int64_t count = 0;; ++count) {
    ASSIGN_OR_RETURN(const bool decoded, reader->Skip());
    if (!decoded) return count;
  }
}

absl::StatusOr<HostTensor> ReadFrames(const std::string& path, int64_t first, int64_t count,
                                      const VideoLimits& limits) {
  ASSIGN_OR_RETURN(const std::unique_ptr<VideoReader> reader, VideoReader::Open(path, limits));
  HostTensor frames(DType::kUInt8, {count, reader->height(), reader->width(), 3});
  std::byte* out = frames.bytes();
  for (int64_t at = 0; at < first + count; ++at) {
    bool decoded = false;
    if (at < first) {
      ASSIGN_OR_RETURN(decoded, reader->Skip());
    } else {
      ASSIGN_OR_RETURN(const std::optional<HostTensor> frame, reader->Next());
      decoded = frame.has_value();
      if (decoded) out = std::copy_n(frame->bytes(), frame->byte_size(), out);
    }
    if (!decoded) {
      return DataError(
          absl::StrCat(path, ": video of ", at, " frames; ", first, " to ", first + count - 1, " are wanted"));
    }
  }
  return frames;
}

}  // namespace cubist
