#include "data_process/synthesis/synthesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "base/parallel_for.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/png.h"
#include "data_process/formats/tar.h"
#include "data_process/formats/video.h"
#include "data_process/scenes/semantic_classes.h"
#include "data_process/synthesis/clip_attributes.h"
#include "data_process/synthesis/clip_video.h"
#include "data_process/synthesis/weather.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

SynthesisOptions Small() {
  SynthesisOptions options;
  options.clips = 3;
  options.frames = 12;
  options.seed = 5;
  options.point_spacing = 0.5;
  options.image_width = 104;
  options.image_height = 60;
  options.open_video = FfmpegClipVideos();
  return options;
}

std::string Extension(const std::string& attribute) {
  return attribute == "caption" ? ".json" : attribute.find("video") != std::string::npos ? ".mp4" : ".tar";
}

class SynthesisTest : public ::testing::Test {
 protected:
  SynthesisTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / test->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~SynthesisTest() override {
    SetParallelThreads(1);
    fs::remove_all(folder_);
  }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  bool IsEmpty() const { return fs::is_empty(folder_); }

  // Relative path -> contents of all files.
  static std::map<std::string, std::string> Contents(const std::string& root) {
    std::map<std::string, std::string> contents;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      std::stringstream bytes;
      bytes << stream.rdbuf();
      contents[fs::relative(entry.path(), root).string()] = bytes.str();
    }
    return contents;
  }

  fs::path folder_;
};

TEST_F(SynthesisTest, TheSameSeedGivesTheSameBytesWhateverTheThreads) {
  SynthesisOptions options = Small();
  options.picture = true;
  SetParallelThreads(1);
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("one"), options).ok());
  SetParallelThreads(3);
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("three"), options).ok());
  const auto one = Contents(Path("one")), three = Contents(Path("three"));
  EXPECT_EQ(one.size(), 3 * SynthesizedAttributes().size() + 1);
  EXPECT_TRUE(one == three);
  // A clip does not depend on how many there are; another seed gives other clips.
  options.clips = 1;
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("first"), options).ok());
  for (const auto& [name, bytes] : Contents(Path("first"))) {
    if (name == "overview.png") continue;
    EXPECT_TRUE(one.at(name) == bytes) << name;
  }
  // Nor on what else is made.
  for (const std::string attribute : {"video_480p_front", "skymask_480p_front", "caption"}) {
    options.attributes = {attribute, attribute};
    ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path(attribute), options).ok());
    const auto alone = Contents(Path(attribute));
    EXPECT_EQ(alone.size(), 2u) << "the attribute and the picture";
    const std::string file = attribute + "/" + ClipIds(5, 1)[0] + Extension(attribute);
    EXPECT_TRUE(alone.at(file) == one.at(file)) << file;
  }
  options.attributes.clear();
  options.seed = 6;
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("other"), options).ok());
  for (const auto& [name, bytes] : Contents(Path("other"))) {
    if (name == "overview.png") continue;
    EXPECT_EQ(one.count(name), 0u) << name;
  }
}

