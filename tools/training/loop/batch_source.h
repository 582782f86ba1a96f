// Micro-batches of one rank, in order, made ahead on loader threads.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_BATCH_SOURCE_H_
#define CUBIST_TOOLS_TRAINING_LOOP_BATCH_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/prefetcher.h"
#include "data_process/scenes/sampler.h"
#include "data_process/scenes/scene_reader.h"
#include "tools/tasks/batch_maker.h"

namespace cubist {

// How a step's samples are shared out: micro-batch a of rank r of a step takes `per_gpu` draws, from
// (a * world_size + r) * per_gpu on. A step consumes the same draws whatever the number of ranks.
struct BatchShape {
  int64_t per_gpu = 1;
  int64_t accumulate = 1;
  int rank = 0;
  int world_size = 1;

  int64_t global() const { return per_gpu * accumulate * world_size; }
  int64_t of_rank() const { return per_gpu * accumulate; }
};

// `batch`: of a validated config. ConfigError when batch.global is no multiple of per_gpu * world_size.
absl::StatusOr<BatchShape> MakeBatchShape(const Batch& batch, int rank, int world_size);

// A sample that could not be read or made into a batch, and why: a DataError, which knows the place in the data
// (base/data_place.h).
struct BadSample {
  SceneDraw draw;
  absl::Status reason;
};

// What a model is given at once. With data.bad_samples SKIP it is smaller by the bad ones.
struct MicroBatch {
  std::shared_ptr<const TaskBatch> batch;  // null when none of its samples is good
  std::vector<SceneDraw> draws;            // of the batch, in its order
  std::vector<BadSample> bad;
};

// A finite or endless row of batches; Next() is called by one thread.
class BatchSource {
 public:
  using Stream = Prefetcher<MicroBatch>;
  BatchSource(const Stream::Options& options, Stream::Produce produce) : stream_(options, std::move(produce)) {}

  // The next batch; nothing when `stop` came true before it was ready. Errors: DataErrors of the reader and of
  // the task, unless they are skipped.
  absl::StatusOr<std::optional<MicroBatch>> Next(const std::function<bool()>& stop);
  double waited_seconds() const { return stream_.waited_seconds(); }

 private:
  Stream stream_;
};

// The data of a run, for training and for validation.
class RunData {
 public:
  // `experiment` is validated and outlives this object, as `batch_maker` does.
  static absl::StatusOr<std::unique_ptr<RunData>> Open(const Experiment& experiment, const BatchMaker& batch_maker,
                                                       const BatchShape& shape);

  const ClipIndex& clips() const { return clips_; }
  uint64_t samples_per_epoch() const { return sampler_.samples_per_epoch(); }
  int64_t validation_samples() const { return static_cast<int64_t>(validation_.size()); }

  // Micro-batches of this rank from the step that starts at draw `samples_consumed`.
  std::unique_ptr<BatchSource> Training(uint64_t samples_consumed) const;
  // This rank's part of the validation samples: every world_size-th, from `rank` on.
  std::unique_ptr<BatchSource> Validation() const;
  int64_t validation_batches() const;
  // Batches that are made ahead, finished ones and those that loader threads work on.
  size_t Capacity() const;

 private:
  RunData(const Experiment& experiment, const BatchMaker& batch_maker, const BatchShape& shape, ClipIndex clips,
          TrainingSampler sampler, std::unique_ptr<SceneReader> reader);
  absl::StatusOr<MicroBatch> Make(const std::vector<SceneDraw>& draws, bool training) const;
  // Moves the samples that cannot be used alone out of `samples` and of the batch's draws.
  absl::Status SetAside(std::vector<SceneSample>& samples, MicroBatch& micro_batch) const;

  const Experiment& experiment_;
  const BatchMaker& batch_maker_;
  const BatchShape shape_;
  ClipIndex clips_;
  TrainingSampler sampler_;
  std::unique_ptr<SceneReader> reader_;
  std::vector<SceneDraw> validation_;  // of all ranks
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_BATCH_SOURCE_H_
