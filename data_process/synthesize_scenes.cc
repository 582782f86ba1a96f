// Makes a data set of procedurally generated street scenes:
//   synthesize_scenes --data_root DIR [--clips N] [--frames N] [--seed N] [--attributes A,B,...] [--point_spacing M]
//                     [--image_size WxH] [--threads N] [--picture]
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/count_of.h"
#include "base/file_ops.h"
#include "base/parallel_for.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "data_process/synthesis/clip_video.h"
#include "data_process/synthesis/synthesis.h"

namespace cubist {
namespace {

absl::Status Run(const std::string& data_root, const SynthesisOptions& options) {
  const std::atomic<bool>* stop = StopOnSignals();
  // The bar is drawn from the first file on: an error before that stands alone.
  std::unique_ptr<ProgressBar> bar;
  const auto show = [&bar](int64_t done, int64_t total) {
    if (bar == nullptr) bar = std::make_unique<ProgressBar>("scenes (files, frames)", total, StandardErrorIsTerminal());
    bar->Update(done);
  };
  const absl::StatusOr<SynthesisReport> report = SynthesizeScenes(SystemFileOps(), data_root, options, show, stop);
  if (!report.ok()) {
    if (bar != nullptr) bar->Abandon();
    return report.status();
  }
  if (bar != nullptr) bar->Finish();
  std::printf("%s of %s in %s (%.1f million points)\n", CountOf(report->clips.size(), "clip").c_str(),
              CountOf(static_cast<uint64_t>(options.frames), "frame").c_str(), data_root.c_str(),
              static_cast<double>(report->points) * 1e-6);
  return absl::OkStatus();
}

// "832x480" into width and height; what is wrong with it, or nothing.
std::string ParseImageSize(const std::string& text, SynthesisOptions& options) {
  int end = 0;
  const bool is_size = std::sscanf(text.c_str(), "%5dx%5d%n", &options.image_width, &options.image_height, &end) == 2;
  return is_size && end == static_cast<int>(text.size()) ? "" : absl::StrCat(text, " is not WIDTHxHEIGHT in pixels");
}

int Main(int argc, char** argv) {
  SynthesisOptions options;
  options.open_video = FfmpegClipVideos();
  std::string image_size = absl::StrCat(options.image_width, "x", options.image_height);
  std::string data_root;
  int threads = 0;
  CLI::App app("Makes a data set of procedurally generated street scenes, in the layout of the real data.",
               "synthesize_scenes");
  app.option_defaults()->always_capture_default();
  app.add_option("--data_root", data_root, "Folder to make; it must not exist yet")
      ->required()
      ->option_text("DIR REQUIRED");
  app.add_option("--clips", options.clips, "Clips to make")->check(CLI::Range(1, 100000));
  app.add_option("--frames", options.frames, "Frames a clip, at ten a second")->check(CLI::Range(1, 10000));
  app.add_option("--seed", options.seed, "Seed of the scenes: the same seed makes the same files");
  app.add_option("--point_spacing", options.point_spacing, "Metres between neighbouring points on a surface, up to 1");
  app.add_option("--attributes", options.attributes,
                 absl::StrCat("What to make of each clip, separated by commas; left out, all of ",
                              absl::StrJoin(SynthesizedAttributes(), ", ")))
      ->delimiter(',')
      ->option_text("A,B,...");
  app.add_option("--image_size", image_size, "Pixels of images, buffers and videos")
      ->check([&options](const std::string& text) { return ParseImageSize(text, options); })
      ->option_text(absl::StrCat("WxH [", image_size, "]"));
  app.add_option("--threads", threads, "Threads; 0: one a CPU. The files do not depend on it")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--picture", options.picture, "Also write overview.png, the clips seen from above");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    return FinishProgram("synthesize_scenes", ConfigError(absl::StrCat(error.what(), "; see --help")));
  }
  if (threads > 0) SetParallelThreads(threads);
  return FinishProgram("synthesize_scenes", Run(ResolvePath(data_root), options));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
