#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "base/parallel_for.h"
#include "base/philox.h"
#include "base/status.h"
#include "base/view.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusTest, ExitCodeSurvivesAnnotation) {
  const absl::Status status = Annotate(DataError("member 3: truncated"), "clip.tar");
  EXPECT_EQ(status.message(), "clip.tar: member 3: truncated");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kDone);
  EXPECT_EQ(ExitCodeOf(absl::UnknownError("made elsewhere")), ExitCode::kInternal);
}

TEST(HostTensorTest, ViewsAndCasts) {
  const HostTensor tensor = HostTensor::Of<double>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ((tensor.view<double, 2>()(1, 0)), 4);
  EXPECT_EQ(tensor.Describe(), "float64[2,3]");
  EXPECT_EQ(tensor.Cast(DType::kInt32).data<int32_t>()[5], 6);
  EXPECT_DEATH((void)tensor.data<float>(), "read as float32");
}

TEST(HostTensorTest, SelectSharesTheMemory) {
  HostTensor tensor = HostTensor::Of<int32_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  const HostTensor row = tensor.Select(1);
  EXPECT_EQ(row.Describe(), "int32[3]");
  tensor.data<int32_t>()[4] = 50;
  tensor = HostTensor();
  EXPECT_EQ(std::vector<int32_t>(row.data<int32_t>(), row.data<int32_t>() + 3), (std::vector<int32_t>{4, 50, 6}));
  EXPECT_EQ(row.Select(2).size(), 1);
  EXPECT_DEATH(row.Select(3), "int32\\[3\\]");
}

TEST(HostTensorTest, ImpossibleShapesAreRefused) {
  EXPECT_FALSE(CheckedByteSize(DType::kFloat64, {int64_t{1} << 40, int64_t{1} << 40}).has_value());
  EXPECT_FALSE(CheckedByteSize(DType::kUInt8, {-1}).has_value());
  EXPECT_EQ(*CheckedByteSize(DType::kFloat64, {0, 7}), 0);
}

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
// Strides that LibTorch gives to tensors of no or of one row reach no element.
TEST(ViewTest, DenseWhateverStridesThatReachNothing) {
  float data[24] = {};
  EXPECT_TRUE((View<float, 3>(data, {2, 3, 4}).is_dense()));
  EXPECT_TRUE((View<float, 3>(data, {2, 1, 4}, {4, 77, 1}).is_dense()));
  EXPECT_TRUE((View<float, 2>(data, {1, 8}, {1, 1}).is_dense()));
  EXPECT_TRUE((View<float, 2>(nullptr, {27, 0}, {1, 1}).is_dense()));
  EXPECT_TRUE((View<float, 2>(nullptr, {0, 8}, {0, 0}).is_dense()));
  EXPECT_FALSE((View<float, 2>(data, {2, 8}, {12, 1}).is_dense()));
  EXPECT_FALSE((View<float, 2>(data, {8, 2}, {1, 8}).is_dense()));
  EXPECT_FALSE((View<float, 2>(data, {1, 8}, {8, 2}).is_dense()));
}

TEST(PhiloxTest, KnownAnswers) {
  PhiloxKey key(0, RandomPurpose::kParameterInit);
  key.purpose = 0;
  EXPECT_EQ(Philox(key, 0, 0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  key.seed = key.purpose = 0xffffffff;
  EXPECT_EQ(Philox(key, ~uint64_t{0}, ~uint64_t{0}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(PhiloxTest, MomentsOfNormalAndUniform) {
  const PhiloxKey key(7, RandomPurpose::kLatentNoise);
  double sum = 0, squares = 0, uniform = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = PhiloxNormal(key, 3, i);
    sum += x;
    squares += x * x;
    uniform += PhiloxUniform(key, 3, i);
    ASSERT_LT(PhiloxInteger(key, 3, i, 7), 7u);
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
  EXPECT_NEAR(uniform / kCount, 0.5, 0.005);
}

TEST(ParallelForTest, EveryElementOnceWithAnyNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    SetParallelThreads(threads);
    for (const int64_t count : {0, 1, 7, 1000}) {
      std::vector<std::atomic<int>> visits(count);
      ParallelFor(count, 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[i];
        ParallelFor(2, 1, [](int64_t, int64_t) {});
      });
      for (const auto& visit : visits) EXPECT_EQ(visit.load(), 1);
    }
  }
}

TEST(FileOpsTest, AtomicWriteReplacesAndLeavesNothing) {
  const std::string folder = std::string(::testing::TempDir()) + "/file_ops";
  ASSERT_TRUE(MakeDirectories(SystemFileOps(), folder + "/a/b").ok());
  const std::string path = folder + "/a/b/f";
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, "two").ok());
  EXPECT_EQ(*ReadWholeFile(path), "two");
  EXPECT_THAT(std::string(ReadWholeFile(path, 2).status().message()), HasSubstr("limit"));
  // Links stay; what is no file is not replaced.
  const std::string link = folder + "/link", pipe = folder + "/pipe";
  ASSERT_EQ(symlink("file_of_link", link.c_str()), 0);
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), link, "three").ok());
  EXPECT_EQ(*ReadWholeFile(folder + "/file_of_link"), "three");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& no_file : {pipe, folder, std::string("/dev/null")}) {
    EXPECT_EQ(ExitCodeOf(WriteFileAtomically(SystemFileOps(), no_file, "x")), ExitCode::kStorage) << no_file;
  }
  struct stat info;
  EXPECT_TRUE(lstat(link.c_str(), &info) == 0 && S_ISLNK(info.st_mode));
  EXPECT_TRUE(lstat(pipe.c_str(), &info) == 0 && S_ISFIFO(info.st_mode));

  const absl::Status status = WriteFileAtomically(SystemFileOps(), folder + "/missing/f", "x");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing/f: cannot open"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr(".tmp-")));
  const absl::Status renamed = NamingFinalPath(StorageError("a/b.tmp-7: cannot rename to a/b: no"), "a/b.tmp-7", "a/b");
  EXPECT_EQ(renamed.message(), "a/b: cannot put it in place: no");
  EXPECT_EQ(ExitCodeOf(renamed), ExitCode::kStorage);
  ASSERT_TRUE(RemoveTree(SystemFileOps(), folder).ok());
  EXPECT_NE(::stat(folder.c_str(), &info), 0);
}

TEST(FileOpsTest, LinksAndExecutables) {
  const std::string folder = std::string(::testing::TempDir()) + "/links", file = folder + "/file";
  ASSERT_TRUE(MakeDirectories(SystemFileOps(), folder).ok());
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), file, "#!/bin/sh\n").ok());
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  ASSERT_TRUE(SystemFileOps().Link(file, folder + "/second").ok());
  ASSERT_TRUE(SystemFileOps().MakeExecutable(folder + "/second").ok());
  struct stat first, second;
  ASSERT_TRUE(stat(file.c_str(), &first) == 0 && stat((folder + "/second").c_str(), &second) == 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  EXPECT_EQ(first.st_mode & 07777, 0750u);
  const absl::Status status = SystemFileOps().Link(file, folder + "/second");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_THAT(std::string(status.message()), HasSubstr(file + ": cannot link as " + folder + "/second: File exists"));
  EXPECT_EQ(ExitCodeOf(SystemFileOps().MakeExecutable(folder + "/none")), ExitCode::kStorage);
  ASSERT_TRUE(RemoveTree(SystemFileOps(), folder).ok());
}

}  // namespace
}  // namespace cubist
