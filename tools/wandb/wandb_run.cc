#include "tools/wandb/wandb_run.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "tools/training/checkpoint/hashes.h"
#include "tools/wandb/artifact_files.h"
#include "tools/wandb/transaction_log.h"
#include "tools/wandb/wandb_settings.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace pb = wandb_internal;
using std::chrono::milliseconds;

constexpr char kStepMetric[] = "trainer/global_step";
// Of the Python package that the program comes from: the server looks at it.
constexpr char kPackageVersion[] = "0.31.0";
constexpr char kInternalLog[] = "/logs/debug-internal.log";  // of wandb-core, in the run's folder
constexpr milliseconds kLastWordsDeadline = std::chrono::seconds(2);

double Now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

double Seconds(milliseconds time) { return static_cast<double>(time.count()) / 1000; }

std::string RandomWord(size_t length) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;  // no seed: two runs must not have the same name
  std::string word;
  for (size_t i = 0; i < length; ++i) word += kLetters[random() % kLetters.size()];
  return word;
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// "20260131_235959", local time, as the Python package names folders.
std::string FolderTime(double time) {
  const std::time_t seconds = static_cast<std::time_t>(time);
  std::tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof(text), "%Y%m%d_%H%M%S", &parts));
}

void SetTime(double time, google::protobuf::Timestamp* timestamp) {
  timestamp->set_seconds(static_cast<int64_t>(std::floor(time)));
  timestamp->set_nanos(static_cast<int32_t>((time - std::floor(time)) * 1e9));
}

// A key as a part of a file's name.
std::string FileNameOf(const std::string& key) {
  std::string name = key;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') c = '_';
  }
  return name;
}

uint32_t BigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// What is wrong at the start of a run, so that its exit code says whose it is to mend.
absl::Status StartError(const pb::ErrorInfo& error) {
  const std::string& message = error.message();
  return error.code() == pb::ErrorInfo::USAGE ? ConfigError(message) : PeerLostError(message);
}

}  // namespace

std::string RandomRunId() { return RandomWord(8); }

std::string JsonNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

std::string JsonText(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<std::unique_ptr<WandbRun>> WandbRun::Open(FileOps& ops, CoreClient& client,
                                                         const WandbRunOptions& options) {
  std::unique_ptr<WandbRun> run(new WandbRun(ops, client, options));
  run->options_.folder = std::filesystem::absolute(options.folder).lexically_normal().string();
  RETURN_IF_ERROR(run->MakeFolders());
  pb::ServerRequest request;
  request.mutable_inform_init()->mutable__info()->set_stream_id(options.id);
  run->Describe(request.mutable_inform_init()->mutable_settings());
  RETURN_IF_ERROR(client.Ask(request, options.send_deadline).status());
  RETURN_IF_ERROR(run->Start());
  return run;
}

absl::Status WandbRun::MakeFolders() {
  start_time_ = Now();
  double named = start_time_;
  do {
    folder_ = absl::StrCat(options_.folder, "/wandb/", online() ? "run-" : "offline-run-", FolderTime(named), "-",
                           options_.id);
    named += 1;
  } while (Exists(folder_));
  RemoveLeftArtifacts();
  // wandb-core makes none of them.
  RETURN_IF_ERROR(MakeDirectories(ops_, folder_ + "/files"));
  return MakeDirectories(ops_, folder_ + "/logs");
}

// Files of artifacts that a process which was killed had named: nobody uploads them, and they take space.
void WandbRun::RemoveLeftArtifacts() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder + "/wandb", error)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, "run-") && absl::EndsWith(name, "-" + options_.id)) {
      (void)RemoveTree(ops_, entry.path().string() + "/artifacts");
    }
  }
}

std::string WandbRun::LogFile() const { return absl::StrCat(folder_, "/run-", options_.id, ".wandb"); }

