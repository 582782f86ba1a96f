#include "tools/wandb/reference_lookup.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file_lock.h"
#include "base/status.h"
#include "tools/wandb/artifact_files.h"

namespace cubist {
namespace {

using nlohmann::json;

constexpr char kMembership[] =
    "query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {"
    " project(name: $project, entityName: $entity) { artifactCollectionMembership(name: $name) {"
    " versionIndex artifact { id digest state } } } }";
constexpr char kArtifactFiles[] =
    "query ArtifactFileURLs($id: ID!, $cursor: String, $perPage: Int) { artifact(id: $id) {"
    " files(after: $cursor, first: $perPage) { pageInfo { hasNextPage endCursor }"
    " edges { node { name directUrl sizeBytes md5 updatedAt } } } } }";
constexpr char kRunFiles[] =
    "query RunFiles($entity: String!, $project: String!, $run: String!, $cursor: String, $perPage: Int) {"
    " project(name: $project, entityName: $entity) { run(name: $run) { files(after: $cursor, first: $perPage) {"
    " pageInfo { hasNextPage endCursor } edges { node { name directUrl sizeBytes md5 updatedAt } } } } } }";
constexpr char kRunsNamed[] =
    "query RunsNamed($entity: String!, $project: String!, $filters: JSONString!) {"
    " project(name: $project, entityName: $entity) { runs(filters: $filters, order: \"-created_at\", first: 50) {"
    " edges { node { name } } } } }";
constexpr char kViewer[] = "query Viewer { viewer { entity } }";
constexpr char kHistory[] =
    "query SampledHistoryPage($entity: String!, $project: String!, $run: String!, $spec: JSONString!) {"
    " project(name: $project, entityName: $entity) { run(name: $run) { sampledHistory(specs: [$spec]) } } }";
constexpr int kFilesPerPage = 100;
constexpr int kHistorySamples = 1000;

// The value at a path of members, null where one of them is missing or null.
json At(const json& value, const std::vector<const char*>& path) {
  const json* at = &value;
  for (const char* member : path) {
    if (!at->is_object() || !at->contains(member)) return nullptr;
    at = &(*at)[member];
  }
  return *at;
}

std::string TextAt(const json& value, const std::vector<const char*>& path) {
  const json found = At(value, path);
  return found.is_string() ? found.get<std::string>() : "";
}

int64_t NumberAt(const json& value, const std::vector<const char*>& path, int64_t otherwise) {
  const json found = At(value, path);
  // The server has 64-bit numbers as text too.
  if (found.is_string()) return std::atoll(found.get<std::string>().c_str());
  return found.is_number() ? found.get<int64_t>() : otherwise;
}

absl::Status Unexpected(const std::string& what) {
  return PeerLostError(absl::StrCat("the server's answer about ", what, " is not as it should be"));
}

// All pages of a connection of files, which is at `path` of the answer. Nothing if its owner is not there.
absl::StatusOr<std::optional<std::vector<RemoteFile>>> ReadFiles(ServerSession& session, const char* query,
                                                                 json variables, const std::vector<const char*>& owner,
                                                                 const std::string& what) {
  std::vector<RemoteFile> files;
  variables["perPage"] = kFilesPerPage;
  while (true) {
    ASSIGN_OR_RETURN(const json data, session.Query(query, variables));
    if (!data.contains(owner[0])) return Unexpected(what);
    const json found = At(data, owner);
    if (found.is_null()) return std::optional<std::vector<RemoteFile>>();
    const json page = At(found, {"files"}), edges = At(page, {"edges"});
    if (!edges.is_array()) return Unexpected(what);
    for (const json& edge : edges) {
      const json node = At(edge, {"node"});
      files.push_back({TextAt(node, {"name"}), TextAt(node, {"directUrl"}), TextAt(node, {"md5"}),
                       NumberAt(node, {"sizeBytes"}, -1), TextAt(node, {"updatedAt"})});
      if (files.back().name.empty() || files.back().url.empty()) return Unexpected(what);
    }
    const std::string cursor = TextAt(page, {"pageInfo", "endCursor"});
    if (At(page, {"pageInfo", "hasNextPage"}) != true || cursor.empty()) return std::make_optional(std::move(files));
    variables["cursor"] = cursor;
  }
}

absl::Status SyncFile(FileOps& ops, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.OpenForAppend(path));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(file->Close());
  return ops.SyncDirectory(std::filesystem::path(path).parent_path().string());
}

absl::Status CheckFile(const RemoteFile& file, const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return StorageError(absl::StrCat(path, ": it is not there after its download"));
  if (file.size >= 0 && info.st_size != file.size) {
    return PeerLostError(
        absl::StrCat(file.name, ": ", info.st_size, " bytes came, and the server has ", file.size, "; try again"));
  }
  ASSIGN_OR_RETURN(const std::string md5, Md5OfFile(path));
  if (md5 == file.md5) return absl::OkStatus();
  return PeerLostError(
      absl::StrCat(file.name, ": what came has the MD5 ", md5, ", and the server says ", file.md5, "; try again"));
}

absl::Status CheckSpace(const std::string& folder, int64_t needed) {
  struct statvfs info;
  if (::statvfs(folder.c_str(), &info) != 0) return absl::OkStatus();  // writing will tell
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(needed) <= free) return absl::OkStatus();
  return StorageError(absl::StrFormat("%s: the download needs %.3f GB, and %.3f GB are free there", folder,
                                      static_cast<double>(needed) * 1e-9, free * 1e-9));
}

}  // namespace

