// Makes numbered items ahead of their use on several threads and hands them out in order.
#ifndef CUBIST_DATA_PROCESS_SCENES_PREFETCHER_H_
#define CUBIST_DATA_PROCESS_SCENES_PREFETCHER_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"

namespace cubist {

// Item k is what produce(k) returns, whichever thread makes it, so that neither the number of threads nor
// their timing shows in what Next() hands out. One thread calls Next().
//
// 1. A thread claims the lowest number that nobody has, provided it is below next + capacity: memory is
//    bounded by `capacity` finished or half-made items.
// 2. It makes the item without holding the lock and files it under its number.
// 3. Next() waits for its own number. An error waits for its turn as an item does: the items before it
//    come out first, then it, and it alone from then on. No new item is begun after an error.
template <typename T>
class Prefetcher {
 public:
  // Must be callable from several threads at once. An exception counts as an InternalError.
  using Produce = std::function<absl::StatusOr<T>(uint64_t k)>;

  struct Options {
    uint64_t first = 0;           // number of the first item
    std::optional<uint64_t> end;  // one past the last item; none: endless
    int threads = 1;              // at least 1
    int capacity = 2;             // items made ahead, at least 1
  };

  Prefetcher(const Options& options, Produce produce)
      : options_(options), produce_(std::move(produce)), next_out_(options.first), next_claim_(options.first) {
    for (int t = 0; t < std::max(1, options.threads); ++t) threads_.emplace_back([this] { Work(); });
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  ~Prefetcher() { Stop(); }

  // The next item in order; empty when it is not ready within `timeout`, so that a caller can look at a stop
  // flag and ask again. Errors: that of produce; an InternalError past `end` or after Stop().
  absl::StatusOr<std::optional<T>> Next(std::chrono::nanoseconds timeout) {
    const auto begin = std::chrono::steady_clock::now();
    timeout = std::min<std::chrono::nanoseconds>(timeout, std::chrono::hours(24));  // begin + timeout must not overflow
    std::unique_lock<std::mutex> lock(mutex_);
    if (!failure_.ok()) return failure_;
    if (options_.end && next_out_ >= *options_.end) return InternalError("prefetcher: no item is left");
    const bool ready =
        item_ready_.wait_until(lock, begin + timeout, [this] { return stopped_ || done_.count(next_out_) > 0; });
    wait_ += std::chrono::steady_clock::now() - begin;
    if (stopped_) return InternalError("prefetcher: asked for an item after it was stopped");
    if (!ready) return std::optional<T>();
    auto node = done_.extract(next_out_);
    if (!node.mapped().ok()) {
      failure_ = node.mapped().status();
      return failure_;
    }
    ++next_out_;
    room_.notify_all();
    return std::optional<T>(*std::move(node.mapped()));
  }

  // Lets threads finish the items they are at and ends them; what is ready is dropped. Any thread but a
  // producing one may call, more than once.
  void Stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    item_ready_.notify_all();
    std::lock_guard<std::mutex> lock(join_mutex_);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::lock_guard<std::mutex> drop_lock(mutex_);
    done_.clear();
  }

  // How long calls of Next() have waited so far, in seconds.
  double waited_seconds() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::chrono::duration<double>(wait_).count();
  }

 private:
  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      room_.wait(lock, [this] { return stopped_ || failed_ || AtEnd() || HasRoom(); });
      if (stopped_ || failed_ || AtEnd()) return;
      const uint64_t k = next_claim_++;
      lock.unlock();
      absl::StatusOr<T> item = Make(k);
      lock.lock();
      if (!item.ok() && !failed_) {
        failed_ = true;
        room_.notify_all();
      }
      done_.emplace(k, std::move(item));
      item_ready_.notify_all();
    }
  }

  absl::StatusOr<T> Make(uint64_t k) const {
    try {
      return produce_(k);
    } catch (const std::exception& exception) {
      return InternalError("prefetcher: item " + std::to_string(k) + ": " + exception.what());
    } catch (...) {
      return InternalError("prefetcher: item " + std::to_string(k) + ": an exception of unknown type");
    }
  }

  bool AtEnd() const { return options_.end && next_claim_ >= *options_.end; }
  bool HasRoom() const { return next_claim_ - next_out_ < static_cast<uint64_t>(std::max(1, options_.capacity)); }

  const Options options_;
  const Produce produce_;
  mutable std::mutex mutex_;
  std::mutex join_mutex_;
  std::condition_variable room_;        // a number may be claimed, or it is time to go
  std::condition_variable item_ready_;  // done_ has grown, or it is time to go
  uint64_t next_out_;
  uint64_t next_claim_;
  bool stopped_ = false;
  bool failed_ = false;
  absl::Status failure_;  // what Next() has reported
  std::map<uint64_t, absl::StatusOr<T>> done_;
  std::chrono::steady_clock::duration wait_{};
  std::vector<std::thread> threads_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_PREFETCHER_H_
