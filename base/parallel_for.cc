#include "base/parallel_for.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cubist {
namespace {

int AvailableThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

thread_local bool inside_parallel_for = false;

// Workers wait for a job; a job is a range of blocks that all threads take from one counter.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void Run(int64_t blocks, const std::function<void(int64_t)>& block) {
    std::lock_guard<std::mutex> one_job_at_a_time(job_mutex_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &block;
      blocks_ = blocks;
      next_.store(0, std::memory_order_relaxed);
      busy_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    wake_.notify_all();
    Drain(block, blocks);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void Drain(const std::function<void(int64_t)>& block, int64_t blocks) {
    inside_parallel_for = true;
    for (int64_t k = next_.fetch_add(1); k < blocks; k = next_.fetch_add(1)) block(k);
    inside_parallel_for = false;
  }

  void Work() {
    uint64_t seen = 0;
    while (true) {
      const std::function<void(int64_t)>* job = nullptr;
      int64_t blocks = 0;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        if (stopping_) return;
        seen = generation_;
        job = job_;
        blocks = blocks_;
      }
      Drain(*job, blocks);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex job_mutex_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* job_ = nullptr;
  int64_t blocks_ = 0;
  std::atomic<int64_t> next_{0};
  int busy_ = 0;
  uint64_t generation_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

std::mutex pool_mutex;
std::unique_ptr<Pool>& PoolSlot() {
  // Never destroyed: threads may still wait in it when static objects go.
  static auto* slot = new std::unique_ptr<Pool>();
  return *slot;
}

Pool& ThePool() {
  std::lock_guard<std::mutex> lock(pool_mutex);
  if (PoolSlot() == nullptr) PoolSlot() = std::make_unique<Pool>(AvailableThreads());
  return *PoolSlot();
}

}  // namespace

SerialScope::SerialScope() : outer_(inside_parallel_for) { inside_parallel_for = true; }
SerialScope::~SerialScope() { inside_parallel_for = outer_; }

void SetParallelThreads(int threads) {
  std::lock_guard<std::mutex> lock(pool_mutex);
  PoolSlot() = std::make_unique<Pool>(std::max(1, threads));
}

int ParallelThreads() { return ThePool().threads(); }

void ParallelFor(int64_t count, int64_t block, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= 0) return;
  const int64_t blocks = (count + block - 1) / block;
  const auto run_block = [&](int64_t k) { body(k * block, std::min(count, (k + 1) * block)); };
  if (inside_parallel_for || blocks == 1) {
    for (int64_t k = 0; k < blocks; ++k) run_block(k);
    return;
  }
  Pool& pool = ThePool();
  if (pool.threads() == 1) {
    for (int64_t k = 0; k < blocks; ++k) run_block(k);
    return;
  }
  pool.Run(blocks, run_block);
}

}  // namespace cubist
