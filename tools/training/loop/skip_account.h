// Accounts for what a run did not use: bad samples and steps that were not finite. Each stands in the run's ledger, is
// counted in its state and, within limits, said on the console; beyond the config's limits the run ends.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_SKIP_ACCOUNT_H_
#define CUBIST_TOOLS_TRAINING_LOOP_SKIP_ACCOUNT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/checkpoint/checkpoint.pb.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/logging/ledger.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/run_logger.h"

namespace cubist {

// Every rank has one, and all call it alike. Only rank 0 has ledger and logger.
class SkipAccount {
 public:
  // All of it outlives this object. The state's skipped_steps and skipped_samples are counted on.
  SkipAccount(const Experiment& config, Communicator& communicator, Ledger* ledger, RunLogger* logger,
              checkpoint::TrainingState& state)
      : config_(config), communicator_(communicator), ledger_(ledger), logger_(logger), state_(state) {}

  // `mine`: bad samples of this rank, of `total` over all ranks; `step`: the step they were drawn for, counted from 1,
  // or steps done when they are of a validation. Does nothing, on all ranks, when `total` is 0. Samples of training
  // are counted against data.bad_samples.max_rate: DataError beyond it. StorageError of the ledger.
  absl::Status AddBadSamples(Split split, int64_t step, int64_t total, const std::vector<BadSample>& mine);

  // A step that was not finite and what was done about it. NotFiniteError beyond not_finite.max_steps, and at once with
  // policy FAIL. StorageError of the ledger.
  absl::Status AddNotFiniteStep(const NotFiniteEvent& event);

  // "skipped since the start: ..."; empty if nothing was.
  std::string Totals() const;

 private:
  void Say(const std::string& line);
  absl::Status CheckRate() const;

  const Experiment& config_;
  Communicator& communicator_;
  Ledger* const ledger_;
  RunLogger* const logger_;
  checkpoint::TrainingState& state_;
  int64_t lines_said_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_SKIP_ACCOUNT_H_
