#include "tools/deployment/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/status.h"
#include "base/subprocess.h"
#include "tools/deployment/bundle_store.h"
#include "tools/deployment/shared_objects.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string TextOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

class BundleTest : public ::testing::Test {
 protected:
  BundleTest() : folder_((fs::path(::testing::TempDir()) / "bundles").string()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::remove_all(input_);
    fs::create_directories(input_ + "/lib");
    fs::copy_file("tools/deployment/testing/greet", program_);
    fs::copy_file("tools/deployment/testing/libgreeting.so", library_);
    // What a library of somebody else may say: DT_RUNPATH, and a folder of the machine that built it.
    fs::permissions(library_, fs::perms::owner_write, fs::perm_options::add);
    EXPECT_EQ(Said({"patchelf", "--set-rpath", "/nowhere", library_}), "");
    std::ofstream(input_ + "/notes") << "some notes\n";
    sources_.programs = {program_};
    sources_.files = {{"texts/inner/notes", input_ + "/notes"}};
  }
  // What a program that runs in an empty environment prints.
  std::string Said(const std::vector<std::string>& arguments) {
    SubprocessOptions options;
    options.environment.emplace();
    const auto result = RunSubprocess(arguments, options);
    return !result.ok() ? std::string(result.status().message()) : result->output + result->error;
  }
  // Names below the folder, the temporary ones of processes included.
  std::set<std::string> Listing(const std::string& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      names.insert(fs::relative(entry.path(), folder).string());
    }
    return names;
  }
  BundlePlan Plan() {
    auto plan = PlanBundle(sources_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.value_or(BundlePlan());
  }
  const std::string folder_, input_ = folder_ + "_of", program_ = input_ + "/greet";
  const std::string library_ = input_ + "/lib/libgreeting.so";
  BundleSources sources_;
};

TEST_F(BundleTest, RunsWhereverItIsMoved) {
  // The library comes with what would lead it astray.
  ASSERT_THAT(Said({"readelf", "--dynamic", library_}), HasSubstr("(RUNPATH)            Library runpath: [/nowhere]"));
  std::vector<int64_t> seen;
  const auto progress = [&](int64_t done, int64_t total) {
    seen.push_back(done);
    return done <= total ? absl::OkStatus() : InternalError("more than all");
  };
  const BundlePlan plan = Plan();
  const absl::Status written = WriteBundle(SystemFileOps(), plan, folder_ + "/made/here", progress);
  ASSERT_TRUE(written.ok()) << written;
  EXPECT_EQ(seen.back(), plan.size());
  fs::rename(folder_ + "/made/here", folder_ + "/moved");
  const std::string moved = folder_ + "/moved";
  EXPECT_EQ(Listing(folder_ + "/made"), std::set<std::string>());
  EXPECT_EQ(Said({moved + "/greet"}), "hello\n");
  // All that is loaded comes from the bundle, but for glibc.
  const std::string loaded = Said({"/lib64/ld-linux-x86-64.so.2", "--list", moved + "/greet"});
  for (const char* library : {"libgreeting.so", "libstdc++.so.6", "libgcc_s.so.1"}) {
    EXPECT_THAT(loaded, HasSubstr(moved + "/lib/" + library + " ")) << loaded;
  }
  EXPECT_THAT(loaded, HasSubstr("libc.so.6 => /lib"));
  EXPECT_EQ(Listing(moved),
            (std::set<std::string>{"MANIFEST", "greet", "lib", "lib/libgcc_s.so.1", "lib/libgreeting.so",
                                   "lib/libstdc++.so.6", "texts", "texts/inner", "texts/inner/notes"}));
  EXPECT_THAT(Said({"readelf", "--dynamic", moved + "/greet"}), HasSubstr("rpath: [$ORIGIN/lib]\n"));
  EXPECT_THAT(Said({"readelf", "--dynamic", moved + "/lib/libgreeting.so"}),
              HasSubstr("(RPATH)              Library rpath: [$ORIGIN]\n"));
  EXPECT_EQ(TextOf(moved + "/texts/inner/notes"), "some notes\n");
}

