#include "tools/training/rehearsal/frame_trial.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/count_of.h"
#include "base/status.h"
#include "data_process/formats/tar.h"
#include "data_process/scenes/prefetcher.h"
#include "data_process/scenes/read_limits.h"
#include "data_process/scenes/sampler.h"
#include "tools/training/rehearsal/needed_members.h"

namespace cubist {
namespace {

constexpr size_t kShown = 10;

// The start frames of one side of a run, `first` to `last`, and what it can do about frames that are not there.
struct Side {
  const char* verb;  // "training"
  std::vector<std::string> clips;
  int64_t first = 0, last = 0;
  // Start frames that might be chosen instead begin here.
  int64_t earliest = 0;
};

struct Lack {
  std::string attribute, suffix;
  std::set<int64_t> missing;  // none: of the one member that all samples read
  size_t wanted = 0;
};

// One clip of a side.
struct ClipTrial {
  std::vector<Lack> lacks;
  std::vector<bool> usable;  // by start frame, from `earliest` on
  absl::Status unreadable;
};

// Names in lower case, which is how readers compare them (data_process/scenes/clip_archive.h).
absl::StatusOr<std::set<std::string>> ListMembers(const std::string& path, const ReadLimits& limits) {
  ASSIGN_OR_RETURN(const auto tar, TarIndex::Open(path, TarLimitsFrom(limits)));
  std::set<std::string> names;
  for (const TarMember& member : tar->members()) names.insert(absl::AsciiStrToLower(member.name));
  return names;
}

ClipTrial TryClip(const std::string& clip, const Side& side, const std::vector<NeededMember>& needed,
                  const Data& data) {
  ClipTrial trial;
  trial.usable.assign(static_cast<size_t>(side.last - side.earliest + 1), true);
  const auto none_usable = [&trial] { trial.usable.assign(trial.usable.size(), false); };
  std::map<std::string, std::set<std::string>> names;  // by attribute
  for (const NeededMember& member : needed) {
    if (names.count(member.attribute) == 0) {
      auto listed = ListMembers(ClipTarPath(data.data_root(), member.attribute, clip), data.limits());
      if (!listed.ok()) {
        none_usable();
        trial.unreadable = listed.status();
        return trial;
      }
      names[member.attribute] = *std::move(listed);
    }
    const auto has = [&, &there = names[member.attribute]](const std::string& middle) {
      return there.count(absl::AsciiStrToLower(absl::StrCat(clip, ".", middle, member.suffix))) > 0;
    };
    Lack lack{member.attribute, member.suffix, {}, 0};
    if (member.offsets.empty() && !has("")) {
      none_usable();
      trial.lacks.push_back(lack);
    }
    std::map<int64_t, bool> there;  // by frame
    std::set<int64_t> wanted;
    for (int64_t start = side.earliest; start <= side.last; ++start) {
      for (const int64_t offset : member.offsets) {
        const int64_t frame = start + offset;
        if (there.count(frame) == 0) there[frame] = has(absl::StrFormat("%06d.", frame));
        if (!there[frame]) trial.usable[static_cast<size_t>(start - side.earliest)] = false;
        if (start < side.first) continue;
        wanted.insert(frame);
        if (!there[frame]) lack.missing.insert(frame);
      }
    }
    lack.wanted = wanted.size();
    if (!lack.missing.empty()) trial.lacks.push_back(std::move(lack));
  }
  return trial;
}

std::string Describe(const std::string& clip, const Lack& lack) {
  const std::string front = absl::StrCat("\n  clip ", clip, ", ", lack.attribute, ": ");
  if (lack.missing.empty()) return absl::StrCat(front, "there is no ", lack.suffix);
  if (lack.missing.size() == 1) {
    return absl::StrCat(front, "frame ", *lack.missing.begin(), " is missing (", lack.suffix, ")");
  }
  return absl::StrCat(front, lack.missing.size(), " of ", lack.wanted, " frames are missing, the first is ",
                      *lack.missing.begin(), " (", lack.suffix, ")");
}

// What the clips of a side have shown together.
struct SideReport {
  int64_t looked_at = 0, bad_clips = 0, samples = 0, bad_samples = 0;
  std::vector<std::string> lines;
  std::optional<int64_t> first_missing;  // frame
  int64_t last_missing = -1;             // frame
  std::vector<bool> usable;              // in all clips
  bool only_frames = true;               // are missing: another start frame may help
};

void Add(const std::string& clip, const Side& side, const ClipTrial& trial, SideReport* report) {
  ++report->looked_at;
  report->usable.resize(trial.usable.size(), true);
  for (size_t i = 0; i < trial.usable.size(); ++i) {
    if (!trial.usable[i]) report->usable[i] = false;
    if (side.earliest + static_cast<int64_t>(i) < side.first) continue;
    ++report->samples;
    if (!trial.usable[i]) ++report->bad_samples;
  }
  if (trial.unreadable.ok() && trial.lacks.empty()) return;
  ++report->bad_clips;
  if (!trial.unreadable.ok()) {
    report->only_frames = false;
    report->lines.push_back(absl::StrCat("\n  clip ", clip, ": ", std::string(trial.unreadable.message())));
  }
  for (const Lack& lack : trial.lacks) {
    report->lines.push_back(Describe(clip, lack));
    if (lack.missing.empty()) {
      report->only_frames = false;
    } else {
      const int64_t frame = *lack.missing.begin();
      report->first_missing = std::min(report->first_missing.value_or(frame), frame);
      report->last_missing = std::max(report->last_missing, *lack.missing.rbegin());
    }
  }
}

// The first and the last frame that a side reads.
std::pair<int64_t, int64_t> FramesOf(const Side& side, const std::vector<NeededMember>& needed) {
  int64_t least = std::numeric_limits<int64_t>::max(), greatest = 0;
  for (const NeededMember& member : needed) {
    if (member.offsets.empty()) continue;
    least = std::min(least, *member.offsets.begin());
    greatest = std::max(greatest, *member.offsets.rbegin());
  }
  return {side.first + least, side.last + greatest};
}

// "training reads frames 15 to 59"
std::string DescribeFrames(const Side& side, const std::vector<NeededMember>& needed) {
  const auto [first, last] = FramesOf(side, needed);
  return absl::StrCat(side.verb, " reads ", first == last ? "frame " : "frames ", first,
                      first == last ? "" : absl::StrCat(" to ", last));
}

// What other clips would do; `last_frame`: the last that is read.
std::string OtherClips(const SideReport& report, int64_t last_frame, const Data& data, bool trains) {
  if (report.bad_clips < report.looked_at) {
    return absl::StrCat(trains ? "data.train_clips" : "data.validation_clips", " can name clips that are whole");
  }
  if (!report.only_frames || report.last_missing < last_frame) {
    return "use other data: no clip that was looked at is whole";
  }
  const int64_t frames = last_frame + 1;
  return absl::StrCat("use data with clips of ", frames, " frames: synthesize_scenes --frames ", frames, " makes such",
                      data.has_synthesize()
                          ? absl::StrCat(", and train, by data.synthesize.frames=", frames, ", in a new data.data_root")
                          : "");
}

std::string WayOut(const Side& side, const SideReport& report, int64_t last_frame, const Data& data, bool trains) {
  const std::string others = OtherClips(report, last_frame, data, trains);
  if (report.only_frames && trains) {
    // All that is read lies before frame_end.
    const int64_t longest = data.frame_end() - 1 - side.last;
    if (*report.first_missing - longest > side.first) {
      return absl::StrCat("set data.frame_end=", *report.first_missing, " (it is ", data.frame_end(), "), or ", others);
    }
  } else if (report.only_frames) {
    const auto latest = std::find(report.usable.rbegin(), report.usable.rend(), true);
    if (latest != report.usable.rend()) {
      const int64_t start = side.earliest + (report.usable.rend() - latest) - 1;
      return absl::StrCat("set data.validation_start_frame=", start, " (it is ", side.first, "), or ", others);
    }
  }
  return others;
}

std::vector<std::string> Spread(const std::vector<std::string>& clips, int64_t most) {
  const auto count = static_cast<int64_t>(clips.size());
  if (count <= most) return clips;
  std::vector<std::string> some;
  for (int64_t i = 0; i < most; ++i) some.push_back(clips[static_cast<size_t>(i * count / most)]);
  return some;
}

absl::StatusOr<SideReport> TrySide(const Side& side, const std::vector<NeededMember>& needed, const Data& data,
                                   int threads, const std::function<bool()>& stop) {
  Prefetcher<ClipTrial>::Options options;
  options.end = side.clips.size();
  options.threads = threads;
  options.capacity = 4 * std::max(1, threads);
  Prefetcher<ClipTrial> trials(
      options, [&](uint64_t k) -> absl::StatusOr<ClipTrial> { return TryClip(side.clips[k], side, needed, data); });
  SideReport report;
  while (report.looked_at < static_cast<int64_t>(side.clips.size())) {
    if (stop()) return PreemptedError("asked to stop while archives were listed; nothing stays");
    ASSIGN_OR_RETURN(const std::optional<ClipTrial> trial, trials.Next(std::chrono::milliseconds(50)));
    if (trial.has_value()) Add(side.clips[static_cast<size_t>(report.looked_at)], side, *trial, &report);
  }
  return report;
}

}  // namespace

absl::StatusOr<CheckOutcome> TryFrames(const ClipIndex& clips, const Experiment& config, int threads,
                                       const std::function<bool()>& stop, int64_t most_clips) {
  const Data& data = config.data();
  ASSIGN_OR_RETURN(const TrainingSampler sampler, TrainingSampler::Create(clips.train_clips(), data, /*seed=*/0));
  const int64_t start = data.validation_start_frame();
  std::vector<std::string> validated;
  const Validation& validation = config.validation();
  if (validation.has_interval_steps() || validation.interval_epochs() > 0) {
    for (const SceneDraw& draw : ValidationSamples(clips.validation_clips(), data, validation.max_samples())) {
      validated.push_back(draw.clip);
    }
  }
  const Side sides[] = {
      {"training", clips.train_clips(), sampler.first_start(), sampler.last_start(), sampler.first_start()},
      {"validation", validated, start, start, 0}};
  const std::vector<NeededMember> needed = NeededMembers(data);
  std::string good, bad;
  int64_t samples = 0, bad_samples = 0;
  for (Side side : sides) {
    const bool trains = side.verb == sides[0].verb;
    const size_t all = side.clips.size();
    if (all == 0) continue;
    side.clips = Spread(side.clips, most_clips);
    ASSIGN_OR_RETURN(const SideReport report, TrySide(side, needed, data, threads, stop));
    samples += report.samples;
    bad_samples += report.bad_samples;
    const std::string of = absl::StrCat(CountOf(static_cast<uint64_t>(report.looked_at), "clip"),
                                        side.clips.size() < all ? absl::StrCat(" of the ", all) : "");
    if (report.lines.empty()) {
      absl::StrAppend(&good, good.empty() ? "" : "\n", DescribeFrames(side, needed), ": all there in ", of,
                      side.clips.size() < all ? ", the others were not looked at" : "");
      continue;
    }
    absl::StrAppend(&bad, bad.empty() ? "" : "\n", DescribeFrames(side, needed), ": not all there in ",
                    report.bad_clips, " of ", of);
    for (size_t i = 0; i < std::min(kShown, report.lines.size()); ++i) bad += report.lines[i];
    if (report.lines.size() > kShown) absl::StrAppend(&bad, "\n  and ", report.lines.size() - kShown, " more");
    absl::StrAppend(&bad, "\n", WayOut(side, report, FramesOf(side, needed).second, data, trains));
  }
  if (bad.empty()) return CheckOutcome{Verdict::kOk, good};
  const double rate = static_cast<double>(bad_samples) / static_cast<double>(samples);
  if (data.bad_samples().policy() == BadSamples::SKIP && rate <= data.bad_samples().max_rate()) {
    return CheckOutcome{Verdict::kWarning, absl::StrCat(bad, "\ndata.bad_samples lets the run go on without them")};
  }
  if (data.bad_samples().policy() == BadSamples::SKIP) {
    absl::StrAppendFormat(&bad, "\n%.2g of all samples lack something, more than data.bad_samples.max_rate, %.2g", rate,
                          data.bad_samples().max_rate());
  }
  return DataError(bad);
}

}  // namespace cubist
