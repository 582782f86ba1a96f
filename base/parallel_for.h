// Loops over blocks on a fixed pool of host threads. The blocks are the caller's, so results do not
// depend on how many threads run.
#ifndef CUBIST_BASE_PARALLEL_FOR_H_
#define CUBIST_BASE_PARALLEL_FOR_H_

#include <cstdint>
#include <functional>

namespace cubist {

// Threads that ParallelFor uses, the caller's included: by default the CPUs that this process may
// run on. Not to be called while a ParallelFor runs.
void SetParallelThreads(int threads);
int ParallelThreads();

// Calls body(begin, end) for every block [k*block, min((k+1)*block, count)); returns when all are
// done. Blocks must not write what others read. A nested call runs on the calling thread.
void ParallelFor(int64_t count, int64_t block, const std::function<void(int64_t begin, int64_t end)>& body);

// While one lives, ParallelFor calls of this thread run on this thread alone: for threads that work
// beside those that the pool is meant for.
class SerialScope {
 public:
  SerialScope();
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;
  SerialScope& operator=(const SerialScope&) = delete;

 private:
  bool outer_;
};

}  // namespace cubist

#endif  // CUBIST_BASE_PARALLEL_FOR_H_
