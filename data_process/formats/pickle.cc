#include "data_process/formats/pickle.h"

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

#include "base/host_tensor.h"
#include "data_process/formats/pickle_node.h"

namespace cubist {

using pickle_internal::Arena;
using pickle_internal::Node;

namespace {

[[noreturn]] void WrongKind(PickleKind is, std::string_view wanted) {
  std::fprintf(stderr, "PickleValue: a %s read as %s\n", std::string(Name(is)).c_str(), std::string(wanted).c_str());
  std::abort();
}

void Require(const Node& node, std::initializer_list<PickleKind> kinds, std::string_view wanted) {
  for (PickleKind kind : kinds) {
    if (node.kind == kind) return;
  }
  WrongKind(node.kind, wanted);
}

const std::shared_ptr<const Arena>& NoneArena() {
  static const auto* arena = [] {
    auto made = std::make_shared<Arena>();
    made->nodes.emplace_back();
    return new std::shared_ptr<const Arena>(std::move(made));
  }();
  return *arena;
}

}  // namespace

std::string_view Name(PickleKind kind) {
  switch (kind) {
    case PickleKind::kNone:
      return "None";
    case PickleKind::kBool:
      return "bool";
    case PickleKind::kInt:
    case PickleKind::kBigInt:
      return "int";
    case PickleKind::kFloat:
      return "float";
    case PickleKind::kString:
      return "str";
    case PickleKind::kBytes:
      return "bytes";
    case PickleKind::kList:
      return "list";
    case PickleKind::kTuple:
      return "tuple";
    case PickleKind::kSet:
      return "set";
    case PickleKind::kDict:
      return "dict";
    case PickleKind::kGlobal:
      return "reference to a class or function";
    case PickleKind::kObject:
      return "object";
    case PickleKind::kPersistentId:
      return "persistent id";
    case PickleKind::kTensor:
      return "tensor";
  }
  return "unknown";
}

uint64_t DenseBytes(const PickleTensor& tensor) { return CheckedByteSize(tensor.dtype, tensor.shape).value_or(0); }

PickleValue::PickleValue() : PickleValue(NoneArena(), &NoneArena()->nodes.front()) {}

PickleValue::PickleValue(std::shared_ptr<const Arena> arena, const Node* node)
    : arena_(std::move(arena)), node_(node) {}

PickleValue PickleValue::Wrap(const Node* node) const { return PickleValue(arena_, node); }

const Node& PickleValue::Get(PickleKind wanted) const {
  if (node_->kind != wanted) WrongKind(node_->kind, Name(wanted));
  return *node_;
}

PickleKind PickleValue::kind() const { return node_->kind; }
bool PickleValue::bool_value() const { return Get(PickleKind::kBool).boolean; }
int64_t PickleValue::int_value() const { return Get(PickleKind::kInt).integer; }
double PickleValue::float_value() const {
  if (node_->kind == PickleKind::kInt) return static_cast<double>(node_->integer);
  return Get(PickleKind::kFloat).real;
}
const std::string& PickleValue::string() const { return Get(PickleKind::kString).text; }
const std::string& PickleValue::bytes() const {
  Require(*node_, {PickleKind::kBytes, PickleKind::kBigInt}, "bytes");
  return node_->text;
}
const PickleTensor& PickleValue::tensor() const { return Get(PickleKind::kTensor).extra->tensor; }

const std::string& PickleValue::class_name() const {
  Require(*node_, {PickleKind::kGlobal, PickleKind::kObject, PickleKind::kDict}, "something with a class");
  static const auto* none = new std::string();
  if (node_->kind != PickleKind::kDict) return node_->text;
  return node_->extra == nullptr ? *none : node_->extra->class_name;
}

PickleValue PickleValue::args() const {
  Require(*node_, {PickleKind::kObject, PickleKind::kPersistentId}, "something with arguments");
  return Wrap(node_->extra->args);
}

std::optional<PickleValue> PickleValue::state() const {
  if (node_->extra == nullptr || node_->extra->state == nullptr) return std::nullopt;
  return Wrap(node_->extra->state);
}

size_t PickleValue::size() const {
  Require(*node_, {PickleKind::kList, PickleKind::kTuple, PickleKind::kSet, PickleKind::kObject}, "a sequence");
  return node_->items.size();
}
PickleValue PickleValue::item(size_t i) const {
  if (i >= size()) WrongKind(node_->kind, "a longer one");
  return Wrap(node_->items[i]);
}

size_t PickleValue::pair_count() const {
  Require(*node_, {PickleKind::kDict, PickleKind::kObject}, "a dict");
  return node_->extra == nullptr ? 0 : node_->extra->pairs.size();
}
PickleValue PickleValue::key(size_t i) const {
  if (i >= pair_count()) WrongKind(node_->kind, "a longer one");
  return Wrap(node_->extra->pairs[i].first);
}
PickleValue PickleValue::value(size_t i) const {
  if (i >= pair_count()) WrongKind(node_->kind, "a longer one");
  return Wrap(node_->extra->pairs[i].second);
}

std::optional<PickleValue> PickleValue::Find(std::string_view key) const {
  for (size_t i = 0; i < pair_count(); ++i) {
    const auto& [found, value] = node_->extra->pairs[i];
    if (found->kind == PickleKind::kString && found->text == key) return Wrap(value);
  }
  return std::nullopt;
}

}  // namespace cubist
