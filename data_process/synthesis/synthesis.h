// Data sets of procedurally generated street scenes, in the layout that the readers of real data expect:
// what a first run and the tests train on. Images, depth, buffers and points show the same surfaces.
//
// 1. Everything is written into "<data_root>.tmp-<pid>" beside the target.
// 2. Clips are made in parallel; what a clip holds depends on the seed and its number alone.
// 3. The folder gets its name by one rename when all is on disk. Whatever goes wrong before, or a request
//    to stop, removes it.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_SYNTHESIS_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_SYNTHESIS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/synthesis/clip_images.h"

namespace cubist {

struct SynthesisOptions {
  int clips = 8;
  int frames = 100;  // a clip, ten a second
  uint32_t seed = 0;
  double point_spacing = 0.1;  // m between neighbouring points on a surface
  bool picture = false;        // also write <data_root>/overview.png
  // Of SynthesizedAttributes(); empty: all of them.
  std::vector<std::string> attributes;
  // Size of images and videos in pixels; even for videos. Their attributes say 480p whatever it is.
  int image_width = 832;
  int image_height = 480;
  // For the attributes that are videos; null: they cannot be made.
  ClipVideoOpener open_video;
};

// The attribute folders of a synthetic data set: GeometryAttributes() (clip_attributes.h), then caption, then
// ImageAttributes() and VideoAttributes() (clip_images.h).
const std::vector<std::string>& SynthesizedAttributes();

// Errors: ConfigError, naming all fields that are out of range.
absl::StatusOr<SynthesisOptions> OptionsFrom(const Synthesize& config);

struct SynthesisReport {
  std::vector<std::string> clips;  // ids, in the order of their numbers
  int64_t files = 0;               // tars, captions and videos
  int64_t points = 0;              // static points of all clips
};

// Called with the files written and frames rendered so far, and their number in all, from several threads, one at a
// time.
using SynthesisProgress = std::function<void(int64_t done, int64_t total)>;

// The ids of a data set's clips: as "10107710434105775874_760_000_780_000", digits and underscores.
std::vector<std::string> ClipIds(uint32_t seed, int clips);

// Makes <data_root>/<attribute>/<clip id>.tar (or .json, .mp4) for every attribute that is asked for and every clip,
// the same bytes for the same options whatever the number of threads and whichever other attributes are made.
// `progress` and `stop` may be null; `stop` is looked at before every file and frame.
// Errors: ConfigError when data_root exists (an empty folder is fine), when an option is out of range, an attribute is
// unknown or cannot be made, or when a clip would have more than 40 million points; StorageError when it cannot be
// written; PreemptedError when `stop` became true. Nothing is left behind then.
absl::StatusOr<SynthesisReport> SynthesizeScenes(FileOps& ops, const std::string& data_root,
                                                 const SynthesisOptions& options,
                                                 const SynthesisProgress& progress = nullptr,
                                                 const std::atomic<bool>* stop = nullptr);

// The same with the options of a config; without videos.
absl::StatusOr<SynthesisReport> SynthesizeScenes(FileOps& ops, const std::string& data_root, const Synthesize& config,
                                                 const std::vector<std::string>& attributes,
                                                 const SynthesisProgress& progress = nullptr,
                                                 const std::atomic<bool>* stop = nullptr);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_SYNTHESIS_H_
