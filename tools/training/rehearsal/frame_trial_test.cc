#include "tools/training/rehearsal/frame_trial.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/tar.h"
#include "data_process/scenes/scene_reader.h"
#include "data_process/scenes/test_clips.h"
#include "data_process/synthesis/synthesis.h"

namespace cubist {
namespace {

constexpr int kFrames = 8;

// One clip that trains and one that validates, with images of the front camera.
class FrameTrialTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    SynthesisOptions options;
    options.clips = 2;
    options.frames = kFrames;
    options.point_spacing = 0.5;
    options.image_width = 32;
    options.image_height = 20;
    options.attributes = {"pose",
                          "intrinsic",
                          "pc_voxelsize_01",
                          "static_object_info",
                          "dynamic_object_info",
                          "3d_road_line_voxelsize_025",
                          "image_480p_front",
                          "skymask_480p_front",
                          "voxel_depth_100_480p_front"};
    std::filesystem::remove_all(Root());
    ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), Root(), options).ok());
    Data& data = *Config().mutable_data();
    data.set_data_root(Root());
    const std::vector<std::string> ids = ClipIds(options.seed, options.clips);
    data.add_train_clips(ids[0]);
    data.add_validation_clips(ids[1]);
    for (const std::string& attribute : options.attributes) data.add_attributes(attribute);
    for (const double low : {-25.6, -25.6, -6.4}) data.add_crop_min(low);
    for (const double high : {25.6, 25.6, 19.2}) data.add_crop_max(high);
    data.add_input_frame_offsets(1);
    for (const int offset : {0, 2}) data.add_supervision_frame_offsets(offset);
    data.add_input_views(FRONT);
    data.add_supervision_views(FRONT);
    data.add_map_types("road_line");
    data.set_replace_cars_with_cad(true);
    data.set_frame_start(1);
    data.set_frame_end(7);  // from frames 1 to 4 on
    data.set_validation_start_frame(4);
  }
  static std::string Root() { return ::testing::TempDir() + "/frame_trial"; }
  static Experiment& Config() {
    static Experiment& config = *new Experiment();
    return config;
  }
  static std::string TrainClip() { return Config().data().train_clips(0); }
  static std::string ValidationClip() { return Config().data().validation_clips(0); }

  static absl::StatusOr<CheckOutcome> Try(const Experiment& config, int64_t most_clips = 1000, bool stop = false) {
    const auto clips = ClipIndex::Open(config.data());
    if (!clips.ok()) return clips.status();
    return TryFrames(
        *clips, config, 2, [stop] { return stop; }, most_clips);
  }
  static std::string Failure(const Experiment& config) {
    const absl::Status status = Try(config).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
    return std::string(status.message());
  }

  static Members MembersOf(const std::string& attribute, const std::string& clip) {
    Members members;
    const auto tar = TarIndex::Open(ClipTarPath(Root(), attribute, clip));
    for (const TarMember& member : (*tar)->members()) members.emplace_back(member.name, *(*tar)->Read(member));
    return members;
  }
  // Whether the reader can make all samples of a run.
  static bool AllAreRead() {
    const Data& data = Config().data();
    const auto reader = SceneReader::Create(data, /*seed=*/0);
    EXPECT_TRUE(reader.ok()) << reader.status();
    bool all = (*reader)->Read(ValidationClip(), 4, 0, false).ok();
    for (int64_t start = 1; start <= 4; ++start) all = all && (*reader)->Read(TrainClip(), start, 0, true).ok();
    return all;
  }
  // Takes the members of these frames away from an archive, for the time that `use` takes.
  template <typename Use>
  static void Without(const std::string& attribute, const std::string& clip, const std::set<int>& frames,
                      const Use& use) {
    const Members all = MembersOf(attribute, clip);
    Members left;
    for (const auto& member : all) {
      bool gone = false;
      for (const int frame : frames) gone |= member.first.rfind(FrameMember(clip, frame, ""), 0) == 0;
      if (!gone) left.push_back(member);
    }
    ASSERT_LT(left.size(), all.size());
    WriteTestTar(Root(), attribute, clip, left);
    use();
    WriteTestTar(Root(), attribute, clip, all);
  }
};

TEST_F(FrameTrialTest, FindsWhatTheReaderWouldMiss) {
  ASSERT_TRUE(AllAreRead());
  const auto outcome = Try(Config());
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->text,
            "training reads frames 1 to 6: all there in 1 clip\nvalidation reads frames 4 to 6: all there in 1 clip");
  int missed = 0, unneeded = 0;
  for (const std::string& attribute : Config().data().attributes()) {
    for (const std::string& clip : {TrainClip(), ValidationClip()}) {
      const Members all = MembersOf(attribute, clip);
      for (size_t i = 0; i < all.size(); ++i) {
        Members left = all;
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
        WriteTestTar(Root(), attribute, clip, left);
        const bool is_read = AllAreRead();
        EXPECT_EQ(Try(Config()).ok(), is_read) << all[i].first;
        ++(is_read ? unneeded : missed);
      }
      WriteTestTar(Root(), attribute, clip, all);
    }
  }
  // Frames 1 to 6 and 4 to 6 of pose and images, 2 to 5 and 5 of objects, and three once a clip.
  EXPECT_EQ(missed, 4 * (6 + 3) + 2 * (4 + 1) + 3 * 2);
  EXPECT_GT(unneeded, 20);
}

