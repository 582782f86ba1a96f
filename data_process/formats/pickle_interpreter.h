// The restricted pickle machine behind ParsePickle. Private to this package.
#ifndef CUBIST_DATA_PROCESS_FORMATS_PICKLE_INTERPRETER_H_
#define CUBIST_DATA_PROCESS_FORMATS_PICKLE_INTERPRETER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data_process/formats/pickle.h"
#include "data_process/formats/pickle_node.h"

namespace cubist {

// A stack machine over nodes. Opcodes make, join and name values; REDUCE and NEWOBJ, which call in
// Python, make records here (see PickleCalls).
class PickleInterpreter {
 public:
  PickleInterpreter(std::string_view bytes, std::string_view what, const PickleLimits& limits)
      : bytes_(bytes), what_(what), limits_(limits), arena_(std::make_shared<pickle_internal::Arena>()) {}

  absl::StatusOr<PickleValue> Run();

 private:
  using Node = pickle_internal::Node;

  absl::Status Execute(unsigned char opcode, bool& stop);
  absl::Status ExecuteScalar(unsigned char opcode);
  absl::Status ExecuteContainer(unsigned char opcode);
  absl::Status ExecuteObject(unsigned char opcode);

  // An error at the current opcode.
  absl::Status Fault(const std::string& message) const;
  absl::StatusOr<std::string_view> Take(uint64_t size);
  template <typename T>
  absl::StatusOr<T> Number();
  // A string whose length comes before it as a T.
  template <typename T>
  absl::StatusOr<std::string_view> Counted();
  absl::StatusOr<std::string_view> Line();

  // A new value, and `bytes` more that it will hold: every copy out of the pickle is paid for, because
  // memo entries make it cheap to ask for the same big string a million times.
  absl::StatusOr<Node*> Make(PickleKind kind, uint64_t bytes = 0);
  absl::Status Charge(uint64_t bytes);
  absl::Status Push(Node* node);
  absl::Status PushNew(PickleKind kind);
  absl::Status PushText(PickleKind kind, std::string_view text);
  absl::Status PushInteger(int64_t value);
  absl::Status PushLong(std::string_view little_endian);
  absl::Status PushTuple(size_t count);
  absl::Status PushGlobal(std::string_view module, std::string_view name);
  // Values above the last mark.
  size_t Available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  absl::Status Need(size_t count) const;
  Node* Pop();
  // Takes the values above the last mark, and the mark, off the stack.
  absl::StatusOr<std::vector<Node*>> PopMark();
  absl::Status Remember(uint32_t index);
  absl::Status Recall(uint32_t index);
  absl::Status AppendTo(Node& target, const std::vector<Node*>& values, bool set);
  absl::Status SetItems(Node& target, const std::vector<Node*>& values);
  absl::Status Build();

  // What Python would call is looked up by name and turned into data.
  absl::StatusOr<Node*> Call(Node* callable, Node* args);
  absl::StatusOr<Node*> CallEncode(const Node& args);
  absl::StatusOr<Node*> CallNumpyScalar(const Node& args);
  absl::StatusOr<Node*> CallRebuildTensor(const Node& args);
  absl::Status ParseStorage(const Node& persistent_id, PickleTensor& tensor) const;
  absl::Status CheckTensor(const PickleTensor& tensor) const;

  std::string_view bytes_;
  std::string what_;
  PickleLimits limits_;
  std::shared_ptr<pickle_internal::Arena> arena_;
  uint64_t memory_ = 0;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  std::vector<Node*> stack_;
  std::vector<size_t> marks_;
  // Seeded hashes: with those of the standard library a file can choose its keys so that all lie in one bucket.
  absl::flat_hash_map<uint32_t, Node*> memo_;
  absl::flat_hash_map<const Node*, absl::flat_hash_set<std::string>> keys_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_PICKLE_INTERPRETER_H_
