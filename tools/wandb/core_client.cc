#include "tools/wandb/core_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace pb = wandb_internal;
using std::chrono::milliseconds;

constexpr size_t kHeader = 5;
constexpr uint32_t kLongestAnswer = uint32_t{1} << 30;
constexpr milliseconds kLookInterval(100);

absl::Status Closed() { return PeerLostError("wandb-core ended the connection"); }

// That wandb-core survives it: without a type, a record makes it panic and a request makes it hang up.
absl::Status CheckHasType(const pb::ServerRequest& request) {
  if (request.server_request_type_case() == pb::ServerRequest::SERVER_REQUEST_TYPE_NOT_SET) {
    return InternalError("a request to wandb-core without a type");
  }
  if (!request.has_record_publish()) return absl::OkStatus();
  const pb::Record& record = request.record_publish();
  if (record.record_type_case() == pb::Record::RECORD_TYPE_NOT_SET ||
      (record.has_request() && record.request().request_type_case() == pb::Request::REQUEST_TYPE_NOT_SET)) {
    return InternalError("a record for wandb-core without a type");
  }
  return absl::OkStatus();
}

// Of one Ask(); shared with the reader, which may come after it gave up.
struct Answer {
  std::mutex mutex;
  std::condition_variable came;
  std::optional<absl::StatusOr<pb::ServerResponse>> value;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoreClient>> CoreClient::Connect(const std::string& socket_path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return PeerLostError(absl::StrCat(socket_path, ": too long for a socket; set TMPDIR to a shorter folder"));
  }
  std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return InternalError(absl::StrCat("socket: ", ErrnoText(errno)));
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    ::close(descriptor);
    return PeerLostError(absl::StrCat("cannot reach wandb-core at ", socket_path, ": ", ErrnoText(error)));
  }
  return std::unique_ptr<CoreClient>(new CoreClient(descriptor));
}

CoreClient::CoreClient(int descriptor) : descriptor_(descriptor), reader_([this] { ReadAnswers(); }) {}

CoreClient::~CoreClient() {
  Close();
  reader_.join();
  ::close(descriptor_);
}

void CoreClient::Close() { ::shutdown(descriptor_, SHUT_RDWR); }

bool CoreClient::closed() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return closed_;
}

absl::Status CoreClient::SendBytes(std::string_view bytes, Clock::time_point deadline) {
  bool started = false;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      started = true;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return Closed();
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      // What is left of a message would be taken for the rest of this one.
      if (started) ::shutdown(descriptor_, SHUT_RDWR);
      return PeerLostError("wandb-core does not take what it is sent");
    }
    pollfd waited = {descriptor_, POLLOUT, 0};
    ::poll(&waited, 1, static_cast<int>(std::min<int64_t>(left, 1000)));
  }
  return absl::OkStatus();
}

absl::Status CoreClient::SendBefore(const Request& request, Clock::time_point deadline) {
  RETURN_IF_ERROR(CheckHasType(request));
  std::string frame(kHeader, 'W');
  if (!request.AppendToString(&frame)) return InternalError("a request to wandb-core cannot be serialized");
  const size_t size = frame.size() - kHeader;
  for (int i = 0; i < 4; ++i) frame[1 + i] = static_cast<char>(size >> (8 * i));
  if (closed()) return Closed();
  const std::lock_guard<std::mutex> lock(sending_);
  return SendBytes(frame, deadline);
}

absl::Status CoreClient::Send(const Request& request, milliseconds deadline) {
  return SendBefore(request, Clock::now() + deadline);
}

bool CoreClient::Forget(const std::string& id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return waiting_.erase(id) > 0;
}

absl::StatusOr<std::string> CoreClient::Begin(const Request& request, Clock::time_point deadline, Callback done) {
  Request asked = request;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return Closed();
    asked.set_request_id(absl::StrCat("cubist", ++last_id_));
    waiting_[asked.request_id()] = std::move(done);
  }
  if (asked.has_record_publish()) {
    asked.mutable_record_publish()->mutable_control()->set_mailbox_slot(asked.request_id());
  }
  const absl::Status sent = SendBefore(asked, deadline);
  // The connection may have ended meanwhile: then the reader has called `done`.
  if (!sent.ok() && Forget(asked.request_id())) return sent;
  return asked.request_id();
}

absl::Status CoreClient::AskLater(const Request& request, milliseconds send_deadline, Callback done) {
  return Begin(request, Clock::now() + send_deadline, std::move(done)).status();
}

absl::StatusOr<CoreClient::Response> CoreClient::Ask(const Request& request, milliseconds deadline,
                                                     const std::function<absl::Status()>& look) {
  const Clock::time_point end = Clock::now() + deadline;
  const auto answer = std::make_shared<Answer>();
  ASSIGN_OR_RETURN(const std::string id, Begin(request, end, [answer](const absl::StatusOr<Response>& value) {
                     const std::lock_guard<std::mutex> lock(answer->mutex);
                     answer->value = value;
                     answer->came.notify_all();
                   }));
  absl::Status given_up;
  while (given_up.ok()) {
    {
      std::unique_lock<std::mutex> lock(answer->mutex);
      const Clock::time_point next = look == nullptr ? end : std::min(end, Clock::now() + kLookInterval);
      if (answer->came.wait_until(lock, next, [&] { return answer->value.has_value(); })) return *answer->value;
    }
    if (look != nullptr) given_up = look();
    if (given_up.ok() && Clock::now() >= end) {
      given_up = PeerLostError(absl::StrCat("no answer from wandb-core within ", deadline.count() / 1000.0, " s"));
    }
  }
  Forget(id);
  Request cancel;
  cancel.mutable_cancel()->set_request_id(id);
  (void)Send(cancel, std::chrono::seconds(1));
  return given_up;
}

bool CoreClient::Receive(char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = ::recv(descriptor_, bytes, size, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

void CoreClient::ReadAnswers() {
  while (true) {
    unsigned char header[kHeader];
    if (!Receive(reinterpret_cast<char*>(header), kHeader) || header[0] != 'W') break;
    uint32_t size = 0;
    for (int i = 0; i < 4; ++i) size |= uint32_t{header[1 + i]} << (8 * i);
    if (size > kLongestAnswer) break;
    std::string bytes(size, '\0');
    Response response;
    if (!Receive(bytes.data(), size) || !response.ParseFromString(bytes)) break;
    Callback done;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = waiting_.find(response.request_id());
      if (found == waiting_.end()) continue;
      done = std::move(found->second);
      waiting_.erase(found);
    }
    if (response.has_error_response()) {
      done(PeerLostError(absl::StrCat("wandb-core: ", response.error_response().message())));
    } else {
      done(std::move(response));
    }
  }
  std::map<std::string, Callback> waiting;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    waiting.swap(waiting_);
  }
  for (const auto& [id, done] : waiting) done(Closed());
}

}  // namespace cubist