TEST_F(SynthesisTest, FoldersTarsAndMemberNamesAreThoseOfTheLayout) {
  int64_t last_done = 0, last_total = 0;
  const auto report = SynthesizeScenes(SystemFileOps(), Path("data"), Small(), [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last_done);
    last_done = done;
    last_total = total;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(last_done, last_total);
  EXPECT_EQ(last_total, report->files + 3 * 12) << "files and frames";
  EXPECT_EQ(report->files, 3 * static_cast<int64_t>(SynthesizedAttributes().size()));
  EXPECT_GT(report->points, 3 * 10000);
  ASSERT_EQ(report->clips.size(), 3u);
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(Path("data"))) folders.insert(entry.path().filename().string());
  EXPECT_EQ(folders, std::set<std::string>(SynthesizedAttributes().begin(), SynthesizedAttributes().end()));
  for (const std::string& clip : report->clips) {
    EXPECT_TRUE(std::regex_match(clip, std::regex("[0-9]{17,20}(_[0-9]+){4}"))) << clip;
    for (const std::string& attribute : SynthesizedAttributes()) {
      ASSERT_TRUE(fs::exists(Path("data/" + attribute + "/" + clip + Extension(attribute)))) << attribute;
      if (Extension(attribute) != ".tar") continue;
      const auto tar = TarIndex::Open(Path("data/" + attribute + "/" + clip + ".tar"));
      ASSERT_TRUE(tar.ok()) << tar.status();
      const bool per_frame = attribute == "pose" || attribute.find("object_info") != std::string::npos ||
                             attribute.find("480p") != std::string::npos;
      EXPECT_EQ((*tar)->members().size(), per_frame ? 12u : attribute == "extrinsic" ? 2u : 1u) << attribute;
      for (const TarMember& member : (*tar)->members()) EXPECT_EQ(member.name.rfind(clip + ".", 0), 0u) << member.name;
    }
    const auto has = [&](const std::string& attribute, const std::string& suffix) {
      return (*TarIndex::Open(Path("data/" + attribute + "/" + clip + ".tar")))->Find(clip + "." + suffix) != nullptr;
    };
    EXPECT_TRUE(has("pose", "000011.pose.front.npy"));
    EXPECT_TRUE(has("intrinsic", "intrinsic.front.npy"));
    EXPECT_TRUE(has("image_480p_front", "000011.image.front.jpg"));
    EXPECT_TRUE(has("skymask_480p_front", "000000.skymask.front.png"));
    EXPECT_TRUE(has("voxel_depth_100_480p_front", "000000.voxel_depth_100.front.png"));
    EXPECT_TRUE(has("semantic_buffer_480p_front", "000005.semantic_buffer.front.png"));
    EXPECT_TRUE(has("instance_buffer_480p_front", "000010.instance_buffer.front.png"));
    EXPECT_TRUE(has("extrinsic", "extrinsic.lidar_TOP.npy"));
    EXPECT_TRUE(has("dynamic_object_info", "000000.dynamic_object_info.json"));
    EXPECT_TRUE(has("dynamic_object_points_canonical", "dynamic_object_points_canonical.npz"));
    EXPECT_TRUE(has("pc_with_map_without_car_voxelsize_01", "pcd.vs01.pth"));
    EXPECT_TRUE(has("3d_road_edge", "road_edge.json"));
    EXPECT_TRUE(has("3d_road_line_voxelsize_025", "road_line.npy"));
    EXPECT_TRUE(has("3d_road_surface_voxelsize_04", "road_surface.npy"));
  }
}

// The member of a clip's tar as its reader decodes it.
HostTensor Image(const std::string& root, const std::string& attribute, const std::string& clip,
                 const std::string& suffix) {
  const auto tar = TarIndex::Open(root + "/" + attribute + "/" + clip + ".tar");
  EXPECT_TRUE(tar.ok()) << tar.status();
  const TarMember* member = (*tar)->Find(clip + "." + suffix);
  EXPECT_NE(member, nullptr) << suffix;
  const auto bytes = (*tar)->Read(*member);
  const auto image = suffix.find(".jpg") != std::string::npos ? ParseJpeg(*bytes, suffix) : ParsePng(*bytes, suffix);
  EXPECT_TRUE(image.ok()) << image.status();
  return *image;
}

// Peak signal to noise ratio of two uint8 images of one size, in decibels.
double Psnr(const HostTensor& a, const HostTensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double squares = 0;
  for (int64_t k = 0; k < a.size(); ++k) {
    const double difference = static_cast<double>(a.data<uint8_t>()[k]) - b.data<uint8_t>()[k];
    squares += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * a.size() / squares);
}