TEST_F(BundleTest, ProgramsThatNeedNoneOfItsLibrariesStayAsTheyAre) {
  const std::string wandb = "third_party/wandb/", moved = folder_ + "/moved";
  const std::string alone = input_ + "/alone";
  fs::copy_file("tools/deployment/testing/alone", alone);
  fs::permissions(alone, fs::perms::owner_write, fs::perm_options::add);
  ASSERT_EQ(Said({"patchelf", "--set-rpath", "/nowhere", alone}), "");
  sources_.programs = {wandb + "wandb-core", wandb + "wandb-symon", alone};
  ASSERT_TRUE(WriteBundle(SystemFileOps(), Plan(), folder_ + "/made", nullptr).ok());
  fs::rename(folder_ + "/made", moved);
  // It needs glibc's libraries alone, and would not start if patchelf had touched it.
  EXPECT_TRUE(TextOf(moved + "/wandb-core") == TextOf(wandb + "wandb-core"));
  EXPECT_THAT(Said({moved + "/wandb-core", "--help"}), StartsWith("wandb-core - "));
  // It needs GCC's too, which is not a machine's own.
  EXPECT_THAT(Said({"/lib64/ld-linux-x86-64.so.2", "--list", moved + "/wandb-symon"}),
              HasSubstr("libgcc_s.so.1 => " + moved + "/lib/libgcc_s.so.1 "));
  EXPECT_THAT(Said({moved + "/wandb-symon", "--help"}), HasSubstr("Usage: wandb-symon "));
  // No need either, but it would look in a folder of the machine that built it.
  EXPECT_THAT(Said({"readelf", "--dynamic", moved + "/alone"}), HasSubstr("rpath: [$ORIGIN/lib]\n"));
}

TEST_F(BundleTest, LibTorchIsLinkedWherePossible) {
  BundlePlan plan;
  const auto size = static_cast<int64_t>(fs::file_size(library_));
  plan.entries = {{"lib/as_it_is", library_, size, BundlePlan::Kind::kLibTorch, ""},
                  {"lib/changed", library_, size, BundlePlan::Kind::kLibTorch, "$ORIGIN"}};
  const std::string before = TextOf(library_), bundle = folder_ + "/bundle";
  FaultFileOps ops(UnsyncedFileOps());
  ASSERT_TRUE(WriteBundle(ops, plan, bundle, nullptr).ok());
  EXPECT_TRUE(fs::equivalent(bundle + "/lib/as_it_is", library_));
  // What is changed is no link: the source keeps its bytes.
  EXPECT_EQ(fs::hard_link_count(library_), 2u);
  EXPECT_EQ(TextOf(library_), before);
  EXPECT_NE(TextOf(bundle + "/lib/changed"), before);
  fs::remove_all(bundle);
  // A folder on another file system.
  size_t link = 0;
  while (ops.log()[link].kind != FileOperation::Kind::kLink) ++link;
  FaultFileOps elsewhere(UnsyncedFileOps());
  elsewhere.FailAt(link, EXDEV);
  ASSERT_TRUE(WriteBundle(elsewhere, plan, bundle, nullptr).ok());
  EXPECT_EQ(fs::hard_link_count(library_), 1u);
  EXPECT_EQ(TextOf(bundle + "/lib/as_it_is"), before);
  EXPECT_TRUE(CheckBundle(bundle).ok());
}

TEST_F(BundleTest, TheManifestIsThatOfSha256sum) {
  const std::string bundle = folder_ + "/bundle";
  ASSERT_TRUE(WriteBundle(SystemFileOps(), Plan(), bundle, nullptr).ok());
  const std::vector<std::string> check = {"sh", "-c", "cd " + bundle + " && sha256sum --check --strict MANIFEST"};
  const std::string said = Said(check);
  for (const std::string& name : Listing(bundle)) {
    if (name == "MANIFEST" || fs::is_directory(bundle + "/" + name)) continue;
    EXPECT_THAT(said, HasSubstr(name + ": OK\n"));
  }
  EXPECT_TRUE(CheckBundle(bundle).ok()) << CheckBundle(bundle);
  // readelf says what ProgramVersion would.
  const std::string notes = Said({"readelf", "--notes", program_});
  EXPECT_THAT(TextOf(bundle + "/MANIFEST"),
              HasSubstr("# greet: build " + notes.substr(notes.find("Build ID: ") + 10, 16)));
  std::ofstream(bundle + "/lib/libgcc_s.so.1", std::ios::app) << "x";
  EXPECT_EQ(ExitCodeOf(CheckBundle(bundle)), ExitCode::kData);
  EXPECT_THAT(std::string(CheckBundle(bundle).message()), HasSubstr("lib/libgcc_s.so.1: "));
  EXPECT_THAT(Said(check), HasSubstr("lib/libgcc_s.so.1: FAILED"));
}

