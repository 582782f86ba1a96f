#include "tools/training/checkpoint/run_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

std::string LockPath() {
  const std::string path = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  ::unlink(path.c_str());
  return path;
}

// A process that takes the lock and keeps it.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::setenv("SLURM_JOB_ID", "4242", 1);
      auto lock = RunLock::Acquire(path);
      const char answer = lock.ok() ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
      ::pause();
      ::_exit(0);
    }
    char answer = 0;
    EXPECT_EQ(::read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { Kill(); }
  void Kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = 0;
  }
  pid_t child() const { return child_; }

 private:
  pid_t child_ = 0;
};

TEST(RunLockTest, TheSecondIsRefusedAndToldWhoHoldsIt) {
  const std::string path = LockPath();
  Holder holder(path);
  const auto refused = RunLock::Acquire(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(ExitCodeOf(refused.status()), ExitCode::kStorage);
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  const std::string message(refused.status().message());
  for (const std::string& part : {path, "host " + std::string(host), "process " + std::to_string(holder.child()),
                                  std::string("SLURM job 4242"), std::string("--fresh")}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(RunLockTest, AKilledHolderIsNamedAsStale) {
  const std::string path = LockPath();
  Holder holder(path);
  const std::string child = std::to_string(holder.child());
  holder.Kill();
  {
    const auto lock = RunLock::Acquire(path);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_NE((*lock)->stale_holder().find("process " + child), std::string::npos) << (*lock)->stale_holder();
    const auto second = RunLock::Acquire(path);
    EXPECT_NE(std::string(second.status().message()).find("process " + std::to_string(::getpid())), std::string::npos);
  }
  // Released in order: nothing is stale.
  const auto again = RunLock::Acquire(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->stale_holder(), "");
}

TEST(RunLockTest, SharedWithAProgramThatOutlivesUs) {
  const std::string path = LockPath();
  pid_t sleeper = 0;
  {
    auto lock = RunLock::Acquire(path);
    ASSERT_TRUE(lock.ok()) << lock.status();
    ASSERT_TRUE((*lock)->ShareWithChildren().ok());
    sleeper = ::fork();
    if (sleeper == 0) {
      ::execl("/bin/sleep", "sleep", "1000", nullptr);
      ::_exit(1);
    }
  }
  EXPECT_FALSE(RunLock::Acquire(path).ok());
  ::kill(sleeper, SIGKILL);
  ::waitpid(sleeper, nullptr, 0);
  EXPECT_TRUE(RunLock::Acquire(path).ok());
}

TEST(RunLockTest, GarbageInTheFileIsHarmless) {
  const std::string path = LockPath();
  ASSERT_TRUE(
      WriteFileAtomically(SystemFileOps(), path, std::string("\x1b[2J\0\xff", 6) + std::string(9999, 'x')).ok());
  const auto lock = RunLock::Acquire(path);
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ((*lock)->stale_holder().substr(0, 7), "?[2J??x");
  EXPECT_EQ((*lock)->stale_holder().size(), 1024u);
}

TEST(RunLockTest, AMissingFolderIsNamed) {
  const absl::Status status = RunLock::Acquire(::testing::TempDir() + "/no/such/lock").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(std::string(status.message()).find("no/such/lock"), std::string::npos);
}

}  // namespace
}  // namespace cubist