TEST_F(SynthesisTest, ImagesMasksDepthBuffersAndVideosShowTheSameFrames) {
  SynthesisOptions options = Small();
  options.clips = 2;
  options.image_width = 208;
  options.image_height = 120;
  options.attributes = ImageAttributes();
  options.attributes.insert(options.attributes.end(), VideoAttributes().begin(), VideoAttributes().end());
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("data"), options).ok());
  double worst_image = 1000, worst_buffer = 1000;
  for (const std::string& clip : ClipIds(options.seed, 2)) {
    const std::string image_video = Path("data/video_480p_front/" + clip + ".mp4"),
                      buffer_video = Path("data/semantic_buffer_video_480p_front/" + clip + ".mp4");
    for (const std::string& video : {image_video, buffer_video}) {
      const auto frames = CountFrames(video);
      ASSERT_TRUE(frames.ok()) << frames.status();
      EXPECT_EQ(*frames, options.frames);
    }
    const auto images = ReadFrames(image_video, 0, options.frames),
               buffers = ReadFrames(buffer_video, 0, options.frames);
    ASSERT_TRUE(images.ok() && buffers.ok());
    HostTensor previous;
    for (int frame = 0; frame < options.frames; ++frame) {
      char number[8];
      std::snprintf(number, sizeof(number), "%06d", frame % 1000000);
      const auto member = [&](const std::string& name, const std::string& extension) {
        return Image(Path("data"), name + "_480p_front", clip,
                     std::string(number) + "." + name + ".front." + extension);
      };
      const HostTensor image = member("image", "jpg"), sky = member("skymask", "png"),
                       depth = member("voxel_depth_100", "png"), classes = member("semantic_buffer", "png"),
                       instances = member("instance_buffer", "png");
      EXPECT_EQ(image.Describe(), "uint8[120,208,3]");
      EXPECT_EQ(sky.Describe(), "bool[120,208]");
      EXPECT_EQ(depth.Describe(), "uint16[120,208]");
      EXPECT_EQ(classes.Describe(), "uint8[120,208]");
      EXPECT_EQ(instances.Describe(), "uint16[120,208]");
      HostTensor colours(DType::kUInt8, {120, 208, 3});
      for (int64_t pixel = 0; pixel < sky.size(); ++pixel) {
        const int label = classes.data<uint8_t>()[pixel];
        ASSERT_EQ(sky.data<bool>()[pixel], label == 0);
        ASSERT_TRUE(label != 0 || (depth.data<uint16_t>()[pixel] == 0 && instances.data<uint16_t>()[pixel] == 0));
        for (int c = 0; c < 3; ++c) {
          colours.data<uint8_t>()[3 * pixel + c] = kBufferColours[static_cast<int>(kSemanticClasses[label].group)][c];
        }
      }
      worst_image = std::min(worst_image, Psnr(image, images->Select(frame)));
      worst_buffer = std::min(worst_buffer, Psnr(colours, buffers->Select(frame)));
      EXPECT_TRUE(frame == 0 || Psnr(image, previous) < 45) << "frames differ";
      previous = image;
    }
  }
  std::printf("videos: at least %.1f dB, buffers %.1f dB\n", worst_image, worst_buffer);
  EXPECT_GT(worst_image, 28);
  EXPECT_GT(worst_buffer, 16);
}

TEST_F(SynthesisTest, CaptionsSayTheWeatherOfTheirClip) {
  SynthesisOptions options = Small();
  options.attributes = {"caption"};
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("data"), options).ok());
  const auto contents = Contents(Path("data"));
  const std::vector<std::string> ids = ClipIds(options.seed, options.clips);
  for (int clip = 0; clip < options.clips; ++clip) {
    const Scene scene = MakeScene(options.seed, static_cast<uint64_t>(clip), options.frames);
    const std::string caption =
        WeatherCaption(scene.weather, RandomStream(options.seed, static_cast<uint64_t>(clip), SceneStream::kCaption));
    EXPECT_EQ(contents.at("caption/" + ids[clip] + ".json"), "{\n    \"weather\": \"" + caption + "\"\n}");
  }
}

TEST_F(SynthesisTest, AttributesThatCannotBeMadeAreNamed) {
  SynthesisOptions options = Small();
  options.attributes = {"pose", "skymask_480_front", "lidars"};
  absl::Status status = SynthesizeScenes(SystemFileOps(), Path("data"), options).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("did you mean skymask_480p_front?"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("lidars"));
  // A program without a video encoder says which has one.
  status = SynthesizeScenes(SystemFileOps(), Path("data"), Synthesize(), {"pose", "video_480p_front"}).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("//data_process:synthesize_scenes"));
  options.attributes = {"semantic_buffer_video_480p_front"};
  options.image_height = 61;
  EXPECT_EQ(ExitCodeOf(SynthesizeScenes(SystemFileOps(), Path("data"), options).status()), ExitCode::kConfig);
  EXPECT_TRUE(IsEmpty());
}

