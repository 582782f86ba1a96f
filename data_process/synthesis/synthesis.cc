#include "data_process/synthesis/synthesis.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "configs/field_path.h"
#include "data_process/formats/png.h"
#include "data_process/formats/tar.h"
#include "data_process/synthesis/clip_attributes.h"
#include "data_process/synthesis/overview.h"
#include "data_process/synthesis/weather.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr double kMostPoints = 40e6;
constexpr int kLargestImage = 8192;
constexpr char kCaption[] = "caption";

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What is wrong with an attribute that is asked for, or nothing.
std::string AttributeFlaw(const SynthesisOptions& options, const std::string& attribute) {
  if (!Contains(SynthesizedAttributes(), attribute)) {
    const std::string nearest = NearestWord(attribute, SynthesizedAttributes());
    return absl::StrCat("there is no attribute \"", attribute, "\" to synthesize",
                        nearest.empty() ? absl::StrCat(": there are ", absl::StrJoin(SynthesizedAttributes(), ", "))
                                        : absl::StrCat(", did you mean ", nearest, "?"));
  }
  if (!Contains(VideoAttributes(), attribute)) return "";
  if (options.open_video == nullptr) {
    return absl::StrCat("attribute \"", attribute,
                        "\" is a video, which this program cannot make: make the data with "
                        "//data_process:synthesize_scenes");
  }
  if (options.image_width % 2 != 0 || options.image_height % 2 != 0) {
    return absl::StrCat("attribute \"", attribute, "\" is a video, whose width and height are even, not ",
                        options.image_width, "x", options.image_height);
  }
  return "";
}

absl::Status CheckOptions(const SynthesisOptions& options) {
  std::string wrong;
  const auto check = [&wrong](bool is_fine, const std::string& text) {
    if (!is_fine) absl::StrAppend(&wrong, wrong.empty() ? "" : "; ", text);
  };
  check(options.clips >= 1 && options.clips <= 100000, absl::StrCat("clips is ", options.clips, ", not 1 to 100000"));
  check(options.frames >= 1 && options.frames <= 10000, absl::StrCat("frames is ", options.frames, ", not 1 to 10000"));
  check(options.point_spacing > 0 && options.point_spacing <= 1,
        absl::StrCat("point_spacing is ", options.point_spacing, ", not above 0 and at most 1 m"));
  check(std::min(options.image_width, options.image_height) >= 1 &&
            std::max(options.image_width, options.image_height) <= kLargestImage,
        absl::StrCat("image_size is ", options.image_width, "x", options.image_height, ", not 1x1 to ", kLargestImage,
                     "x", kLargestImage));
  for (const std::string& attribute : options.attributes) {
    const std::string flaw = AttributeFlaw(options, attribute);
    check(flaw.empty(), flaw);
  }
  return wrong.empty() ? absl::OkStatus() : ConfigError(wrong);
}

// Folders on the way to `path` that are not there yet, outermost first.
std::vector<std::string> MissingFolders(const fs::path& path) {
  std::vector<std::string> missing;
  std::error_code ignored;
  for (fs::path at = path; !at.empty() && !fs::exists(at, ignored); at = at.parent_path())
    missing.push_back(at.string());
  std::reverse(missing.begin(), missing.end());
  return missing;
}

// Everything that one call of SynthesizeScenes shares between its threads.
class Work {
 public:
  Work(FileOps& ops, std::string folder, const SynthesisOptions& options, const SynthesisProgress& progress,
       const std::atomic<bool>* stop)
      : ops_(ops),
        folder_(std::move(folder)),
        options_(options),
        progress_(progress),
        stop_(stop),
        ids_(ClipIds(options.seed, options.clips)),
        total_files_(static_cast<int64_t>(options.clips) * static_cast<int64_t>(options.attributes.size())),
        total_(total_files_ + (HasImages() ? static_cast<int64_t>(options.clips) * options.frames : 0)),
        statuses_(options.clips),
        points_(options.clips),
        pictures_(options.clips) {}

  absl::StatusOr<SynthesisReport> Run() {
    for (const std::string& attribute : options_.attributes) {
      RETURN_IF_ERROR(ops_.MakeDirectory(absl::StrCat(folder_, "/", attribute)));
    }
    // Clips side by side; where there is only one, the rows of its images (frame_renderer.h).
    ParallelFor(options_.clips, 1, [this](int64_t begin, int64_t end) {
      for (int64_t clip = begin; clip < end; ++clip) {
        if (failed_.load()) return;
        statuses_[clip] = MakeClip(clip);
        if (!statuses_[clip].ok()) failed_.store(true);
      }
    });
    // The first clip's error is the one to tell.
    for (const absl::Status& status : statuses_) RETURN_IF_ERROR(status);
    if (options_.picture) RETURN_IF_ERROR(WriteOverview());
    for (const std::string& attribute : options_.attributes) {
      RETURN_IF_ERROR(ops_.SyncDirectory(absl::StrCat(folder_, "/", attribute)));
    }
    RETURN_IF_ERROR(ops_.SyncDirectory(folder_));
    RETURN_IF_ERROR(CheckStop());
    SynthesisReport report;
    report.clips = ids_;
    report.files = total_files_;
    for (const int64_t points : points_) report.points += points;
    return report;
  }