absl::StatusOr<std::string> DefaultEntity(ServerSession& session) {
  ASSIGN_OR_RETURN(const json data, session.Query(kViewer, json::object()));
  if (!data.contains("viewer")) return Unexpected("the key's owner");
  const std::string entity = TextAt(data, {"viewer", "entity"});
  if (!entity.empty()) return entity;
  return ConfigError("the server knows no entity of this key: name one in front of the project, or by WANDB_ENTITY");
}

absl::StatusOr<std::optional<int64_t>> EpochOfLowest(ServerSession& session, const RemoteProject& project,
                                                     const std::string& run_id, const std::string& metric) {
  const json spec = {{"keys", {metric, "epoch"}}, {"samples", kHistorySamples}};
  ASSIGN_OR_RETURN(
      const json data,
      session.Query(kHistory,
                    {{"entity", project.entity}, {"project", project.name}, {"run", run_id}, {"spec", spec.dump()}}));
  const std::string what = absl::StrCat("the history of the run ", run_id);
  if (!data.contains("project")) return Unexpected(what);
  if (At(data, {"project", "run"}).is_null()) return std::optional<int64_t>();
  // A list for each spec.
  const json lists = At(data, {"project", "run", "sampledHistory"});
  if (!lists.is_array() || lists.size() != 1 || !lists[0].is_array()) return Unexpected(what);
  std::optional<std::pair<double, int64_t>> lowest;
  for (const json& row : lists[0]) {
    const json value = At(row, {metric.c_str()}), epoch = At(row, {"epoch"});
    if (!value.is_number() || !epoch.is_number()) continue;  // NaN is a text
    if (lowest.has_value() && !(value.get<double>() < lowest->first)) continue;
    lowest.emplace(value.get<double>(), epoch.get<int64_t>());
  }
  if (!lowest.has_value()) return std::optional<int64_t>();
  return std::make_optional(lowest->second);
}

absl::StatusOr<std::optional<RemoteArtifact>> FindArtifact(ServerSession& session, const RemoteProject& project,
                                                           const std::string& name) {
  ASSIGN_OR_RETURN(const json data,
                   session.Query(kMembership, {{"entity", project.entity}, {"project", project.name}, {"name", name}}));
  if (!data.contains("project")) return Unexpected(name);
  const json membership = At(data, {"project", "artifactCollectionMembership"});
  if (membership.is_null()) return std::optional<RemoteArtifact>();
  RemoteArtifact artifact = {TextAt(membership, {"artifact", "id"}), TextAt(membership, {"artifact", "digest"}),
                             NumberAt(membership, {"versionIndex"}, 0)};
  if (artifact.id.empty()) return Unexpected(name);
  return std::make_optional(std::move(artifact));
}