TEST_F(SynthesisTest, AnExistingFolderIsRefusedAndKept) {
  fs::create_directories(Path("data/pose"));
  std::ofstream(Path("data/pose/mine.tar")) << "mine";
  const auto report = SynthesizeScenes(SystemFileOps(), Path("data"), Small());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr(Path("data") + " exists already"));
  EXPECT_EQ(Contents(Path("data")).at("pose/mine.tar"), "mine");
  // So is a file of that name; an empty folder is as good as none.
  std::ofstream(Path("file")) << "mine";
  EXPECT_EQ(ExitCodeOf(SynthesizeScenes(SystemFileOps(), Path("file"), Small()).status()), ExitCode::kConfig);
  fs::create_directories(Path("empty"));
  SynthesisOptions one = Small();
  one.clips = 1;
  EXPECT_TRUE(SynthesizeScenes(SystemFileOps(), Path("empty/"), one).ok());
  EXPECT_EQ(Contents(Path("empty")).size(), SynthesizedAttributes().size());
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_)) left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"data", "file", "empty"}));
}

TEST_F(SynthesisTest, StoppingLeavesNothing) {
  // Before all, at the first file, among files and among frames.
  for (const int64_t after : {int64_t{0}, int64_t{1}, int64_t{20}, int64_t{60}}) {
    std::atomic<bool> stop{after == 0};
    bool saw_the_unfinished_folder = false;
    const auto report = SynthesizeScenes(
        SystemFileOps(), Path("new/folders/data"), Small(),
        [&](int64_t done, int64_t) {
          saw_the_unfinished_folder = !fs::exists(Path("new/folders/data")) && !fs::is_empty(Path("new/folders"));
          if (done >= after) stop = true;
        },
        &stop);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kPreempted);
    EXPECT_EQ(saw_the_unfinished_folder, after > 0);
    EXPECT_TRUE(IsEmpty()) << "after " << after;
  }
}

// Fails the n-th change to the file system; waits for no disk.
class FailingOps : public FileOps {
 public:
  explicit FailingOps(int fail_at) : fail_at_(fail_at) {}
  int Done() const { return done_; }

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    RETURN_IF_ERROR(Next(path));
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, SystemFileOps().Create(path));
    return std::make_unique<File>(*this, path, std::move(file));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return SystemFileOps().OpenForAppend(path);
  }
  absl::Status MakeDirectory(const std::string& path) override {
    RETURN_IF_ERROR(Next(path));
    return SystemFileOps().MakeDirectory(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Next(from));
    return SystemFileOps().Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override { return SystemFileOps().RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override { return SystemFileOps().RemoveDirectory(path); }
  absl::Status Truncate(const std::string& path, size_t size) override { return SystemFileOps().Truncate(path, size); }
  absl::Status SyncDirectory(const std::string& path) override { return Next(path); }

 private:
  class File : public WritableFile {
   public:
    File(FailingOps& ops, std::string path, std::unique_ptr<WritableFile> file)
        : ops_(ops), path_(std::move(path)), file_(std::move(file)) {}
    absl::Status Append(const void* bytes, size_t size) override { return file_->Append(bytes, size); }
    absl::Status Sync() override { return ops_.Next(path_); }
    absl::Status Close() override { return file_->Close(); }

   private:
    FailingOps& ops_;
    const std::string path_;
    std::unique_ptr<WritableFile> file_;
  };

  absl::Status Next(const std::string& path) {
    return done_++ == fail_at_ ? StorageError(path + ": disk full") : absl::OkStatus();
  }
  const int fail_at_;
  int done_ = 0;
};

TEST_F(SynthesisTest, AFailureAtAnyPointLeavesNothing) {
  SynthesisOptions options = Small();
  options.clips = 1;
  options.frames = 2;
  options.point_spacing = 1;
  options.image_width = 32;
  options.image_height = 16;
  options.picture = true;
  SetParallelThreads(1);
  FailingOps counting(1 << 20);
  ASSERT_TRUE(SynthesizeScenes(counting, Path("whole"), options).ok());
  fs::remove_all(Path("whole"));
  const int operations = counting.Done();
  // A folder, a file and a sync of each an attribute, and more.
  ASSERT_GT(operations, 4 * static_cast<int>(SynthesizedAttributes().size()));
  // Every fourth, and each of the last ones: picture, syncs of folders, rename.
  for (int fail_at = 0; fail_at < operations; fail_at += fail_at < operations - 20 ? 4 : 1) {
    FailingOps ops(fail_at);
    const auto report = SynthesizeScenes(ops, Path("data"), options);
    ASSERT_FALSE(report.ok()) << "operation " << fail_at;
    EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kStorage) << report.status();
    EXPECT_THAT(std::string(report.status().message()), Not(HasSubstr(".tmp-")));
    ASSERT_TRUE(IsEmpty()) << "operation " << fail_at;
  }
}

