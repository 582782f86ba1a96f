#include "tools/training/logging/wandb_logger.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "configs/flat_fields.h"
#include "tools/wandb/run_identity.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// After a failure the ranks that wait for this one are killed before long: tools/training/launch/launcher.h.
constexpr milliseconds kTimeAfterFailure = std::chrono::seconds(4);
constexpr milliseconds kPatience = std::chrono::seconds(10);
constexpr char kDefaultProject[] = "cubist";

milliseconds Milliseconds(double seconds) { return milliseconds(static_cast<int64_t>(seconds * 1000)); }

std::string FirstOf(const std::string& a, const std::string& b, const std::string& c) {
  return !a.empty() ? a : !b.empty() ? b : c;
}

std::string ShownName(const std::string& name, const std::string& run_folder) {
  const std::string folder = fs::path(run_folder).lexically_normal().filename().string();
  return name.empty() || absl::EndsWith(name, "/") ? name + folder : name;
}

// Second names for all files of `folder`, below `to`, by their paths in the folder.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> LinkFiles(FileOps& ops, const std::string& folder,
                                                                           const std::string& to) {
  std::vector<std::pair<std::string, std::string>> files;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->is_regular_file()) continue;
    const std::string path = entry->path().lexically_relative(folder).string();
    const std::string link = absl::StrCat(to, "/", path);
    RETURN_IF_ERROR(MakeDirectories(ops, fs::path(link).parent_path().string()));
    RETURN_IF_ERROR(ops.Link(entry->path().string(), link));
    files.emplace_back(path, link);
  }
  if (error) return StorageError(absl::StrCat(folder, ": cannot list: ", error.message()));
  return files;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WandbLogger>> WandbLogger::Start(FileOps& ops, WandbLoggerOptions options) {
  ASSIGN_OR_RETURN(const WandbCredentials credentials, ReadWandbCredentials(options.environment));
  if (credentials.mode == WandbMode::kDisabled) return nullptr;
  RETURN_IF_ERROR(CheckKeyForLogging(credentials));
  std::unique_ptr<WandbLogger> logger(new WandbLogger(ops, std::move(options)));
  (void)RemoveTree(ops, logger->uploads_);  // of a process that was killed
  const auto identity = ReadRunIdentity(logger->options_.run_folder);
  if (logger->run_id_.empty()) RETURN_IF_ERROR(identity.status());
  std::optional<WandbRunIdentity> known;
  if (!logger->run_id_.empty()) known = {"", "", logger->run_id_, ""};
  // Another id is that of a run which this folder held before.
  if (identity.ok() && identity->has_value() && (!known.has_value() || (*identity)->id == known->id)) known = *identity;
  logger->run_id_ = known.has_value() ? known->id : RandomRunId();
  logger->Open(credentials, known);
  return logger;
}

WandbLogger::WandbLogger(FileOps& ops, WandbLoggerOptions options)
    : ops_(ops),
      options_(std::move(options)),
      run_id_(options_.run_id),
      uploads_(options_.run_folder + "/wandb/uploads"),
      upload_checkpoints_(options_.config.logging().wandb().upload_checkpoints()),
      started_(Clock::now()),
      uploaded_at_(started_) {}

