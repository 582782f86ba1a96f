#include "tools/training/loop/batch_source.h"

#include <c10/util/ParallelGuard.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/parallel_for.h"
#include "base/status.h"

namespace cubist {

absl::StatusOr<BatchShape> MakeBatchShape(const Batch& batch, int rank, int world_size) {
  BatchShape shape;
  shape.per_gpu = batch.per_gpu();
  shape.accumulate = batch.accumulate();
  shape.rank = rank;
  shape.world_size = world_size;
  if (batch.has_global()) {
    const int64_t at_once = shape.per_gpu * world_size;
    if (batch.global() % at_once != 0) {
      return ConfigError("batch.global is " + std::to_string(batch.global()) + ", which is no multiple of " +
                         std::to_string(at_once) + " = batch.per_gpu " + std::to_string(shape.per_gpu) + " times " +
                         std::to_string(world_size) + " ranks; change one of them");
    }
    shape.accumulate = batch.global() / at_once;
  }
  return shape;
}

absl::StatusOr<std::optional<MicroBatch>> BatchSource::Next(const std::function<bool()>& stop) {
  constexpr auto kPoll = std::chrono::milliseconds(50);
  while (true) {
    ASSIGN_OR_RETURN(std::optional<MicroBatch> micro_batch, stream_.Next(kPoll));
    if (micro_batch.has_value() || stop()) return micro_batch;
  }
}

RunData::RunData(const Experiment& experiment, const BatchMaker& batch_maker, const BatchShape& shape, ClipIndex clips,
                 TrainingSampler sampler, std::unique_ptr<SceneReader> reader)
    : experiment_(experiment),
      batch_maker_(batch_maker),
      shape_(shape),
      clips_(std::move(clips)),
      sampler_(std::move(sampler)),
      reader_(std::move(reader)),
      validation_(
          ValidationSamples(clips_.validation_clips(), experiment.data(), experiment.validation().max_samples())) {}

absl::StatusOr<std::unique_ptr<RunData>> RunData::Open(const Experiment& experiment, const BatchMaker& batch_maker,
                                                       const BatchShape& shape) {
  const auto seed = static_cast<uint32_t>(experiment.training().seed());
  ASSIGN_OR_RETURN(ClipIndex clips, ClipIndex::Open(experiment.data()));
  ASSIGN_OR_RETURN(TrainingSampler sampler, TrainingSampler::Create(clips.train_clips(), experiment.data(), seed));
  ASSIGN_OR_RETURN(std::unique_ptr<SceneReader> reader, SceneReader::Create(experiment.data(), seed));
  return std::unique_ptr<RunData>(
      new RunData(experiment, batch_maker, shape, std::move(clips), std::move(sampler), std::move(reader)));
}

absl::StatusOr<MicroBatch> RunData::Make(const std::vector<SceneDraw>& draws, bool training) const {
  // Loader threads leave the pools of both libraries to the step that is being computed.
  const SerialScope serial;
  const c10::ParallelGuard in_parallel_region(true);
  const bool skip = experiment_.data().bad_samples().policy() == BadSamples::SKIP;
  MicroBatch micro_batch;
  std::vector<SceneSample> samples;
  for (const SceneDraw& draw : draws) {
    absl::StatusOr<SceneSample> sample = reader_->Read(draw, training);
    if (sample.ok()) {
      micro_batch.draws.push_back(draw);
      samples.push_back(*std::move(sample));
    } else if (skip && ExitCodeOf(sample.status()) == ExitCode::kData) {
      micro_batch.bad.push_back({draw, sample.status()});
    } else {
      return sample.status();
    }
  }
  if (samples.empty()) return micro_batch;
  absl::StatusOr<std::unique_ptr<TaskBatch>> batch = batch_maker_.MakeBatch(samples);
  if (!batch.ok() && skip && ExitCodeOf(batch.status()) == ExitCode::kData) {
    RETURN_IF_ERROR(SetAside(samples, micro_batch));
    if (samples.empty()) return micro_batch;
    batch = batch_maker_.MakeBatch(samples);
  }
  RETURN_IF_ERROR(batch.status());
  micro_batch.batch = *std::move(batch);
  return micro_batch;
}

absl::Status RunData::SetAside(std::vector<SceneSample>& samples, MicroBatch& micro_batch) const {
  std::vector<SceneSample> good;
  std::vector<SceneDraw> good_draws;
  for (size_t i = 0; i < samples.size(); ++i) {
    const absl::Status status = batch_maker_.MakeBatch({samples[i]}).status();
    if (status.ok()) {
      good.push_back(std::move(samples[i]));
      good_draws.push_back(micro_batch.draws[i]);
    } else if (ExitCodeOf(status) == ExitCode::kData) {
      micro_batch.bad.push_back({micro_batch.draws[i], status});
    } else {
      return status;
    }
  }
  samples = std::move(good);
  micro_batch.draws = std::move(good_draws);
  return absl::OkStatus();
}

size_t RunData::Capacity() const {
  return static_cast<size_t>(std::max(experiment_.data().prefetch_batches(), experiment_.data().loader_threads()));
}

std::unique_ptr<BatchSource> RunData::Training(uint64_t samples_consumed) const {
  BatchSource::Stream::Options options;
  options.threads = experiment_.data().loader_threads();
  options.capacity = Capacity();
  return std::make_unique<BatchSource>(options, [this, samples_consumed](uint64_t k) {
    // Item k is micro-batch k % accumulate of the k / accumulate-th step from here.
    const uint64_t at_once = static_cast<uint64_t>(shape_.per_gpu);
    const uint64_t first = samples_consumed + (k * shape_.world_size + shape_.rank) * at_once;
    std::vector<SceneDraw> draws;
    for (uint64_t i = 0; i < at_once; ++i) draws.push_back(sampler_.At(first + i));
    return Make(draws, /*training=*/true);
  });
}

int64_t RunData::validation_batches() const {
  const int64_t mine = (validation_samples() - shape_.rank + shape_.world_size - 1) / shape_.world_size;
  return (std::max<int64_t>(0, mine) + shape_.per_gpu - 1) / shape_.per_gpu;
}

std::unique_ptr<BatchSource> RunData::Validation() const {
  BatchSource::Stream::Options options;
  options.threads = experiment_.data().loader_threads();
  options.capacity = Capacity();
  options.end = static_cast<uint64_t>(validation_batches());
  return std::make_unique<BatchSource>(options, [this](uint64_t k) {
    std::vector<SceneDraw> draws;
    for (int64_t i = 0; i < shape_.per_gpu; ++i) {
      const size_t sample = (k * shape_.per_gpu + i) * shape_.world_size + shape_.rank;
      if (sample < validation_.size()) draws.push_back(validation_[sample]);
    }
    return Make(draws, /*training=*/false);
  });
}

}  // namespace cubist
