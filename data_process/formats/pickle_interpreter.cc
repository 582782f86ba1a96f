#include "data_process/formats/pickle_interpreter.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/pickle_opcodes.h"

namespace cubist {

using namespace pickle_opcodes;  // NOLINT: a switch over forty of them

absl::Status PickleInterpreter::Fault(const std::string& message) const {
  return DataError(absl::StrCat(what_, ": pickle at offset ", opcode_at_, ": ", message));
}

absl::StatusOr<std::string_view> PickleInterpreter::Take(uint64_t size) {
  if (size > bytes_.size() - at_) {
    return Fault(absl::StrCat("truncated: ", size, " bytes are announced and ", bytes_.size() - at_, " are left"));
  }
  const std::string_view taken = bytes_.substr(at_, size);
  at_ += size;
  return taken;
}

template <typename T>
absl::StatusOr<T> PickleInterpreter::Number() {
  ASSIGN_OR_RETURN(const std::string_view taken, Take(sizeof(T)));
  return LoadLittleEndian<T>(taken.data());
}

template <typename T>
absl::StatusOr<std::string_view> PickleInterpreter::Counted() {
  ASSIGN_OR_RETURN(const T size, Number<T>());
  return Take(size);
}

absl::StatusOr<std::string_view> PickleInterpreter::Line() {
  const size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) return Fault("truncated: a line does not end");
  const std::string_view line = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

absl::Status PickleInterpreter::Charge(uint64_t bytes) {
  memory_ += bytes;
  if (memory_ <= limits_.max_memory_bytes) return absl::OkStatus();
  return Fault(absl::StrCat("its values need more than the limit of ", limits_.max_memory_bytes, " bytes"));
}

absl::StatusOr<pickle_internal::Node*> PickleInterpreter::Make(PickleKind kind, uint64_t bytes) {
  RETURN_IF_ERROR(Charge(sizeof(Node) + bytes));
  Node& node = arena_->nodes.emplace_back();
  node.kind = kind;
  return &node;
}

absl::Status PickleInterpreter::Push(Node* node) {
  if (stack_.size() >= limits_.max_stack) {
    return Fault(absl::StrCat("more than the limit of ", limits_.max_stack, " values on the stack"));
  }
  stack_.push_back(node);
  return absl::OkStatus();
}

absl::Status PickleInterpreter::PushNew(PickleKind kind) {
  ASSIGN_OR_RETURN(Node* const node, Make(kind));
  return Push(node);
}

absl::Status PickleInterpreter::PushText(PickleKind kind, std::string_view text) {
  if (kind == PickleKind::kString && !IsUtf8(text)) return Fault("a string that is not UTF-8");
  ASSIGN_OR_RETURN(Node* const node, Make(kind, text.size()));
  node->text = std::string(text);
  return Push(node);
}

absl::Status PickleInterpreter::PushInteger(int64_t value) {
  ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kInt));
  node->integer = value;
  return Push(node);
}

absl::Status PickleInterpreter::PushLong(std::string_view little_endian) {
  if (little_endian.size() > 1024) return Fault(absl::StrCat("an integer of ", little_endian.size(), " bytes"));
  if (little_endian.size() > 8) return PushText(PickleKind::kBigInt, little_endian);
  const bool negative = !little_endian.empty() && (little_endian.back() & 0x80) != 0;
  int64_t value = negative ? -1 : 0;
  if (!little_endian.empty()) std::memcpy(&value, little_endian.data(), little_endian.size());
  return PushInteger(value);
}