TEST_F(FrameTrialTest, NamesClipAttributeFrameAndField) {
  Without("pose", TrainClip(), {3, 5, 6, 7}, [] {
    const std::string message = Failure(Config());
    EXPECT_NE(message.find("training reads frames 1 to 6: not all there in 1 of 1 clip\n  clip " + TrainClip() +
                           ", pose: 3 of 6 frames are missing, the first is 3 (pose.front.npy)"),
              std::string::npos)
        << message;
    EXPECT_EQ(message.find("validation"), std::string::npos) << message;
    // Frame 3 leaves no start frame that could be proposed.
    EXPECT_EQ(message.find("frame_end"), std::string::npos) << message;
    EXPECT_EQ(message.find("data.train_clips"), std::string::npos) << message;  // no clip is whole
    EXPECT_NE(message.find("\nuse data with clips of 7 frames: synthesize_scenes --frames 7 makes such"),
              std::string::npos)
        << message;
  });
  Without("image_480p_front", TrainClip(), {5, 6, 7}, [] {
    EXPECT_NE(Failure(Config()).find("set data.frame_end=5 (it is 7), or use data with clips of 7 frames: "),
              std::string::npos)
        << Failure(Config());
    EXPECT_EQ(Failure(Config()).find("data.train_clips"), std::string::npos) << Failure(Config());
    Experiment config = Config();
    config.mutable_data()->mutable_synthesize();
    EXPECT_NE(Failure(config).find("makes such, and train, by data.synthesize.frames=7, in a new data.data_root"),
              std::string::npos)
        << Failure(config);
    config.mutable_data()->set_frame_end(5);
    EXPECT_TRUE(Try(config).ok());
    config.mutable_data()->set_frame_end(6);
    EXPECT_FALSE(Try(config).ok());
  });
  Without("pose", ValidationClip(), {2, 5, 6, 7}, [] {
    const std::string message = Failure(Config());
    EXPECT_NE(message.find("pose: 2 of 3 frames are missing, the first is 5 (pose.front.npy)"), std::string::npos)
        << message;
    EXPECT_EQ(message.find("training"), std::string::npos) << message;
    EXPECT_EQ(message.find("set data"), std::string::npos) << message;  // no three frames are left
  });
  Without("pose", ValidationClip(), {5, 6, 7}, [] {
    const std::string message = Failure(Config());
    EXPECT_NE(message.find("set data.validation_start_frame=2 (it is 4)"), std::string::npos) << message;
    Experiment config = Config();
    config.mutable_data()->set_validation_start_frame(2);
    EXPECT_TRUE(Try(config).ok());
    config.mutable_data()->set_validation_start_frame(4);
    config.mutable_validation()->set_interval_epochs(0);  // it never validates
    EXPECT_TRUE(Try(config).ok());
  });
}

TEST_F(FrameTrialTest, LongerClipsAreNoHelp) {
  Without("pose", TrainClip(), {3}, [] {
    const std::string message = Failure(Config());
    EXPECT_NE(message.find("\nuse other data: no clip that was looked at is whole"), std::string::npos) << message;
  });
}

TEST_F(FrameTrialTest, WhatARunWouldSkip) {
  Without("static_object_info", TrainClip(), {5}, [] {  // the start frame 4, of five samples
    Experiment config = Config();
    BadSamples& bad = *config.mutable_data()->mutable_bad_samples();
    bad.set_policy(BadSamples::SKIP);
    bad.set_max_rate(0.2);
    const auto outcome = Try(config);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->verdict, Verdict::kWarning);
    bad.set_max_rate(0.19);
    EXPECT_NE(Failure(config).find("0.2 of all samples lack something, more than data.bad_samples.max_rate, 0.19"),
              std::string::npos)
        << Failure(config);
  });
}

TEST_F(FrameTrialTest, SomeOfTheClips) {
  Experiment config = Config();
  Data& data = *config.mutable_data();
  for (int i = 0; i < 4; ++i) {
    data.add_train_clips("copy" + std::to_string(i));
    for (const std::string& attribute : data.attributes()) {
      Members members = MembersOf(attribute, TrainClip());
      for (auto& [name, bytes] : members) name.replace(0, TrainClip().size(), "copy" + std::to_string(i));
      WriteTestTar(Root(), attribute, "copy" + std::to_string(i), members);
    }
  }
  Without("pose", "copy0", {1}, [&] {  // the second of five
    EXPECT_TRUE(Try(config, 2).ok());
    EXPECT_NE(Try(config, 2)->text.find("in 2 clips of the 5, the others were not looked at"), std::string::npos)
        << Try(config, 2)->text;
    EXPECT_NE(Failure(config).find("1 of 5 clips\n  clip copy0"), std::string::npos) << Failure(config);
    EXPECT_NE(Failure(config).find("\ndata.train_clips can name clips that are whole"), std::string::npos)
        << Failure(config);
  });
}

TEST_F(FrameTrialTest, CannotBeListed) {
  const std::string path = ClipTarPath(Root(), "pose", TrainClip());
  const Members members = MembersOf("pose", TrainClip());
  std::filesystem::resize_file(path, 700);
  EXPECT_NE(Failure(Config()).find(path), std::string::npos) << Failure(Config());
  WriteTestTar(Root(), "pose", TrainClip(), members);
  EXPECT_EQ(ExitCodeOf(Try(Config(), 1000, /*stop=*/true).status()), ExitCode::kPreempted);
}

}  // namespace
}  // namespace cubist