 private:
  absl::Status CheckStop() const {
    if (stop_ != nullptr && stop_->load())
      return PreemptedError("stopped before all scenes were made; nothing is kept");
    return absl::OkStatus();
  }

  absl::Status MakeClip(int64_t clip) {
    RETURN_IF_ERROR(CheckStop());
    const auto number = static_cast<uint64_t>(clip);
    ASSIGN_OR_RETURN(const ClipContent content,
                     MakeClipContent(options_.seed, number, options_.frames, options_.point_spacing, kMostPoints));
    points_[clip] = static_cast<int64_t>(content.cloud.labels.size());
    for (const std::string& attribute : options_.attributes) {
      if (!Contains(GeometryAttributes(), attribute)) continue;
      RETURN_IF_ERROR(CheckStop());
      ASSIGN_OR_RETURN(const auto members, AttributeMembers(content, attribute));
      ASSIGN_OR_RETURN(std::unique_ptr<TarWriter> tar,
                       TarWriter::Create(ops_, absl::StrCat(folder_, "/", attribute, "/", ids_[clip], ".tar")));
      for (const auto& [suffix, bytes] : members)
        RETURN_IF_ERROR(tar->Add(absl::StrCat(ids_[clip], ".", suffix), bytes));
      RETURN_IF_ERROR(tar->Finish());
      CountSteps(1);
    }
    if (Contains(options_.attributes, kCaption)) {
      RETURN_IF_ERROR(CheckStop());
      const std::string text =
          WeatherCaption(content.scene.weather, RandomStream(options_.seed, number, SceneStream::kCaption));
      RETURN_IF_ERROR(
          WriteFileAtomically(ops_, absl::StrCat(folder_, "/", kCaption, "/", ids_[clip], ".json"), CaptionJson(text)));
      CountSteps(1);
    }
    RETURN_IF_ERROR(MakeImages(content.scene, number));
    if (options_.picture) pictures_[clip] = RenderOverview(content);
    return absl::OkStatus();
  }

  bool HasImages() const { return ImageFiles() > 0; }
  int64_t ImageFiles() const {
    return std::count_if(options_.attributes.begin(), options_.attributes.end(), [](const std::string& attribute) {
      return Contains(ImageAttributes(), attribute) || Contains(VideoAttributes(), attribute);
    });
  }

  absl::Status MakeImages(const Scene& scene, uint64_t clip) {
    if (!HasImages()) return absl::OkStatus();
    ClipImagesOptions images;
    images.folder = folder_;
    images.clip_id = ids_[clip];
    images.attributes = options_.attributes;
    images.width = options_.image_width;
    images.height = options_.image_height;
    images.open_video = options_.open_video;
    RETURN_IF_ERROR(WriteClipImages(ops_, scene, options_.seed, clip, images, [this] {
      const absl::Status status = CheckStop();
      if (status.ok()) CountSteps(1);
      return status;
    }));
    CountSteps(ImageFiles());
    return absl::OkStatus();
  }

  // Files written and frames begun.
  void CountSteps(int64_t steps) {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_ += steps;
    if (progress_) progress_(done_, total_);
  }

  absl::Status WriteOverview() {
    const std::string png = FormatPng(ContactSheet(pictures_));
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, ops_.Create(folder_ + "/overview.png"));
    RETURN_IF_ERROR(file->Append(png.data(), png.size()));
    RETURN_IF_ERROR(file->Sync());
    return file->Close();
  }

  FileOps& ops_;
  const std::string folder_;
  const SynthesisOptions options_;
  const SynthesisProgress& progress_;
  const std::atomic<bool>* stop_;
  const std::vector<std::string> ids_;
  const int64_t total_files_;
  const int64_t total_;  // and frames
  std::vector<absl::Status> statuses_;
  std::vector<int64_t> points_;
  std::vector<HostTensor> pictures_;
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  int64_t done_ = 0;
};