absl::Status PickleInterpreter::PushTuple(size_t count) {
  RETURN_IF_ERROR(Need(count));
  ASSIGN_OR_RETURN(Node* const tuple, Make(PickleKind::kTuple, count * sizeof(Node*)));
  tuple->items.assign(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return Push(tuple);
}

absl::Status PickleInterpreter::PushGlobal(std::string_view module, std::string_view name) {
  const std::string full = absl::StrCat(std::string(module), ".", std::string(name));
  bool plain = !module.empty() && !name.empty() && full.size() <= 1000 && IsUtf8(full);
  for (char character : full) plain = plain && static_cast<unsigned char>(character) > 0x20 && character != 0x7f;
  if (!plain) return Fault(absl::StrCat("impossible class name ", Quoted(full)));
  return PushText(PickleKind::kGlobal, full);
}

absl::Status PickleInterpreter::Need(size_t count) const {
  if (Available() >= count) return absl::OkStatus();
  return Fault(absl::StrCat("needs ", count, " values on the stack, and there are ", Available()));
}

pickle_internal::Node* PickleInterpreter::Pop() {
  Node* const node = stack_.back();
  stack_.pop_back();
  return node;
}

absl::StatusOr<std::vector<pickle_internal::Node*>> PickleInterpreter::PopMark() {
  if (marks_.empty()) return Fault("no mark on the stack");
  std::vector<Node*> values(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return values;
}

absl::Status PickleInterpreter::Remember(uint32_t index) {
  RETURN_IF_ERROR(Need(1));
  memo_[index] = stack_.back();
  if (memo_.size() <= limits_.max_memo) return absl::OkStatus();
  return Fault(absl::StrCat("more than the limit of ", limits_.max_memo, " memo entries"));
}

absl::Status PickleInterpreter::Recall(uint32_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) return Fault(absl::StrCat("memo entry ", index, " was never written"));
  return Push(found->second);
}

absl::Status PickleInterpreter::AppendTo(Node& target, const std::vector<Node*>& values, bool set) {
  const PickleKind wanted = set ? PickleKind::kSet : PickleKind::kList;
  if (target.kind != wanted && target.kind != PickleKind::kObject) {
    return Fault(absl::StrCat("appends to a ", std::string(Name(target.kind))));
  }
  RETURN_IF_ERROR(Charge(values.size() * sizeof(Node*)));
  target.items.insert(target.items.end(), values.begin(), values.end());
  return absl::OkStatus();
}

absl::Status PickleInterpreter::SetItems(Node& target, const std::vector<Node*>& values) {
  if (target.kind != PickleKind::kDict && target.kind != PickleKind::kObject) {
    return Fault(absl::StrCat("sets items of a ", std::string(Name(target.kind))));
  }
  if (values.size() % 2 != 0) return Fault("a key without a value");
  absl::flat_hash_set<std::string>& keys = keys_[&target];
  for (size_t i = 0; i < values.size(); i += 2) {
    const Node& key = *values[i];
    const bool text = key.kind == PickleKind::kString;
    RETURN_IF_ERROR(Charge(key.text.size() + 128));  // the pair and the key's entry
    if ((text && !keys.insert(absl::StrCat("s", key.text)).second) ||
        (key.kind == PickleKind::kInt && !keys.insert(absl::StrCat("i", key.integer)).second)) {
      return Fault(
          absl::StrCat("key ", text ? Quoted(key.text) : absl::StrCat(key.integer), " occurs twice in one dict"));
    }
    target.More().pairs.emplace_back(values[i], values[i + 1]);
  }
  return absl::OkStatus();
}

absl::Status PickleInterpreter::Build() {
  RETURN_IF_ERROR(Need(2));
  Node* const state = Pop();
  Node& target = *stack_.back();
  if (target.kind != PickleKind::kObject && target.kind != PickleKind::kDict) {
    return Fault(absl::StrCat("sets the state of a ", std::string(Name(target.kind))));
  }
  if (target.More().state != nullptr) return Fault("sets the state of an object a second time");
  target.extra->state = state;
  return absl::OkStatus();
}

absl::StatusOr<PickleValue> PickleInterpreter::Run() {
  if (bytes_.size() > limits_.max_bytes) {
    return Fault(absl::StrCat(bytes_.size(), " bytes are more than the limit of ", limits_.max_bytes));
  }
  if (bytes_.size() < 2 || static_cast<unsigned char>(bytes_[0]) != kProto || bytes_[1] < 2 || bytes_[1] > 4) {
    return Fault("no pickle of protocol 2, 3 or 4; save it again with one of these");
  }
  at_ = 2;
  bool stop = false;
  while (!stop) {
    opcode_at_ = at_;
    ASSIGN_OR_RETURN(const auto opcode, Number<unsigned char>());
    RETURN_IF_ERROR(Execute(opcode, stop));
  }
  if (stack_.size() != 1 || !marks_.empty()) {
    return Fault(absl::StrCat("stops with ", stack_.size(), " values and ", marks_.size(), " marks on the stack"));
  }
  if (at_ != bytes_.size()) return Fault(absl::StrCat(bytes_.size() - at_, " bytes after the end"));
  return PickleValue(arena_, stack_.front());
}

absl::Status PickleInterpreter::Execute(unsigned char opcode, bool& stop) {
  switch (opcode) {
    case kStop:
      stop = true;
      return absl::OkStatus();
    case kFrame: {
      ASSIGN_OR_RETURN(const auto size, Number<uint64_t>());
      if (size > bytes_.size() - at_) return Fault(absl::StrCat("truncated: a frame of ", size, " bytes"));
      return absl::OkStatus();
    }
    case kMark:
      if (marks_.size() >= limits_.max_marks) {
        return Fault(absl::StrCat("more than the limit of ", limits_.max_marks, " open marks"));
      }
      marks_.push_back(stack_.size());
      return absl::OkStatus();
    case kPop:
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
        return absl::OkStatus();
      }
      RETURN_IF_ERROR(Need(1));
      Pop();
      return absl::OkStatus();
    case kPopMark:
      return PopMark().status();
    case kDup:
      RETURN_IF_ERROR(Need(1));
      return Push(stack_.back());
    case kBinPut: {
      ASSIGN_OR_RETURN(const auto index, Number<uint8_t>());
      return Remember(index);
    }
    case kLongBinPut: {
      ASSIGN_OR_RETURN(const auto index, Number<uint32_t>());
      return Remember(index);
    }
    case kMemoize:
      return Remember(static_cast<uint32_t>(memo_.size()));
    case kBinGet: {
      ASSIGN_OR_RETURN(const auto index, Number<uint8_t>());
      return Recall(index);
    }
    case kLongBinGet: {
      ASSIGN_OR_RETURN(const auto index, Number<uint32_t>());
      return Recall(index);
    }
    default:
      return ExecuteScalar(opcode);
  }
}

