// Questions to the server of Weights & Biases and downloads from it, by wandb-core's retries, proxies and TLS.
#ifndef CUBIST_TOOLS_WANDB_SERVER_SESSION_H_
#define CUBIST_TOOLS_WANDB_SERVER_SESSION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "tools/wandb/core_client.h"
#include "tools/wandb/credentials.h"

namespace cubist {

struct ServerSessionOptions {
  const std::atomic<bool>* stop = nullptr;  // not null and set: what is waited for ends
  std::chrono::milliseconds query_deadline = std::chrono::seconds(60);
  std::chrono::milliseconds download_silence = std::chrono::minutes(2);  // without a new byte
};

// Errors: ConfigError where the server refuses the key or the address is not its own, PeerLostError where it cannot be
// reached or did not answer as it should, PreemptedError after `stop`. Nothing is known of what was asked for then.
class ServerSession {
 public:
  // `client` and `options.stop` must outlive it.
  static absl::StatusOr<std::unique_ptr<ServerSession>> Open(CoreClient& client, const WandbCredentials& credentials,
                                                             const ServerSessionOptions& options = {});
  ~ServerSession();
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  // What a GraphQL query returns as `data`.
  absl::StatusOr<nlohmann::json> Query(const std::string& query, const nlohmann::json& variables);
  // Writes what is at `url` to `path`, whose folders are made. `look` is called some times a second with the bytes that
  // are there; an error of it ends the download. StorageError where `path` cannot be written.
  absl::Status Download(const std::string& url, const std::string& path,
                        const std::function<absl::Status(int64_t bytes)>& look);

 private:
  ServerSession(CoreClient& client, std::string server, std::string id, const ServerSessionOptions& options)
      : client_(client), server_(std::move(server)), id_(std::move(id)), options_(options) {}
  absl::StatusOr<CoreClient::Response> Ask(CoreClient::Request& request, std::chrono::milliseconds deadline,
                                           const std::function<absl::Status()>& look = nullptr);

  CoreClient& client_;
  const std::string server_;  // its address
  const std::string id_;
  const ServerSessionOptions options_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_SERVER_SESSION_H_
