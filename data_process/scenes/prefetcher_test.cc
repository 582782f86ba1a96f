#include "data_process/scenes/prefetcher.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "base/philox.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

// Items need not be copyable.
using Item = std::unique_ptr<uint64_t>;

// Delays that mix up the order in which threads finish.
void Dawdle(uint64_t k) {
  const PhiloxKey key(1, RandomPurpose::kSynthesis);
  std::this_thread::sleep_for(microseconds(PhiloxInteger(key, k, 0, 2000)));
}

Prefetcher<Item>::Options Options(int threads, int capacity) {
  Prefetcher<Item>::Options options;
  options.threads = threads;
  options.capacity = capacity;
  return options;
}

TEST(Prefetcher, KeepsOrderWithAnyNumberOfThreads) {
  for (int threads = 1; threads <= 4; ++threads) {
    auto options = Options(threads, 5);
    options.first = 1000;
    Prefetcher<Item> prefetcher(options, [](uint64_t k) -> absl::StatusOr<Item> {
      Dawdle(k);
      return std::make_unique<uint64_t>(k * k);
    });
    for (uint64_t k = 1000; k < 1060; ++k) {
      auto item = prefetcher.Next(seconds(60));
      ASSERT_TRUE(item.ok()) << item.status();
      ASSERT_TRUE(item->has_value());
      EXPECT_EQ(***item, k * k) << threads << " threads";
    }
  }
}

TEST(Prefetcher, ReportsAnErrorAfterTheItemsBeforeIt) {
  for (int threads = 1; threads <= 4; ++threads) {
    std::atomic<uint64_t> highest{0};
    Prefetcher<Item> prefetcher(Options(threads, 4), [&](uint64_t k) -> absl::StatusOr<Item> {
      for (uint64_t seen = highest; seen < k && !highest.compare_exchange_weak(seen, k);) {
      }
      Dawdle(k);
      if (k >= 10) return DataError("item " + std::to_string(k) + " is damaged");
      return std::make_unique<uint64_t>(k);
    });
    for (uint64_t k = 0; k < 10; ++k) {
      auto item = prefetcher.Next(seconds(60));
      ASSERT_TRUE(item.ok()) << item.status();
      EXPECT_EQ(***item, k);
    }
    for (int again = 0; again < 2; ++again) {
      const auto item = prefetcher.Next(seconds(60));
      EXPECT_EQ(ExitCodeOf(item.status()), ExitCode::kData);
      EXPECT_EQ(item.status().message(), "item 10 is damaged");
    }
    EXPECT_LT(highest, 14u);
  }
}

TEST(Prefetcher, TurnsAnExceptionIntoAnError) {
  Prefetcher<Item> prefetcher(Options(2, 2), [](uint64_t) -> absl::StatusOr<Item> { throw std::runtime_error("oh"); });
  const auto item = prefetcher.Next(seconds(60));
  EXPECT_EQ(ExitCodeOf(item.status()), ExitCode::kInternal);
  EXPECT_NE(item.status().message().find("oh"), std::string::npos);
}

TEST(Prefetcher, WorksAheadOnlyAsFarAsItsCapacity) {
  std::atomic<int> begun{0};
  Prefetcher<Item> prefetcher(Options(4, 3), [&](uint64_t k) -> absl::StatusOr<Item> {
    ++begun;
    return std::make_unique<uint64_t>(k);
  });
  for (int taken = 0; taken < 20; ++taken) {
    EXPECT_LE(begun, taken + 3);
    ASSERT_TRUE(prefetcher.Next(seconds(60)).ok());
    EXPECT_GE(begun, taken + 1);
  }
}

TEST(Prefetcher, ReturnsNothingWhenAnItemIsLate) {
  std::atomic<bool> released{false};
  Prefetcher<Item> prefetcher(Options(1, 1), [&](uint64_t k) -> absl::StatusOr<Item> {
    while (!released) std::this_thread::sleep_for(microseconds(100));
    return std::make_unique<uint64_t>(k + 7);
  });
  for (int i = 0; i < 3; ++i) {
    const auto late = prefetcher.Next(microseconds(500));
    ASSERT_TRUE(late.ok());
    EXPECT_FALSE(late->has_value());
  }
  EXPECT_GE(prefetcher.waited_seconds(), 3 * 500e-6);
  released = true;
  const auto item = prefetcher.Next(seconds(60));
  ASSERT_TRUE(item.ok());
  EXPECT_EQ(***item, 7u);
}

TEST(Prefetcher, StopsWhileThreadsWaitForRoomAndWhileACallerWaits) {
  for (int threads = 1; threads <= 4; ++threads) {
    std::atomic<bool> stopping{false};
    std::atomic<int> made{0};
    Prefetcher<Item> prefetcher(Options(threads, 2), [&](uint64_t k) -> absl::StatusOr<Item> {
      while (k >= 2 && !stopping) std::this_thread::sleep_for(microseconds(100));
      ++made;
      return std::make_unique<uint64_t>(k);
    });
    ASSERT_TRUE(prefetcher.Next(seconds(60)).ok());
    ASSERT_TRUE(prefetcher.Next(seconds(60)).ok());
    std::thread stopper([&] {
      std::this_thread::sleep_for(microseconds(2000));
      stopping = true;
      prefetcher.Stop();
    });
    while (true) {  // item 2 and a few more may come out before the stop is seen
      const auto item = prefetcher.Next(seconds(60));
      if (item.ok()) continue;
      EXPECT_NE(item.status().message().find("stopped"), std::string::npos);
      break;
    }
    stopper.join();
    const int at_stop = made;
    prefetcher.Stop();
    EXPECT_EQ(made, at_stop);
  }
}

TEST(Prefetcher, EndsAfterItsLastItem) {
  auto options = Options(3, 8);
  options.end = 5;
  std::atomic<int> begun{0};
  Prefetcher<Item> prefetcher(options, [&](uint64_t k) -> absl::StatusOr<Item> {
    ++begun;
    return std::make_unique<uint64_t>(k);
  });
  for (int k = 0; k < 5; ++k) ASSERT_TRUE(prefetcher.Next(seconds(60)).ok());
  EXPECT_FALSE(prefetcher.Next(seconds(60)).ok());
  EXPECT_EQ(begun, 5);
}

}  // namespace
}  // namespace cubist