TEST_F(BundleTest, SaysWhatGlibcItNeeds) {
  const BundlePlan plan = Plan();
  // The newest of all versions that readelf finds asked for, compared by sort.
  std::string files;
  for (const auto& entry : plan.entries) files += entry.kind == BundlePlan::Kind::kFile ? "" : " " + entry.source;
  const std::string newest =
      Said({"sh", "-c", "readelf --version-info" + files + " | grep -oE 'Name: GLIBC_[0-9.]+' | sort -Vu | tail -n 1"});
  const std::string version = std::to_string(plan.glibc.first) + "." + std::to_string(plan.glibc.second);
  EXPECT_EQ("Name: GLIBC_" + version + "\n", newest);
  EXPECT_THAT(DescribeBundle(plan, "/b"), HasSubstr("/b: 1 program, 3 shared libraries, "));
  EXPECT_THAT(DescribeBundle(plan, "/b"), HasSubstr("needs glibc " + version + " or newer\n"));
}

TEST_F(BundleTest, WhatIsMissingIsNamed) {
  sources_.programs = {folder_ + "/no_program"};
  EXPECT_EQ(ExitCodeOf(PlanBundle(sources_).status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(PlanBundle(sources_).status().message()), HasSubstr("no_program"));
  // A program without its library.
  fs::copy_file(program_, folder_ + "/alone");
  sources_.programs = {folder_ + "/alone"};
  EXPECT_EQ(ExitCodeOf(PlanBundle(sources_).status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(PlanBundle(sources_).status().message()),
              HasSubstr("the library libgreeting.so that it needs"));
  sources_.programs = {input_ + "/notes"};
  EXPECT_EQ(ExitCodeOf(PlanBundle(sources_).status()), ExitCode::kConfig);
  sources_.programs = {program_};
  sources_.files[0].source = folder_ + "/no_notes";
  EXPECT_EQ(ExitCodeOf(PlanBundle(sources_).status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(PlanBundle(sources_).status().message()), HasSubstr("no_notes"));
}

TEST_F(BundleTest, NothingIsOverwritten) {
  fs::create_directory(folder_ + "/there");
  const absl::Status status = WriteBundle(SystemFileOps(), Plan(), folder_ + "/there", nullptr);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ + "/there: exists already"));
  EXPECT_EQ(Listing(folder_), std::set<std::string>{"there"});
}

TEST_F(BundleTest, AnInterruptedOneLeavesNothing) {
  const BundlePlan plan = Plan();
  const std::string bundle = folder_ + "/bundle";
  FaultFileOps counting(UnsyncedFileOps());
  ASSERT_TRUE(WriteBundle(counting, plan, bundle, nullptr).ok());
  const std::set<std::string> whole = Listing(bundle);
  fs::remove_all(bundle);
  ASSERT_GT(counting.count(), 20u);
  for (size_t index = 0; index < counting.count(); ++index) {
    FaultFileOps ops(UnsyncedFileOps());
    ops.FailAt(index, ENOSPC);
    const absl::Status status = WriteBundle(ops, plan, bundle, nullptr);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage) << index;
    EXPECT_EQ(status.message().find(".tmp-"), std::string::npos) << status;
    // After the rename it is whole; only that it lasts is not known.
    if (fs::exists(bundle)) {
      EXPECT_EQ(index, counting.count() - 1);
      EXPECT_EQ(Listing(bundle), whole);
      fs::remove_all(bundle);
    }
    EXPECT_EQ(Listing(folder_), std::set<std::string>()) << index;
  }
  RecordProperty("failures", static_cast<int>(counting.count()));
  // The same when it is asked to stop.
  const auto stop = [](int64_t done, int64_t) { return done > 0 ? PreemptedError("stop") : absl::OkStatus(); };
  EXPECT_EQ(ExitCodeOf(WriteBundle(UnsyncedFileOps(), plan, bundle, stop)), ExitCode::kPreempted);
  EXPECT_EQ(Listing(folder_), std::set<std::string>());
}