absl::StatusOr<std::vector<RemoteFile>> FilesOfArtifact(ServerSession& session, const std::string& artifact_id) {
  const std::string what = absl::StrCat("the artifact ", artifact_id);
  ASSIGN_OR_RETURN(auto files, ReadFiles(session, kArtifactFiles, {{"id", artifact_id}}, {"artifact"}, what));
  if (!files.has_value()) return Unexpected(what);
  return *std::move(files);
}

absl::StatusOr<std::optional<std::vector<RemoteFile>>> FilesOfRun(ServerSession& session, const RemoteProject& project,
                                                                  const std::string& run_id) {
  return ReadFiles(session, kRunFiles, {{"entity", project.entity}, {"project", project.name}, {"run", run_id}},
                   {"project", "run"}, absl::StrCat("the run ", run_id));
}

absl::StatusOr<std::vector<std::string>> RunsNamed(ServerSession& session, const RemoteProject& project,
                                                   const std::string& display_name) {
  const json filters = {{"display_name", display_name}};
  ASSIGN_OR_RETURN(
      const json data,
      session.Query(kRunsNamed, {{"entity", project.entity},
                                 {"project", project.name},
                                 {"filters", filters.dump(-1, ' ', false, json::error_handler_t::replace)}}));
  if (!data.contains("project")) return Unexpected(display_name);
  std::vector<std::string> ids;
  if (data["project"].is_null()) return ids;
  const json edges = At(data, {"project", "runs", "edges"});
  if (!edges.is_array()) return Unexpected(display_name);
  for (const json& edge : edges) ids.push_back(TextAt(edge, {"node", "name"}));
  return ids;
}

absl::Status DownloadFiles(FileOps& ops, ServerSession& session, const std::vector<RemoteFile>& files,
                           const std::string& folder, const DownloadProgress& progress) {
  if (IsDirectory(folder)) return absl::OkStatus();
  int64_t total = 0, done = 0;
  for (const RemoteFile& file : files) {
    if (!IsPathInside(file.name)) return ConfigError(absl::StrCat("\"", file.name, "\" is no path of a file"));
    if (file.md5.empty()) {
      return PeerLostError(absl::StrCat(file.name, ": the server does not say its MD5, so that nothing tells whether ",
                                        "it came whole; download it by hand and name the file"));
    }
    total += std::max<int64_t>(file.size, 0);
  }
  const std::string parent = std::filesystem::path(folder).parent_path().string();
  RETURN_IF_ERROR(MakeDirectories(ops, parent));
  FileLock lock;
  const auto look = [&] { return progress == nullptr ? absl::OkStatus() : progress(0, total); };
  ASSIGN_OR_RETURN(const bool is_locked, lock.Wait(folder + ".lock", look));
  if (IsDirectory(folder)) return absl::OkStatus();
  if (is_locked) RETURN_IF_ERROR(RemoveLeftovers(ops, folder));
  RETURN_IF_ERROR(CheckSpace(parent, total));
  const absl::Status status = MakeFolderAtomically(ops, folder, [&](const std::string& temporary) {
    for (const RemoteFile& file : files) {
      const std::string path = absl::StrCat(temporary, "/", file.name);
      RETURN_IF_ERROR(MakeDirectories(ops, std::filesystem::path(path).parent_path().string()));
      const absl::Status came = session.Download(file.url, path, [&](int64_t bytes) {
        return progress == nullptr ? absl::OkStatus() : progress(done + bytes, total);
      });
      if (ExitCodeOf(came) == ExitCode::kPreempted) return came;
      RETURN_IF_ERROR(Annotate(came, absl::StrCat("cannot download ", file.name)));
      RETURN_IF_ERROR(CheckFile(file, path));
      RETURN_IF_ERROR(SyncFile(ops, path));
      done += std::max<int64_t>(file.size, 0);
      if (progress != nullptr) RETURN_IF_ERROR(progress(done, total));
    }
    return absl::OkStatus();
  });
  // Without locks another process may have been faster.
  return !status.ok() && IsDirectory(folder) ? absl::OkStatus() : status;
}

}  // namespace cubist
