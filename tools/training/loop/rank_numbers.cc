#include "tools/training/loop/rank_numbers.h"

#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/training/communicator/gather_strings.h"

namespace cubist {

void RankNumbers::Add(const Evaluation& evaluation, int64_t samples) {
  const at::Tensor loss = evaluation.loss.detach().to(at::kDouble).reshape({1});
  const MetricTable metrics = evaluation.metrics();
  const at::Tensor sums = metrics.Sums();
  loss_ = loss_.defined() ? loss_.add_(loss) : loss.clone();
  sums_ = sums_.defined() ? sums_.add_(sums) : sums;
  names_ = metrics.names();
  samples_used += samples;
}

absl::Status RankNumbers::Reduce(Communicator& communicator) {
  const auto metrics = static_cast<int64_t>(names_.size());
  if (metrics > kMaxMetrics) {
    return InternalError(absl::StrCat("a task has ", metrics, " metrics; there is room for ", kMaxMetrics));
  }
  reduced_ = at::zeros({kMetrics + 2 * kMaxMetrics}, at::TensorOptions().dtype(at::kDouble).device(device_));
  // As arguments of kernels: a copy from the host would wait for the device.
  const auto set = [this](int place, int64_t value) { reduced_.select(0, place).fill_(static_cast<double>(value)); };
  set(kStop, stop);
  set(kSave, save);
  set(kGivenUp, given_up);
  set(kSamplesUsed, samples_used);
  set(kSamplesBad, samples_bad);
  if (loss_.defined()) {
    loss().copy_(loss_);
    metric_sums().copy_(sums_);
  }
  RETURN_IF_ERROR(communicator.AllReduceSum(reduced_));

  // One rank knows them; to read them would be to wait for the device.
  if (communicator.world_size() == 1) return absl::OkStatus();
  const at::Tensor counts = reduced_.narrow(0, 0, kCounts).to(at::kCPU);
  const double* const count = counts.const_data_ptr<double>();
  const auto get = [count](int place) { return static_cast<int64_t>(count[place]); };
  stop = get(kStop);
  save = get(kSave);
  given_up = get(kGivenUp);
  samples_used = get(kSamplesUsed);
  samples_bad = get(kSamplesBad);
  return samples_bad > 0 ? LearnNames(communicator) : absl::OkStatus();
}

absl::Status RankNumbers::LearnNames(Communicator& communicator) {
  ASSIGN_OR_RETURN(const std::vector<std::string> of_ranks, GatherStrings(communicator, absl::StrJoin(names_, "\n")));
  for (const std::string& of_rank : of_ranks) {
    if (names_.empty() && !of_rank.empty()) names_ = absl::StrSplit(of_rank, '\n');
  }
  return absl::OkStatus();
}

at::Tensor RankNumbers::metric_sums() const {
  return reduced_.narrow(0, kMetrics, 2 * kMaxMetrics)
      .view({2, kMaxMetrics})
      .narrow(1, 0, static_cast<int64_t>(names_.size()));
}

}  // namespace cubist