TEST_F(BundleTest, TheStoreMakesEachBuildOnce) {
  const std::string store = folder_ + "/store";
  const auto first = EnsureBundle(SystemFileOps(), sources_, store, nullptr);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(*first, StartsWith(store + "/cubist-0.1-"));
  EXPECT_EQ(Said({*first + "/greet"}), "hello\n");
  EXPECT_EQ(BundleOf(*first + "/greet"), first.value());
  EXPECT_EQ(BundleOf(program_), std::nullopt);
  const auto inode = [](const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_ino;
  };
  const auto made = inode(*first + "/greet");
  // A killed process left this of the same bundle; another build's is none of ours.
  fs::create_directories(*first + ".tmp-7/lib");
  fs::create_directories(store + "/cubist-0.1-other.tmp-7");
  const auto second = EnsureBundle(SystemFileOps(), sources_, store, nullptr);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(inode(*second + "/greet"), made);
  EXPECT_FALSE(fs::exists(*first + ".tmp-7"));
  EXPECT_TRUE(fs::exists(store + "/cubist-0.1-other.tmp-7"));
  // Another content is another build, though the running program is the same.
  std::ofstream(input_ + "/notes") << "more notes\n";
  const auto third = EnsureBundle(SystemFileOps(), sources_, store, nullptr);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_NE(*third, *first);
  EXPECT_EQ(TextOf(*first + "/texts/inner/notes"), "some notes\n");
  EXPECT_EQ(TextOf(*third + "/texts/inner/notes"), "more notes\n");
  // One that is damaged is neither used nor touched.
  fs::remove(*third + "/lib/libgcc_s.so.1");
  const absl::Status damaged = EnsureBundle(SystemFileOps(), sources_, store, nullptr).status();
  EXPECT_EQ(ExitCodeOf(damaged), ExitCode::kData);
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("lib/libgcc_s.so.1: "));
  EXPECT_THAT(std::string(damaged.message()), HasSubstr("remove the folder " + *third));
}

TEST_F(BundleTest, ProcessesAtOnceMakeOneBundle) {
  constexpr int kProcesses = 4;
  const std::string store = folder_ + "/store";
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      // One of them writes, counted by its operations; the others write nothing.
      FaultFileOps ops(UnsyncedFileOps());
      const auto made = EnsureBundle(ops, sources_, store, nullptr);
      if (!made.ok()) std::fprintf(stderr, "%s\n", std::string(made.status().message()).c_str());
      _exit(!made.ok() ? 2 : ops.count() > 5 ? 1 : 0);
    }
    children.push_back(child);
  }
  int writers = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_LT(WEXITSTATUS(status), 2);
    writers += WEXITSTATUS(status);
  }
  EXPECT_EQ(writers, 1);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(store)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  ASSERT_EQ(names.size(), 2u);
  EXPECT_THAT(names[0], StartsWith("cubist-0.1-"));
  EXPECT_EQ(names[1], "lock");
  EXPECT_EQ(Said({store + "/" + names[0] + "/greet"}), "hello\n");
}

TEST(SharedObjectsTest, WhatComesWithTheMachine) {
  for (const char* library : {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1",
                              "libresolv.so.2", "libmvec.so.1", "libanl.so.1", "libnss_files.so.2", "libnsl.so.1",
                              "ld-linux-x86-64.so.2", "libcuda.so.1", "libnvidia-ml.so.1", "linux-vdso.so.1"}) {
    EXPECT_TRUE(ComesWithMachine(library)) << library;
  }
  for (const char* library : {"libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libcudart.so.13", "libcufft.so.12",
                              "libcublas.so.13", "libnvrtc.so.13", "libmd.so.0", "libcrypto.so.3", "libnsl.so.2",
                              "libmp3lame.so.0", "libnccl.so.2", "libdlx.so.2"}) {
    EXPECT_FALSE(ComesWithMachine(library)) << library;
  }
}

}  // namespace
}  // namespace cubist
