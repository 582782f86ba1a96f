#include "tools/training/loop/skip_account.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/data_place.h"
#include "base/status.h"
#include "tools/training/communicator/gather_strings.h"

namespace cubist {
namespace {

// The ledger has them all; a console that scrolls helps nobody.
constexpr int64_t kMaxLines = 20;
// A few bad samples at the start are no rate.
constexpr int64_t kAlwaysAllowed = 10;

double Now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

BadSampleEvent EventOf(Split split, int64_t step, const BadSample& sample) {
  BadSampleEvent event;
  event.split = split == Split::kTrain ? "train" : "validation";
  event.step = step;
  event.draw = static_cast<int64_t>(sample.draw.draw);
  event.start_frame = sample.draw.start_frame;
  event.place = DataPlaceOf(sample.reason).value_or(DataPlace());
  event.place.clip = sample.draw.clip;
  event.reason = std::string(sample.reason.message());
  return event;
}

}  // namespace

void SkipAccount::Say(const std::string& line) {
  if (logger_ == nullptr || ++lines_said_ > kMaxLines) return;
  logger_->Message(absl::StrCat("warning: ", line));
  if (lines_said_ == kMaxLines) logger_->Message("warning: further ones are said in ledger.jsonl only");
}

absl::Status SkipAccount::AddBadSamples(Split split, int64_t step, int64_t total, const std::vector<BadSample>& mine) {
  if (total == 0) return absl::OkStatus();
  std::string lines;
  const double now = Now();
  for (const BadSample& sample : mine) lines += FormatEvent(EventOf(split, step, sample), now);
  ASSIGN_OR_RETURN(const std::vector<std::string> of_ranks, GatherStrings(communicator_, lines));
  if (ledger_ != nullptr) {
    std::vector<std::string> events;
    for (const std::string& of_rank : of_ranks) {
      for (const auto line : absl::StrSplit(of_rank, '\n', absl::SkipEmpty()))
        events.push_back(absl::StrCat(line, "\n"));
    }
    RETURN_IF_ERROR(ledger_->Append(events));
    for (const std::string& event : events) Say(absl::StrCat("sample skipped: ", ReasonIn(event)));
  }
  if (split == Split::kValidation) return absl::OkStatus();
  state_.set_skipped_samples(state_.skipped_samples() + total);
  return CheckRate();
}

absl::Status SkipAccount::CheckRate() const {
  const int64_t skipped = state_.skipped_samples(), drawn = state_.samples_consumed();
  const double max_rate = config_.data().bad_samples().max_rate();
  if (skipped <= kAlwaysAllowed || static_cast<double>(skipped) <= max_rate * static_cast<double>(drawn)) {
    return absl::OkStatus();
  }
  return DataError(absl::StrFormat(
      "%d of the %d samples so far could not be used, more than data.bad_samples.max_rate = %g allows. ledger.jsonl in "
      "the run's folder says which, and why; mend the data, leave clips out, or raise the rate",
      skipped, drawn, max_rate));
}

absl::Status SkipAccount::AddNotFiniteStep(const NotFiniteEvent& event) {
  if (ledger_ != nullptr) RETURN_IF_ERROR(ledger_->Append({FormatEvent(event, Now())}));
  state_.set_skipped_steps(state_.skipped_steps() + 1);
  const std::string what = absl::StrCat("step ", event.step, " is not finite (loss ", FormatNumber(event.loss),
                                        ", gradient norm ", FormatNumber(event.gradient_norm), "): ", event.action);
  const std::string way_out = absl::StrCat("; the same command with --replay_step ", event.step,
                                           communicator_.world_size() > 1 ? ", on one rank," : "",
                                           " says what it was made of. A smaller learning_rate.initial may help");
  if (config_.not_finite().policy() == NotFinite::FAIL) {
    return NotFiniteError(absl::StrCat(what, way_out, ", and not_finite.policy can be SKIP or ROLLBACK"));
  }
  if (state_.skipped_steps() > config_.not_finite().max_steps()) {
    return NotFiniteError(absl::StrCat(what, ". That makes ", state_.skipped_steps(),
                                       " steps that were not finite, and not_finite.max_steps is ",
                                       config_.not_finite().max_steps(), way_out));
  }
  Say(what);
  return absl::OkStatus();
}

std::string SkipAccount::Totals() const {
  std::vector<std::string> parts;
  if (const int64_t samples = state_.skipped_samples(); samples > 0) {
    parts.push_back(
        absl::StrFormat("%d of %d samples (%.3g %%) that could not be used", samples, state_.samples_consumed(),
                        100.0 * static_cast<double>(samples) / static_cast<double>(state_.samples_consumed())));
  }
  if (const int64_t steps = state_.skipped_steps(); steps > 0) {
    parts.push_back(steps == 1 ? "1 step that was not finite" : absl::StrCat(steps, " steps that were not finite"));
  }
  if (parts.empty()) return std::string();
  return absl::StrCat("skipped since the start of the run: ", parts[0], parts.size() > 1 ? ", " + parts[1] : "",
                      "; ledger.jsonl lists them");
}

}  // namespace cubist
