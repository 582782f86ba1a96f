// train_worker with faults: what CUBIST_TEST_FAULTS lists, separated by commas, happens to this rank.
//   kill_micro_batch:STEP:INDEX   SIGKILL after the backward of micro-batch INDEX (from 0) of step STEP (from 1)
//   kill_gradient:STEP            SIGKILL between the last backward and the update
//   kill_validation:STEP          SIGKILL within the validation after STEP steps
//   kill_saved:STEP               SIGKILL once the checkpoint of STEP is committed
//   term_micro_batch:STEP:INDEX, term_gradient:STEP, term_validation:STEP, term_saved:STEP
//                                 SIGTERM there
//   slow:MILLISECONDS             every micro-batch takes so much longer
//   hang_saved:STEP               once the checkpoint of STEP is committed, for ever and deaf to all signals but
//   SIGKILL corrupt:STEP:RANK             a bit of a parameter of this rank flips after the update of STEP
//   nan_gradient:DRAW[:RANK]      an element of the gradient of the step that begins with draw DRAW becomes NaN;
//                                 RANK: on this rank alone
// CUBIST_TEST_DRAWS names a file to which every micro-batch's draws are appended: "STEP DRAW CLIP FRAME".
#include <ATen/core/Tensor.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tools/train_worker_main.h"

namespace cubist {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

struct Fault {
  std::string kind;
  std::vector<int64_t> numbers;
};

std::vector<Fault> ReadFaults() {
  std::vector<Fault> faults;
  for (const auto text : absl::StrSplit(Variable("CUBIST_TEST_FAULTS"), ',', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(text, ':');
    Fault& fault = faults.emplace_back();
    fault.kind = words[0];
    for (size_t i = 1; i < words.size(); ++i) {
      int64_t number = 0;
      if (!absl::SimpleAtoi(words[i], &number)) {
        std::fprintf(stderr, "faulty_worker: not a number: %s\n", words[i].c_str());
        std::abort();
      }
      fault.numbers.push_back(number);
    }
  }
  return faults;
}

class FaultInjector : public RunObserver {
 public:
  void MicroBatchDone(int64_t step, const MicroBatch& micro_batch, const Evaluation&) override {
    index_ = step == step_ ? index_ + 1 : 0;
    step_ = step;
    if (!draws_path_.empty()) {
      std::FILE* file = std::fopen(draws_path_.c_str(), "a");
      for (const SceneDraw& draw : micro_batch.draws) {
        std::fprintf(file, "%lld %llu %s %lld\n", static_cast<long long>(step),
                     static_cast<unsigned long long>(draw.draw), draw.clip.c_str(),
                     static_cast<long long>(draw.start_frame));
      }
      std::fclose(file);
    }
    for (const Fault& fault : faults_) {
      if (fault.kind == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(fault.numbers[0]));
    }
    Happen("micro_batch", {step, index_});
  }

  void GradientReady(int64_t step, int64_t first_draw, const at::Tensor& gradient) override {
    Happen("gradient", {step});
    for (const Fault& fault : faults_) {
      const bool here = fault.kind == "nan_gradient" && fault.numbers[0] == first_draw;
      if (here && (fault.numbers.size() == 1 || std::to_string(fault.numbers[1]) == Variable("CUBIST_RANK"))) {
        gradient.narrow(0, 0, 1).fill_(std::nan(""));
      }
    }
  }

  void StepDone(int64_t step, const FlatOptimizer& optimizer) override {
    for (const Fault& fault : faults_) {
      if (fault.kind != "corrupt" || fault.numbers[0] != step) continue;
      if (std::to_string(fault.numbers[1]) != Variable("CUBIST_RANK")) continue;
      const NamedTensor parameter = optimizer.Group("model")[1];
      static_cast<unsigned char*>(parameter.tensor.mutable_data_ptr())[0] ^= 1;
    }
  }

  void ValidationBatchDone(int64_t step) override { Happen("validation", {step}); }
  void Saved(int64_t step) override { Happen("saved", {step}); }

 private:
  void Happen(const std::string& place, const std::vector<int64_t>& numbers) const {
    for (const Fault& fault : faults_) {
      if (fault.numbers != numbers) continue;
      if (fault.kind == "kill_" + place) kill(getpid(), SIGKILL);
      if (fault.kind == "term_" + place) kill(getpid(), SIGTERM);
      while (fault.kind == "hang_" + place) pause();
    }
  }

  const std::vector<Fault> faults_ = ReadFaults();
  const std::string draws_path_ = Variable("CUBIST_TEST_DRAWS");
  int64_t step_ = 0, index_ = 0;
};

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  cubist::FaultInjector faults;
  return cubist::TrainWorkerMain(argc, argv, &faults);
}