// Writes all into `temporary` and renames it.
absl::StatusOr<SynthesisReport> MakeAndRename(FileOps& ops, const std::string& temporary, const std::string& data_root,
                                              const SynthesisOptions& options, const SynthesisProgress& progress,
                                              const std::atomic<bool>* stop) {
  RETURN_IF_ERROR(RemoveTree(ops, temporary));
  RETURN_IF_ERROR(MakeDirectories(ops, temporary));
  Work work(ops, temporary, options, progress, stop);
  ASSIGN_OR_RETURN(SynthesisReport report, work.Run());
  RETURN_IF_ERROR(ops.Rename(temporary, data_root));
  if (absl::Status status = ops.SyncDirectory(fs::path(data_root).parent_path().string()); !status.ok()) {
    RemoveTree(ops, data_root).IgnoreError();
    return status;
  }
  return report;
}

}  // namespace

const std::vector<std::string>& SynthesizedAttributes() {
  static const auto* attributes = [] {
    auto* all = new std::vector<std::string>(GeometryAttributes());
    all->push_back(kCaption);
    all->insert(all->end(), ImageAttributes().begin(), ImageAttributes().end());
    all->insert(all->end(), VideoAttributes().begin(), VideoAttributes().end());
    return all;
  }();
  return *attributes;
}

absl::StatusOr<SynthesisOptions> OptionsFrom(const Synthesize& config) {
  if (config.seed() < 0 || config.seed() > int64_t{UINT32_MAX}) {
    return ConfigError(absl::StrCat("seed is ", config.seed(), ", not 0 to 4294967295"));
  }
  SynthesisOptions options;
  options.clips = config.clips();
  options.frames = config.frames();
  options.seed = static_cast<uint32_t>(config.seed());
  options.point_spacing = config.point_spacing();
  options.image_width = config.image_width();
  options.image_height = config.image_height();
  RETURN_IF_ERROR(CheckOptions(options));
  return options;
}

std::vector<std::string> ClipIds(uint32_t seed, int clips) {
  std::vector<std::string> ids;
  std::set<std::string> taken;
  for (int clip = 0; clip < clips; ++clip) {
    RandomStream random(seed, static_cast<uint64_t>(clip), SceneStream::kClipId);
    std::string id;
    do {
      // At least seventeen digits, and the twenty seconds that a clip of the reference lasts.
      const uint64_t segment = uint64_t{10000000000000000} + random.Bits() % uint64_t{18000000000000000000u};
      const int start = 20 * random.Integer(300);
      id = absl::StrCat(segment, "_", start, "_000_", start + 20, "_000");
    } while (!taken.insert(id).second);
    ids.push_back(id);
  }
  return ids;
}

absl::StatusOr<SynthesisReport> SynthesizeScenes(FileOps& ops, const std::string& data_root,
                                                 const SynthesisOptions& wanted, const SynthesisProgress& progress,
                                                 const std::atomic<bool>* stop) {
  // The attributes that are asked for, each once and in one order.
  SynthesisOptions options = wanted;
  if (wanted.attributes.empty()) options.attributes = SynthesizedAttributes();
  RETURN_IF_ERROR(CheckOptions(options));
  const std::vector<std::string> asked = std::move(options.attributes);
  options.attributes.clear();
  for (const std::string& attribute : SynthesizedAttributes()) {
    if (Contains(asked, attribute)) options.attributes.push_back(attribute);
  }
  std::error_code error;
  fs::path target = fs::absolute(data_root, error).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  if (data_root.empty() || error || !target.has_filename()) {
    return ConfigError(absl::StrCat("data_root \"", data_root, "\" names no folder that can be made"));
  }
  const fs::file_status found = fs::symlink_status(target, error);
  if (fs::exists(found) && !(fs::is_directory(found) && fs::is_empty(target, error))) {
    return ConfigError(absl::StrCat(target.string(),
                                    " exists already; scenes are only made into a new folder: name another one with "
                                    "--data_root, or remove this one first"));
  }
  const std::string temporary = absl::StrCat(target.string(), ".tmp-", ::getpid());
  const std::vector<std::string> made = MissingFolders(target.parent_path());
  absl::StatusOr<SynthesisReport> report = MakeAndRename(ops, temporary, target.string(), options, progress, stop);
  if (!report.ok()) {
    RemoveTree(ops, temporary).IgnoreError();
    // Removing a folder that somebody else uses by now fails, as it should.
    for (auto folder = made.rbegin(); folder != made.rend(); ++folder) ops.RemoveDirectory(*folder).IgnoreError();
    return NamingFinalPath(report.status(), temporary, target.string());
  }
  return report;
}

absl::StatusOr<SynthesisReport> SynthesizeScenes(FileOps& ops, const std::string& data_root, const Synthesize& config,
                                                 const std::vector<std::string>& attributes,
                                                 const SynthesisProgress& progress, const std::atomic<bool>* stop) {
  ASSIGN_OR_RETURN(SynthesisOptions options, OptionsFrom(config));
  options.attributes = attributes;
  return SynthesizeScenes(ops, data_root, options, progress, stop);
}

}  // namespace cubist