absl::Status PickleInterpreter::ExecuteScalar(unsigned char opcode) {
  switch (opcode) {
    case kNone:
      return PushNew(PickleKind::kNone);
    case kNewTrue:
    case kNewFalse: {
      ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kBool));
      node->boolean = opcode == kNewTrue;
      return Push(node);
    }
    case kBinInt: {
      ASSIGN_OR_RETURN(const auto value, Number<int32_t>());
      return PushInteger(value);
    }
    case kBinInt1: {
      ASSIGN_OR_RETURN(const auto value, Number<uint8_t>());
      return PushInteger(value);
    }
    case kBinInt2: {
      ASSIGN_OR_RETURN(const auto value, Number<uint16_t>());
      return PushInteger(value);
    }
    case kLong1: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint8_t>());
      return PushLong(text);
    }
    case kLong4: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint32_t>());
      return PushLong(text);
    }
    case kBinFloat: {  // the one big-endian number
      ASSIGN_OR_RETURN(const auto swapped, Number<uint64_t>());
      const uint64_t bits = __builtin_bswap64(swapped);
      ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kFloat));
      std::memcpy(&node->real, &bits, sizeof(bits));
      return Push(node);
    }
    case kShortBinUnicode: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint8_t>());
      return PushText(PickleKind::kString, text);
    }
    case kBinUnicode: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint32_t>());
      return PushText(PickleKind::kString, text);
    }
    case kBinUnicode8: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint64_t>());
      return PushText(PickleKind::kString, text);
    }
    case kShortBinBytes: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint8_t>());
      return PushText(PickleKind::kBytes, text);
    }
    case kBinBytes: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint32_t>());
      return PushText(PickleKind::kBytes, text);
    }
    case kBinBytes8: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint64_t>());
      return PushText(PickleKind::kBytes, text);
    }
    case kShortBinString: {  // Python 2's str: text where it can be
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint8_t>());
      return PushText(IsUtf8(text) ? PickleKind::kString : PickleKind::kBytes, text);
    }
    case kBinString: {
      ASSIGN_OR_RETURN(const std::string_view text, Counted<uint32_t>());
      return PushText(IsUtf8(text) ? PickleKind::kString : PickleKind::kBytes, text);
    }
    default:
      return ExecuteContainer(opcode);
  }
}

