#include "tools/training/loop/catch_exceptions.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "base/status.h"

namespace cubist {
namespace {

TEST(CatchExceptionsTest, StatusesPass) {
  EXPECT_TRUE(CatchExceptions([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(CatchExceptions([] { return DataError("a file"); }), DataError("a file"));
}

TEST(CatchExceptionsTest, ExceptionsAreInternal) {
  const absl::Status standard = CatchExceptions([]() -> absl::Status { throw std::runtime_error("what"); });
  EXPECT_EQ(standard, InternalError("what"));
  const absl::Status torch = CatchExceptions([]() -> absl::Status { TORCH_CHECK(false, "shapes"); });
  EXPECT_EQ(ExitCodeOf(torch), ExitCode::kInternal);
  EXPECT_EQ(torch.message(), "shapes");
}

TEST(CatchExceptionsTest, TooLittleMemorySaysWhatToChange) {
  const absl::Status status = CatchExceptions([]() -> absl::Status {
    TORCH_CHECK_WITH(OutOfMemoryError, false,
                     "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB free. If reserved but "
                     "unallocated memory is large try setting a variable");
  });
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_EQ(status.message(),
            "the GPU's memory does not suffice: Tried to allocate 2.00 GiB. GPU 0 has 1 GiB free.\n"
            "make batch.per_gpu smaller (batch.accumulate costs no memory), take training.precision BF16, or "
            "make the model smaller");
}

}  // namespace
}  // namespace cubist