void WandbRun::Describe(pb::Settings* settings) const {
  const auto text = [](google::protobuf::StringValue* field, const std::string& value) {
    if (!value.empty()) field->set_value(value);
  };
  SetServer(options_.credentials, settings);
  settings->mutable__offline()->set_value(!online());
  text(settings->mutable_mode(), online() ? "online" : "offline");
  text(settings->mutable_run_id(), options_.id);
  text(settings->mutable_entity(), options_.entity);
  text(settings->mutable_project(), options_.project);
  text(settings->mutable_resume(), options_.resume);
  text(settings->mutable_root_dir(), options_.folder);
  text(settings->mutable_wandb_dir(), options_.folder + "/wandb");
  text(settings->mutable_sync_dir(), folder_);
  text(settings->mutable_sync_file(), LogFile());
  text(settings->mutable_log_dir(), folder_ + "/logs");
  text(settings->mutable_log_internal(), folder_ + kInternalLog);
  settings->mutable_x_start_time()->set_value(start_time_);
  // Without these it tries for days.
  settings->mutable_init_timeout()->set_value(Seconds(options_.init_timeout));
  settings->mutable_finish_timeout()->set_value(Seconds(options_.finish_timeout));
  // Seconds that a row may be in its memory only.
  settings->mutable_x_transaction_log_flush_interval()->set_value(1);
  settings->mutable_x_update_finish_state()->set_value(true);  // else the run is "running" for ever
  settings->mutable_allow_offline_artifacts()->set_value(true);
  settings->mutable_disable_job_creation()->set_value(true);
  settings->mutable_disable_git()->set_value(true);
  settings->mutable_silent()->set_value(true);
  text(settings->mutable_console(), "wrap");
  settings->mutable_x_disable_meta()->set_value(true);
  settings->mutable_x_disable_machine_info()->set_value(!options_.system_metrics);
  settings->mutable_x_disable_stats()->set_value(!options_.system_metrics);
  if (options_.system_metrics) {
    settings->mutable_x_stats_pid()->set_value(::getpid());
    settings->mutable_x_stats_sampling_interval()->set_value(15);
  }
}

absl::Status WandbRun::Start() {
  pb::Record header;
  header.mutable_header();
  RETURN_IF_ERROR(Send(header));
  RETURN_IF_ERROR(StartRun());
  // A log that cannot be written is nothing that wandb-core says a word about.
  if (!Exists(LogFile())) return StorageError(absl::StrCat(LogFile(), ": wandb-core could not make it"));
  return DefineStepMetric();
}

absl::Status WandbRun::StartRun() {
  pb::Record record;
  pb::RunRecord* run = record.mutable_run();
  run->set_run_id(options_.id);
  run->set_entity(options_.entity);
  run->set_project(options_.project);
  run->set_display_name(options_.name);
  run->set_run_group(options_.group);
  run->set_job_type(options_.job_type);
  run->set_notes(options_.notes);
  for (const std::string& tag : options_.tags) run->add_tags(tag);
  run->set_resume(options_.resume == "allow" || options_.resume == "must");
  SetTime(start_time_, run->mutable_start_time());
  run->mutable_telemetry()->set_cli_version(kPackageVersion);
  for (const auto& [key, json] : options_.config) {
    pb::ConfigItem* item = run->mutable_config()->add_update();
    item->set_key(key);
    item->set_value_json(json);
  }
  ASSIGN_OR_RETURN(const pb::ServerResponse response, Ask(record, options_.init_timeout + std::chrono::seconds(5)));
  const pb::RunUpdateResult& result = response.result_communicate().run_result();
  if (result.has_error()) return StartError(result.error());
  if (!result.has_run()) return PeerLostError("no run came back");
  options_.entity = result.run().entity();
  options_.project = result.run().project();
  options_.name = result.run().display_name();
  resumed_ = result.run().resumed();
  pb::Record start;
  *start.mutable_request()->mutable_run_start()->mutable_run() = result.run();
  RETURN_IF_ERROR(Ask(start, options_.send_deadline).status());
  if (!options_.system_metrics) return absl::OkStatus();
  pb::Record probe;
  probe.mutable_request()->mutable_probe_system_info();
  return Send(probe);
}

absl::Status WandbRun::DefineStepMetric() {
  pb::Record step, others;
  step.mutable_metric()->set_name(kStepMetric);
  step.mutable_metric()->mutable_options()->set_defined(true);
  RETURN_IF_ERROR(Send(step));
  others.mutable_metric()->set_glob_name("*");
  others.mutable_metric()->set_step_metric(kStepMetric);
  others.mutable_metric()->mutable_options()->set_defined(true);
  others.mutable_metric()->mutable_options()->set_step_sync(true);
  return Send(others);
}

absl::Status WandbRun::Send(pb::Record record) {
  pb::ServerRequest request;
  record.mutable__info()->set_stream_id(options_.id);
  // Requests are for wandb-core itself and stay out of the log.
  if (record.has_request()) record.mutable_control()->set_local(true);
  *request.mutable_record_publish() = std::move(record);
  return client_.Send(request, options_.send_deadline);
}

absl::StatusOr<CoreClient::Response> WandbRun::Ask(pb::Record record, milliseconds deadline,
                                                   const std::function<absl::Status()>& look) {
  pb::ServerRequest request;
  record.mutable__info()->set_stream_id(options_.id);
  if (record.has_request()) record.mutable_control()->set_local(true);
  *request.mutable_record_publish() = std::move(record);
  return client_.Ask(request, deadline, look);
}