TEST_F(SynthesisTest, OptionsOutOfRangeAreNamedTogether) {
  SynthesisOptions options = Small();
  options.clips = 0;
  options.frames = 20000;
  options.point_spacing = -1;
  const absl::Status status = SynthesizeScenes(SystemFileOps(), Path("data"), options).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  for (const char* field : {"clips", "frames", "point_spacing"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
  EXPECT_EQ(ExitCodeOf(SynthesizeScenes(SystemFileOps(), "", Small()).status()), ExitCode::kConfig);
  options = Small();
  options.point_spacing = 1e-4;
  EXPECT_EQ(ExitCodeOf(SynthesizeScenes(SystemFileOps(), Path("data"), options).status()), ExitCode::kConfig);
  EXPECT_TRUE(IsEmpty());
}

TEST_F(SynthesisTest, AConfigMeansTheSameAsItsOptions) {
  Synthesize config;
  const auto defaults = OptionsFrom(config);
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->clips, SynthesisOptions().clips);
  EXPECT_EQ(defaults->frames, SynthesisOptions().frames);
  EXPECT_EQ(defaults->seed, SynthesisOptions().seed);
  EXPECT_EQ(defaults->point_spacing, SynthesisOptions().point_spacing);
  config.set_seed(int64_t{1} << 32);
  EXPECT_EQ(ExitCodeOf(OptionsFrom(config).status()), ExitCode::kConfig);
  config.set_seed(5);
  config.set_clips(1);
  config.set_frames(12);
  config.set_point_spacing(0.5);
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("config"), config, GeometryAttributes()).ok());
  SynthesisOptions options = Small();
  options.clips = 1;
  options.attributes = GeometryAttributes();
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("options"), options).ok());
  EXPECT_TRUE(Contents(Path("config")) == Contents(Path("options")));
}

TEST_F(SynthesisTest, ThePictureShowsTheClips) {
  SynthesisOptions options = Small();
  options.picture = true;
  options.attributes = {"pose"};
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Path("data"), options).ok());
  const std::string png = Contents(Path("data")).at("overview.png");
  const auto picture = ParsePng(png, "overview.png");
  ASSERT_TRUE(picture.ok()) << picture.status();
  ASSERT_EQ(picture->shape().size(), 3u);
  // Two streets of more than 80 m at 4 pixels a metre beside each other.
  EXPECT_GT(picture->shape()[1], 2 * 4 * 80);
  EXPECT_GT(picture->shape()[0], 2 * 4 * 20);
  // Grey roads, blue cars and brown houses are somewhere on it.
  int road = 0, car = 0, house = 0;
  for (int64_t pixel = 0; pixel < picture->shape()[0] * picture->shape()[1]; ++pixel) {
    const uint8_t* rgb = picture->data<uint8_t>() + 3 * pixel;
    const int r = rgb[0], g = rgb[1], b = rgb[2];
    road += r > 60 && r < 90 && g > 65 && b > r && b < 110;
    car += b > 180 && r < 110 && g < 190;
    house += r > 120 && r > g + 30 && g > b + 10;
  }
  EXPECT_GT(road, 20000);
  EXPECT_GT(car, 1000);
  EXPECT_GT(house, 10000);
}

TEST(ClipIdsTest, DistinctAndStable) {
  const std::vector<std::string> many = ClipIds(0, 2000), few = ClipIds(0, 3);
  EXPECT_EQ(std::set<std::string>(many.begin(), many.end()).size(), 2000u);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

}  // namespace
}  // namespace cubist
