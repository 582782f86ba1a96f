// A conversation with wandb-core over its socket.
//
// Each way: the byte 'W', the length as 32 bits in little-endian order, a serialized ServerRequest or ServerResponse.
// An answer carries the request_id of what it answers; answers come in any order, and some requests never get one
// (a record for a run that is finished): whoever waits has a deadline.
#ifndef CUBIST_TOOLS_WANDB_CORE_CLIENT_H_
#define CUBIST_TOOLS_WANDB_CORE_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wandb_internal {
class ServerRequest;
class ServerResponse;
}  // namespace wandb_internal

namespace cubist {

// All functions may be called by any thread. Errors: PeerLostError once the connection has ended, when a deadline
// passed, and for what wandb-core answers with an error; InternalError for a request that would end wandb-core: one
// without a type, or with a record without one.
class CoreClient {
 public:
  using Request = wandb_internal::ServerRequest;
  using Response = wandb_internal::ServerResponse;
  using Callback = std::function<void(const absl::StatusOr<Response>&)>;

  static absl::StatusOr<std::unique_ptr<CoreClient>> Connect(const std::string& socket_path);
  ~CoreClient();
  CoreClient(const CoreClient&) = delete;
  CoreClient& operator=(const CoreClient&) = delete;

  // Sends what has no answer. wandb-core takes nothing while it is behind: when `deadline` passes in the middle of a
  // message, the connection is ended.
  absl::Status Send(const Request& request, std::chrono::milliseconds deadline);
  // Sends, and waits for the answer; `deadline` is for both. When it passes, wandb-core is told to give up; likewise
  // when `look`, which is called some times a second unless it is null, returns an error.
  absl::StatusOr<Response> Ask(const Request& request, std::chrono::milliseconds deadline,
                               const std::function<absl::Status()>& look = nullptr);
  // Sends, and returns: `done` is called with the answer, by another thread, or with an error when the connection ends.
  // It is called exactly once unless an error is returned here; it must not call this client.
  absl::Status AskLater(const Request& request, std::chrono::milliseconds send_deadline, Callback done);

  // Ends the connection: who waits gets an error at once.
  void Close();
  bool closed();

 private:
  using Clock = std::chrono::steady_clock;
  explicit CoreClient(int descriptor);
  absl::Status SendBytes(std::string_view bytes, Clock::time_point deadline);
  absl::Status SendBefore(const Request& request, Clock::time_point deadline);
  absl::StatusOr<std::string> Begin(const Request& request, Clock::time_point deadline, Callback done);
  bool Forget(const std::string& id);
  bool Receive(char* bytes, size_t size);
  void ReadAnswers();

  const int descriptor_;
  std::mutex sending_;
  std::mutex mutex_;  // of what follows
  bool closed_ = false;
  uint64_t last_id_ = 0;
  std::map<std::string, Callback> waiting_;  // by request_id
  std::thread reader_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_CORE_CLIENT_H_