absl::Status WandbRun::LogItems(int64_t step, const std::vector<std::pair<std::string, std::string>>& items) {
  pb::Record record;
  pb::PartialHistoryRequest* row = record.mutable_request()->mutable_partial_history();
  const auto add = [row](const std::string& key, const std::string& json) {
    pb::HistoryItem* item = row->add_item();
    item->set_key(key);
    item->set_value_json(json);
  };
  for (const auto& [key, json] : items) add(key, json);
  add(kStepMetric, absl::StrCat(step));
  add("_timestamp", JsonNumber(Now()));
  row->mutable_action()->set_flush(true);
  return Send(std::move(record));
}

absl::Status WandbRun::LogRow(int64_t step, const std::vector<std::pair<std::string, double>>& metrics) {
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [key, value] : metrics) items.emplace_back(key, JsonNumber(value));
  return LogItems(step, items);
}

absl::Status WandbRun::LogImage(const std::string& key, int64_t step, const std::string& png_path,
                                const std::string& caption) {
  ASSIGN_OR_RETURN(const std::string png, ReadWholeFile(png_path));
  // PNG specification, 5.2 and 11.2.2.
  if (png.size() < 26 || !absl::StartsWith(png, "\x89PNG\r\n\x1a\n") || png.compare(12, 4, "IHDR") != 0) {
    return DataError(absl::StrCat(png_path, ": no PNG file"));
  }
  const std::string sha256 = Sha256Hex(png);
  const std::string folder = "media/images";
  const std::string path = absl::StrCat(folder, "/", FileNameOf(key), "_", step, "_", sha256.substr(0, 20), ".png");
  RETURN_IF_ERROR(MakeDirectories(ops_, absl::StrCat(folder_, "/files/", folder)));
  RETURN_IF_ERROR(WriteFileAtomically(ops_, absl::StrCat(folder_, "/files/", path), png));
  pb::Record record;
  pb::FilesItem* file = record.mutable_files()->add_files();
  file->set_path(path);
  file->set_policy(pb::FilesItem::NOW);
  file->set_type(pb::FilesItem::MEDIA);
  RETURN_IF_ERROR(Send(std::move(record)));
  return LogItems(
      step, {{key, absl::StrCat(R"({"_type":"image-file","format":"png","width":)", BigEndian(png, 16), R"(,"height":)",
                                BigEndian(png, 20), R"(,"size":)", png.size(), R"(,"sha256":")", sha256,
                                R"(","path":")", path, R"(","caption":)", JsonText(caption), "}")}});
}

absl::Status WandbRun::LogConsole(const std::string& line) {
  pb::Record record;
  pb::OutputRawRecord* output = record.mutable_output_raw();
  output->set_output_type(pb::OutputRawRecord::STDOUT);
  SetTime(Now(), output->mutable_timestamp());
  const std::string json = JsonText(line);  // protobuf refuses what is no UTF-8
  output->set_line(nlohmann::json::parse(json).get<std::string>() + "\n");
  return Send(std::move(record));
}

absl::Status WandbRun::SetSummary(const std::string& key, const std::string& json) {
  pb::Record record;
  pb::SummaryItem* item = record.mutable_summary()->add_update();
  item->set_key(key);
  item->set_value_json(json);
  return Send(std::move(record));
}

absl::Status WandbRun::LogArtifact(const WandbArtifact& artifact, const std::atomic<bool>* stop,
                                   std::function<void(const absl::Status&)> done) {
  // wandb-core deletes all files whose path begins with the staging folder's: it must be one that holds nothing else,
  // and no other's name may begin with it.
  const std::string staging = absl::StrCat(folder_, "/artifacts/", ++artifacts_, "-", RandomWord(8));
  ASSIGN_OR_RETURN(const std::vector<StagedFile> files, StageFiles(ops_, artifact.files, staging, stop));
  pb::ArtifactRecord described;
  described.set_entity(options_.entity);
  described.set_project(options_.project);
  described.set_run_id(options_.id);
  described.set_name(artifact.name);
  described.set_type(artifact.type);
  described.set_metadata(artifact.metadata);
  for (const std::string& alias : artifact.aliases) described.add_aliases(alias);
  if (!artifact.own_alias.empty()) described.add_aliases(artifact.own_alias);
  described.set_client_id(RandomWord(128));
  described.set_sequence_client_id(RandomWord(128));
  described.set_finalize(true);
  described.set_digest_algorithm("MANIFEST_MD5");
  described.set_digest(ArtifactDigest(files));
  pb::ArtifactManifest* manifest = described.mutable_manifest();
  manifest->set_version(1);
  manifest->set_storage_policy("wandb-storage-policy-v1");
  pb::StoragePolicyConfigItem* layout = manifest->add_storage_policy_config();
  layout->set_key("storageLayout");
  layout->set_value_json("\"V2\"");
  for (const StagedFile& file : files) {
    pb::ArtifactManifestEntry* entry = manifest->add_contents();
    entry->set_path(file.path);
    entry->set_digest(file.md5);
    entry->set_size(file.size);
    entry->set_local_path(file.local_path);
    entry->set_skip_cache(true);  // else a third copy is made in the home folder
  }
  pb::Record record;
  if (!online()) {
    // The copies stay until the run is uploaded.
    *record.mutable_artifact() = std::move(described);
    const absl::Status status = Send(std::move(record));
    if (status.ok()) done(status);
    return status;
  }
  pb::LogArtifactRequest* log = record.mutable_request()->mutable_log_artifact();
  *log->mutable_artifact() = std::move(described);
  log->set_staging_dir(staging);
  record.mutable_control()->set_local(true);
  record.mutable__info()->set_stream_id(options_.id);
  pb::ServerRequest request;
  *request.mutable_record_publish() = std::move(record);
  return client_.AskLater(
      request, options_.send_deadline,
      [&ops = ops_, staging, name = artifact.name, done](const absl::StatusOr<CoreClient::Response>& response) {
        absl::Status status = response.status();
        if (status.ok()) {
          const std::string& error = response->result_communicate().response().log_artifact_response().error_message();
          if (!error.empty()) status = PeerLostError(error);
        }
        (void)RemoveTree(ops, staging);  // what was not uploaded, nobody comes back for
        done(Annotate(status, absl::StrCat("the artifact ", name)));
      });
}

absl::StatusOr<std::vector<std::string>> WandbRun::Warnings(milliseconds deadline) {
  pb::Record record;
  record.mutable_request()->mutable_internal_messages();
  ASSIGN_OR_RETURN(const pb::ServerResponse response, Ask(std::move(record), deadline));
  const auto& messages = response.result_communicate().response().internal_messages_response().messages();
  return std::vector<std::string>(messages.warning().begin(), messages.warning().end());
}

absl::Status WandbRun::Finish(int exit_code, milliseconds deadline, std::vector<std::string>* warnings,
                              const std::function<absl::Status()>& look) {
  if (exit_code == static_cast<int>(ExitCode::kPreempted)) {
    pb::Record preempting;
    preempting.mutable_preempting();
    RETURN_IF_ERROR(Send(std::move(preempting)));
  }
  pb::Record record;
  record.mutable_exit()->set_exit_code(exit_code);
  const absl::StatusOr<CoreClient::Response> response = Ask(std::move(record), deadline, look);
  std::vector<std::string> said;
  if (response.ok()) said = Warnings(kLastWordsDeadline).value_or(std::vector<std::string>());
  pb::ServerRequest finish;
  finish.mutable_inform_finish()->mutable__info()->set_stream_id(options_.id);
  (void)client_.Send(finish, options_.send_deadline);
  if (warnings != nullptr) *warnings = said;
  RETURN_IF_ERROR(response.status());
  if (response->result_communicate().exit_result().timed_out()) {
    return PeerLostError(absl::StrCat("not all could be uploaded within ", Seconds(options_.finish_timeout), " s"));
  }
  // Of an upload that was given up the result says nothing.
  for (const std::string& text : said) {
    if (absl::StrContains(text, "Fatal error while uploading")) return PeerLostError("the server refused it");
  }
  return CheckFilesUploaded();
}

absl::Status WandbRun::CheckFilesUploaded() const {
  const std::string path = folder_ + kInternalLog;
  std::ifstream log(path);
  int64_t failed = 0;
  for (std::string line; std::getline(log, line);) {
    // Files of artifacts are of kind 2; what becomes of those, their answers say.
    if (absl::StrContains(line, "file transfer: upload: failed") && !absl::StrContains(line, "FileKind: 2")) ++failed;
  }
  if (failed == 0) return absl::OkStatus();
  return PeerLostError(absl::StrCat(CountOf(static_cast<uint64_t>(failed), "file"), " could not be uploaded: ", path));
}

void WandbRun::MarkIncomplete() { (void)WriteFileAtomically(ops_, folder_ + kIncompleteMark, ""); }

absl::Status WandbRun::ProbeFolder() {
  return WriteFileAtomically(ops_, folder_ + "/logs/probe", std::string(4096, '.'));
}

absl::Status WandbRun::CheckStored() const {
  bool has_end = false;
  const auto summary = ReadTransactionLog(LogFile(), [&](std::string_view bytes) {
    pb::Record record;
    has_end = (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && record.has_exit()) || has_end;
    return absl::OkStatus();
  });
  if (summary.ok() && summary->damaged_bytes == 0 && has_end) return absl::OkStatus();
  return StorageError(absl::StrCat(LogFile(), ": not all of the run could be stored; is the disk full?"));
}

std::string WandbRun::Url() const {
  if (!online()) return "";
  return absl::StrCat(options_.credentials.app_url, "/", options_.entity, "/", options_.project, "/runs/", options_.id);
}

}  // namespace cubist
