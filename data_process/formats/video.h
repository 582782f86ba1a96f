// Videos as frames, by FFmpeg's libraries. Only programs in data_process may link this.
#ifndef CUBIST_DATA_PROCESS_FORMATS_VIDEO_H_
#define CUBIST_DATA_PROCESS_FORMATS_VIDEO_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "data_process/formats/image_limits.h"

namespace cubist {

// One sequential pass over the frames of a file (mp4, mov, mkv, webm, avi, wmv, flv), in the order they are shown.
// Frames are counted by decoding them. Reads nothing but that file. Decodes in the caller's thread.
//
// Errors, here and below: DataError naming path and time: missing or not a regular file, no video, unknown codec, a
// frame that is damaged or missing (nothing is concealed), a frame of another size than the header says, no frame at
// all, more than the limits.
class VideoReader {
 public:
  static absl::StatusOr<std::unique_ptr<VideoReader>> Open(const std::string& path, const VideoLimits& limits = {});
  virtual ~VideoReader() = default;

  // The next frame, uint8 [H,W,3] RGB; empty after the last. By BT.601 in limited range where the stream does not say
  // otherwise. A rotation in the container is not applied.
  virtual absl::StatusOr<std::optional<HostTensor>> Next() = 0;
  // Decodes the next frame without converting it; false after the last.
  virtual absl::StatusOr<bool> Skip() = 0;

  // Pixels.
  virtual int64_t width() const = 0;
  virtual int64_t height() const = 0;
  // As the container says; 0 if it does not.
  virtual double frames_per_second() const = 0;
  // Frames by the index of an mp4 or mov without fragments, which names each; empty in other containers.
  virtual std::optional<int64_t> indexed_frames() const = 0;
};

// How many frames decode without an error, at least 1.
absl::StatusOr<int64_t> CountFrames(const std::string& path, const VideoLimits& limits = {});

// The frames `first` to first + count - 1, uint8 [count,H,W,3]; a DataError if there are fewer.
absl::StatusOr<HostTensor> ReadFrames(const std::string& path, int64_t first, int64_t count,
                                      const VideoLimits& limits = {});

struct VideoWriterOptions {
  int width = 0;   // pixels, even
  int height = 0;  // pixels, even
  int frames_per_second = 10;
  // x264's preset: the reference's is veryslow; superfast serves tests and synthetic scenes.
  std::string preset = "veryslow";
  int64_t max_bytes = int64_t{1} << 30;  // of the file, which is held in memory until Finish
};

// Writes an mp4: H.264 by libx264 in one thread, yuv420p (BT.601, limited range, untagged), with the reference's
// settings; index before the frames. Equal frames give equal bytes.
class VideoWriter {
 public:
  // Nothing is written before Finish. Errors: ConfigError: odd or non-positive sizes, a preset that x264 does not know,
  // an FFmpeg without libx264.
  static absl::StatusOr<std::unique_ptr<VideoWriter>> Create(FileOps& ops, const std::string& path,
                                                             const VideoWriterOptions& options);
  virtual ~VideoWriter() = default;

  // `frame`: uint8 [height,width,3] RGB; another dtype or shape is an InternalError. StorageError: the file would be
  // larger than max_bytes.
  virtual absl::Status Append(const HostTensor& frame) = 0;
  // Completes the file under its name: as a whole or not at all. Once, after at least one frame (else an
  // InternalError). Errors: as Append; StorageError of `ops`.
  virtual absl::Status Finish() = 0;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_VIDEO_H_