absl::Status PickleInterpreter::ExecuteContainer(unsigned char opcode) {
  switch (opcode) {
    case kEmptyList:
      return PushNew(PickleKind::kList);
    case kEmptyDict:
      return PushNew(PickleKind::kDict);
    case kEmptySet:
      return PushNew(PickleKind::kSet);
    case kEmptyTuple:
      return PushTuple(0);
    case kTuple1:
      return PushTuple(1);
    case kTuple2:
      return PushTuple(2);
    case kTuple3:
      return PushTuple(3);
    case kTuple:
    case kList:
    case kFrozenSet: {
      ASSIGN_OR_RETURN(std::vector<Node*> values, PopMark());
      ASSIGN_OR_RETURN(Node* const node, Make(opcode == kTuple  ? PickleKind::kTuple
                                              : opcode == kList ? PickleKind::kList
                                                                : PickleKind::kSet,
                                              values.size() * sizeof(Node*)));
      node->items = std::move(values);
      return Push(node);
    }
    case kDict: {
      ASSIGN_OR_RETURN(const std::vector<Node*> values, PopMark());
      ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kDict));
      RETURN_IF_ERROR(SetItems(*node, values));
      return Push(node);
    }
    case kAppend: {
      RETURN_IF_ERROR(Need(2));
      Node* const value = Pop();
      return AppendTo(*stack_.back(), {value}, false);
    }
    case kAppends:
    case kAddItems: {
      ASSIGN_OR_RETURN(const std::vector<Node*> values, PopMark());
      RETURN_IF_ERROR(Need(1));
      return AppendTo(*stack_.back(), values, opcode == kAddItems);
    }
    case kSetItem: {
      RETURN_IF_ERROR(Need(3));
      Node* const value = Pop();
      Node* const key = Pop();
      return SetItems(*stack_.back(), {key, value});
    }
    case kSetItems: {
      ASSIGN_OR_RETURN(const std::vector<Node*> values, PopMark());
      RETURN_IF_ERROR(Need(1));
      return SetItems(*stack_.back(), values);
    }
    default:
      return ExecuteObject(opcode);
  }
}

absl::Status PickleInterpreter::ExecuteObject(unsigned char opcode) {
  switch (opcode) {
    case kGlobal: {
      ASSIGN_OR_RETURN(const std::string_view module, Line());
      ASSIGN_OR_RETURN(const std::string_view name, Line());
      return PushGlobal(module, name);
    }
    case kStackGlobal: {
      RETURN_IF_ERROR(Need(2));
      const Node* const name = Pop();
      const Node* const module = Pop();
      if (name->kind != PickleKind::kString || module->kind != PickleKind::kString) {
        return Fault("a class name that is no string");
      }
      return PushGlobal(module->text, name->text);
    }
    case kReduce:
    case kNewObj: {
      RETURN_IF_ERROR(Need(2));
      Node* const args = Pop();
      Node* const callable = Pop();
      ASSIGN_OR_RETURN(Node* const result, Call(callable, args));
      return Push(result);
    }
    case kBuild:
      return Build();
    case kBinPersId: {
      RETURN_IF_ERROR(Need(1));
      Node* const id = Pop();
      ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kPersistentId, sizeof(Node::Extra)));
      node->More().args = id;
      return Push(node);
    }
    default: {
      const char* const name = RefusedName(opcode);
      return Fault(absl::StrCat("refused opcode ", name == nullptr ? "" : absl::StrCat(name, " "),
                                absl::StrFormat("0x%02x", opcode), "; only plain data of protocols 2 to 4 is read"));
    }
  }
}

absl::StatusOr<PickleValue> ParsePickle(std::string_view bytes, std::string_view what, const PickleLimits& limits) {
  return PickleInterpreter(bytes, what, limits).Run();
}

}  // namespace cubist
