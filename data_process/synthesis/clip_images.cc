#include "data_process/synthesis/clip_images.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/png.h"
#include "data_process/formats/tar.h"
#include "data_process/scenes/semantic_classes.h"
#include "data_process/synthesis/frame_renderer.h"

namespace cubist {
namespace {

constexpr char kImage[] = "image_480p_front";
constexpr char kVideo[] = "video_480p_front";
constexpr char kSemanticVideo[] = "semantic_buffer_video_480p_front";
constexpr int kJpegQuality = 100;

struct ImageKind {
  const char* attribute;
  const char* suffix;
  std::string (*encode)(const RenderedFrame& frame);
};

const std::vector<ImageKind>& ImageKinds() {
  static const auto* kinds = new std::vector<ImageKind>{
      {kImage, "image.front.jpg", [](const RenderedFrame& frame) { return FormatJpeg(frame.image, kJpegQuality); }},
      {"skymask_480p_front", "skymask.front.png", [](const RenderedFrame& frame) { return FormatPng(frame.sky); }},
      {"voxel_depth_100_480p_front", "voxel_depth_100.front.png",
       [](const RenderedFrame& frame) { return FormatPng(frame.depth); }},
      {"semantic_buffer_480p_front", "semantic_buffer.front.png",
       [](const RenderedFrame& frame) { return FormatPng(frame.classes); }},
      {"instance_buffer_480p_front", "instance_buffer.front.png",
       [](const RenderedFrame& frame) { return FormatPng(frame.instances); }},
  };
  return *kinds;
}

HostTensor ClassColours(const HostTensor& classes) {
  HostTensor colours(DType::kUInt8, {classes.shape()[0], classes.shape()[1], 3});
  const uint8_t* from = classes.data<uint8_t>();
  uint8_t* to = colours.data<uint8_t>();
  for (int64_t pixel = 0; pixel < classes.size(); ++pixel) {
    const auto& colour = kBufferColours[static_cast<size_t>(kSemanticClasses[from[pixel]].group)];
    to = std::copy(colour.begin(), colour.end(), to);
  }
  return colours;
}

struct OpenTar {
  const ImageKind* kind;
  std::unique_ptr<TarWriter> tar;
};
struct OpenVideo {
  std::string attribute;
  std::unique_ptr<ClipVideo> video;
};

}  // namespace

const std::vector<std::string>& ImageAttributes() {
  static const auto* names = [] {
    auto* made = new std::vector<std::string>;
    for (const ImageKind& kind : ImageKinds()) made->push_back(kind.attribute);
    return made;
  }();
  return *names;
}

const std::vector<std::string>& VideoAttributes() {
  static const auto* names = new std::vector<std::string>{kVideo, kSemanticVideo};
  return *names;
}

absl::Status WriteClipImages(FileOps& ops, const Scene& scene, uint32_t seed, uint64_t clip,
                             const ClipImagesOptions& options, const std::function<absl::Status()>& next_frame) {
  const auto wants = [&](const std::string& attribute) {
    return std::find(options.attributes.begin(), options.attributes.end(), attribute) != options.attributes.end();
  };
  const auto path = [&](const std::string& attribute, const char* extension) {
    return absl::StrCat(options.folder, "/", attribute, "/", options.clip_id, extension);
  };
  std::vector<OpenTar> tars;
  for (const ImageKind& kind : ImageKinds()) {
    if (!wants(kind.attribute)) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<TarWriter> tar, TarWriter::Create(ops, path(kind.attribute, ".tar")));
    tars.push_back({&kind, std::move(tar)});
  }
  std::vector<OpenVideo> videos;
  for (const std::string& attribute : VideoAttributes()) {
    if (!wants(attribute)) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<ClipVideo> video,
                     options.open_video(ops, path(attribute, ".mp4"), options.width, options.height));
    videos.push_back({attribute, std::move(video)});
  }
  if (tars.empty() && videos.empty()) return absl::OkStatus();

  FrameRenderer renderer(scene, seed, clip, options.width, options.height);
  const bool with_image = wants(kImage) || wants(kVideo);
  for (size_t frame = 0; frame < scene.ego.size(); ++frame) {
    RETURN_IF_ERROR(next_frame());
    const RenderedFrame rendered = renderer.Render(static_cast<int>(frame), with_image);
    for (const OpenTar& open : tars) {
      RETURN_IF_ERROR(
          open.tar->Add(absl::StrCat(options.clip_id, ".", absl::Dec(frame, absl::kZeroPad6), ".", open.kind->suffix),
                        open.kind->encode(rendered)));
    }
    for (const OpenVideo& open : videos) {
      RETURN_IF_ERROR(open.video->Append(open.attribute == kVideo ? rendered.image : ClassColours(rendered.classes)));
    }
  }
  for (const OpenTar& open : tars) RETURN_IF_ERROR(open.tar->Finish());
  for (const OpenVideo& open : videos) RETURN_IF_ERROR(open.video->Finish());
  return absl::OkStatus();
}

}  // namespace cubist
