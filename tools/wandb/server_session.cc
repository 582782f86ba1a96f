#include "tools/wandb/server_session.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tools/wandb/wandb_settings.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace pb = wandb_internal;

using Clock = std::chrono::steady_clock;

// Of a download that goes on: one that stands still ends before.
constexpr std::chrono::milliseconds kDownloadDeadline = std::chrono::hours(24 * 7);

// Half a minute of trying, not a quarter of an hour.
void LimitRetries(pb::Settings* settings) {
  settings->mutable_x_graphql_retry_max()->set_value(4);
  settings->mutable_x_graphql_retry_wait_min_seconds()->set_value(1);
  settings->mutable_x_graphql_retry_wait_max_seconds()->set_value(8);
  settings->mutable_x_graphql_timeout_seconds()->set_value(20);
  settings->mutable_x_file_transfer_retry_max()->set_value(4);
  settings->mutable_x_file_transfer_retry_wait_min_seconds()->set_value(1);
  settings->mutable_x_file_transfer_retry_wait_max_seconds()->set_value(8);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerSession>> ServerSession::Open(CoreClient& client,
                                                                   const WandbCredentials& credentials,
                                                                   const ServerSessionOptions& options) {
  pb::ServerRequest request;
  SetServer(credentials, request.mutable_api_init_request()->mutable_settings());
  LimitRetries(request.mutable_api_init_request()->mutable_settings());
  request.mutable_api_init_request()->set_service_name("cubist");
  ASSIGN_OR_RETURN(const pb::ServerResponse response, client.Ask(request, options.query_deadline));
  return std::unique_ptr<ServerSession>(
      new ServerSession(client, credentials.base_url, response.api_init_response().api_id(), options));
}

ServerSession::~ServerSession() {
  pb::ServerRequest request;
  request.mutable_api_cleanup_request()->set_api_id(id_);
  (void)client_.Send(request, std::chrono::seconds(1));
}

absl::StatusOr<CoreClient::Response> ServerSession::Ask(CoreClient::Request& request,
                                                        std::chrono::milliseconds deadline,
                                                        const std::function<absl::Status()>& look) {
  request.mutable_api_request()->set_api_id(id_);
  absl::StatusOr<pb::ServerResponse> answer = client_.Ask(request, deadline, [&] {
    if (options_.stop != nullptr && *options_.stop) return PreemptedError("stopped by a signal");
    return look == nullptr ? absl::OkStatus() : look();
  });
  if (!answer.ok()) return Annotate(answer.status(), server_);
  pb::ServerResponse& response = *answer;
  if (!response.api_response().has_api_error_response()) return answer;
  const pb::ApiErrorResponse& error = response.api_response().api_error_response();
  const std::string message = absl::StrCat(server_, ": ", error.message());
  switch (error.http_status()) {
    case 401:
    case 403:
      return ConfigError(absl::StrCat(message, "; look at the key, WANDB_API_KEY or of ~/.netrc, and what it may see"));
    case 404:
      return ConfigError(absl::StrCat(message, "; look at the address, WANDB_BASE_URL"));
    default:
      return PeerLostError(message);
  }
}

absl::StatusOr<nlohmann::json> ServerSession::Query(const std::string& query, const nlohmann::json& variables) {
  pb::ServerRequest request;
  pb::GraphQLRequest* graphql = request.mutable_api_request()->mutable_graphql_request();
  graphql->set_query(query);
  graphql->set_variables_json(variables.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  ASSIGN_OR_RETURN(const pb::ServerResponse response, Ask(request, options_.query_deadline));
  nlohmann::json data = nlohmann::json::parse(response.api_response().graphql_response().data_json(), nullptr, false);
  if (!data.is_object()) return PeerLostError(absl::StrCat(server_, ": the answer is no JSON object"));
  return data;
}

absl::Status ServerSession::Download(const std::string& url, const std::string& path,
                                     const std::function<absl::Status(int64_t bytes)>& look) {
  pb::ServerRequest request;
  request.mutable_api_request()->mutable_download_file_request()->set_url(url);
  request.mutable_api_request()->mutable_download_file_request()->set_path(path);
  int64_t before = 0;
  Clock::time_point grew = Clock::now();
  const absl::Status status =
      Ask(request, kDownloadDeadline, [&]() -> absl::Status {
        struct stat info;
        const int64_t bytes = ::stat(path.c_str(), &info) == 0 ? info.st_size : 0;
        if (std::exchange(before, bytes) != bytes) grew = Clock::now();
        if (Clock::now() - grew > options_.download_silence) {
          return PeerLostError(absl::StrCat("the download stands still: ", bytes, " bytes, and nothing for ",
                                            std::chrono::duration<double>(options_.download_silence).count(), " s"));
        }
        return look(bytes);
      }).status();
  // Errors of the operating system name the file or its folder.
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const bool is_local = ExitCodeOf(status) == ExitCode::kPeerLost && absl::StrContains(status.message(), folder);
  return is_local ? StorageError(absl::StrCat("cannot write what is downloaded: ", status.message())) : status;
}

}  // namespace cubist