void WandbLogger::Open(const WandbCredentials& credentials, const std::optional<WandbRunIdentity>& known) {
  const Wandb& config = options_.config.logging().wandb();
  RunSenderOptions sender;
  sender.program = options_.wandb_core;
  sender.environment = options_.environment;
  sender.run.credentials = credentials;
  // A run goes on where it was, unless config or flags say something else; the environment speaks of new ones.
  const WandbRunIdentity before = known.value_or(WandbRunIdentity{});
  sender.run.entity = FirstOf(config.entity(), before.entity, credentials.entity);
  sender.run.project = FirstOf(config.project(), before.project, FirstOf(credentials.project, kDefaultProject, ""));
  if ((!before.entity.empty() && sender.run.entity != before.entity) ||
      (!before.project.empty() && sender.run.project != before.project)) {
    Say(absl::StrCat("warning: Weights & Biases: this run was logged as ", before.entity, "/", before.project, "/",
                     run_id_, "; as config or flags say, it goes on as ", sender.run.entity, "/", sender.run.project,
                     "/", run_id_));
  }
  sender.run.name = ShownName(config.name(), options_.run_folder);
  sender.run.id = run_id_;
  sender.run.resume = known.has_value() ? "allow" : "";
  sender.run.group = config.group();
  sender.run.tags = {config.tags().begin(), config.tags().end()};
  for (const auto& [path, value] : FlatFields(options_.config)) {
    sender.run.config[path] = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  sender.run.folder = FirstOf(credentials.folder, options_.run_folder, "");
  sender.run.system_metrics = config.system_metrics();
  sender.run.finish_timeout = Milliseconds(60 * config.finish_minutes());
  server_ = credentials.mode == WandbMode::kOnline ? credentials.base_url : "";
  sender.opened = [this](const WandbRun& run) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      server_.clear();
    }
    Say(run.online() ? "Weights & Biases: " + run.Url()
                     : absl::StrCat("Weights & Biases, offline: ", run.folder(), "; wandb_sync uploads it"));
    const WandbRunIdentity identity = {run.entity(), run.project(), run.id(), run.name()};
    const absl::Status status = WriteRunIdentity(ops_, options_.run_folder, identity);
    if (!status.ok()) Say(absl::StrCat("warning: Weights & Biases: ", status.message()));
  };
  sender.warn = [this](const std::string& line) { Say("warning: " + line); };
  sender_ = std::make_unique<RunSender>(ops_, std::move(sender));
}

void WandbLogger::Say(const std::string& line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  lines_.push_back(line);
}

std::vector<std::string> WandbLogger::TakeLines() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!server_.empty() && Clock::now() - started_ > kPatience) {
    lines_.push_back(absl::StrCat("Weights & Biases: ", server_, " has not answered yet; training goes on meanwhile"));
    server_.clear();
  }
  return std::exchange(lines_, {});
}

bool WandbLogger::IsDue(const SavedCheckpoint& checkpoint) const {
  if (checkpoint.is_best || checkpoint.is_final) return true;
  const std::chrono::duration<double, std::ratio<3600>> hours = Clock::now() - uploaded_at_;
  return hours.count() >= options_.config.logging().wandb().upload_interval_hours();
}

void WandbLogger::Saved(const SavedCheckpoint& checkpoint) {
  if (!upload_checkpoints_ || !IsDue(checkpoint)) return;
  // A number each: after a rollback a step is saved again, perhaps while its first checkpoint still waits.
  const std::string links = absl::StrCat(uploads_, "/", StepAlias(checkpoint.step), "-", ++uploads_begun_);
  const auto files = LinkFiles(ops_, checkpoint.folder, links);
  if (!files.ok()) {
    (void)RemoveTree(ops_, links);
    upload_checkpoints_ = false;
    Say(
        absl::StrCat("warning: Weights & Biases: checkpoints are not uploaded, as their files cannot have second names "
                     "while they are: ",
                     files.status().message()));
    return;
  }
  uploaded_at_ = Clock::now();
  WandbArtifact artifact;
  artifact.name = CheckpointCollection(run_id_);
  artifact.files = *files;
  artifact.aliases = {"latest", "last"};
  if (checkpoint.is_best) artifact.aliases.emplace_back("best");
  artifact.own_alias = StepAlias(checkpoint.step);
  artifact.metadata = checkpoint.metadata;
  sender_->LogArtifact(std::move(artifact), /*when_offline=*/checkpoint.is_final,
                       [&ops = ops_, links] { (void)RemoveTree(ops, links); });
}

RunSenderReport WandbLogger::Finish(ExitCode code, const std::function<bool()>& look) {
  const Wandb& config = options_.config.logging().wandb();
  const milliseconds grace = Milliseconds(config.grace_seconds());
  const bool done = code == ExitCode::kDone;
  milliseconds time = done ? Milliseconds(60 * config.finish_minutes()) : grace;
  if (!done && code != ExitCode::kPreempted) time = std::min(time, kTimeAfterFailure);
  const auto hurry = [&] { return look() && done ? std::optional(grace) : std::nullopt; };
  return sender_->Finish(static_cast<int>(code), time, hurry);
}

}  // namespace cubist
