#include "data_process/formats/pickle_writer.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

using Kind = PythonValue::Kind;

constexpr uint64_t kMaxCopiedValues = 1000000;
constexpr uint64_t kMaxCopiedText = uint64_t{256} << 20;

std::string_view StorageClass(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "BoolStorage";
    case DType::kUInt8:
      return "ByteStorage";
    case DType::kInt8:
      return "CharStorage";
    case DType::kInt16:
      return "ShortStorage";
    case DType::kInt32:
      return "IntStorage";
    case DType::kInt64:
      return "LongStorage";
    case DType::kFloat16:
      return "HalfStorage";
    case DType::kBFloat16:
      return "BFloat16Storage";
    case DType::kFloat32:
      return "FloatStorage";
    case DType::kFloat64:
      return "DoubleStorage";
    case DType::kUInt16:
    case DType::kUInt32:
    case DType::kUInt64:
      return "";
  }
  return "";
}

// Where a value lies below the root; the chain of its containers, which outlive it.
struct Place {
  const Place* parent = nullptr;
  std::string step;          // "['epoch']", "[3]"
  const void* id = nullptr;  // of the value there
  int depth = 0;

  Place Below(std::string next, const void* next_id = nullptr) const {
    return {this, std::move(next), next_id, depth + 1};
  }
  std::string Path() const { return parent == nullptr ? step : absl::StrCat(parent->Path(), step); }
  absl::Status Fault(const std::string& message) const {
    return DataError(absl::StrCat(parent == nullptr ? "the root" : Path(), ": ", message));
  }
};

std::string KeyStep(const PythonValue& key) {
  if (key.kind == Kind::kString) return absl::StrCat("[", Quoted(key.text), "]");
  if (key.kind == Kind::kInt) return absl::StrCat("[", key.integer, "]");
  return "[a key]";
}

// Equal for keys that Python takes for one.
absl::StatusOr<std::string> Identity(const PythonValue& key, const Place& place) {
  switch (key.kind) {
    case Kind::kNone:
      return std::string("n");
    case Kind::kBool:
      return absl::StrCat("i", key.boolean ? 1 : 0);
    case Kind::kInt:
      return absl::StrCat("i", key.integer);
    case Kind::kFloat: {
      if (std::abs(key.real) < 0x1p63 && key.real == std::trunc(key.real)) {
        return absl::StrCat("i", static_cast<int64_t>(key.real));
      }
      uint64_t bits;
      std::memcpy(&bits, &key.real, sizeof(bits));
      return absl::StrCat("f", bits);
    }
    case Kind::kString:
      return absl::StrCat("s", key.text);
    case Kind::kTuple: {
      std::string identity = "t";
      for (const PythonValue& item : key.items) {
        if (place.depth >= kMaxPythonDepth) return place.Fault("a key that is nested too deep");
        ASSIGN_OR_RETURN(const std::string part, Identity(item, place.Below("[a key]")));
        absl::StrAppend(&identity, part.size(), ":", part);
      }
      return identity;
    }
    default:
      return place.Fault("a key that is a list, a dict or a tensor, which Python cannot hash");
  }
}

class PickleFormatter {
 public:
  absl::StatusOr<FormattedPickle> Run(const PythonValue& root) {
    out_.bytes = "\x80\x02";  // PROTO 2
    RETURN_IF_ERROR(Value(root, {}));
    out_.bytes += '.';  // STOP
    return std::move(out_);
  }

 private:
  absl::Status Value(const PythonValue& value, const Place& place) {
    std::string& out = out_.bytes;
    if (place.depth > kMaxPythonDepth) return place.Fault("nested too deep to be written");
    switch (value.kind) {
      case Kind::kNone:
        out += 'N';
        return absl::OkStatus();
      case Kind::kBool:
        out += value.boolean ? '\x88' : '\x89';
        return absl::OkStatus();
      case Kind::kInt:
        Integer(value.integer);
        return absl::OkStatus();
      case Kind::kFloat: {
        uint64_t bits;
        std::memcpy(&bits, &value.real, sizeof(bits));
        out += 'G';  // BINFLOAT, the one big-endian number
        AppendLittleEndian(__builtin_bswap64(bits), out);
        return absl::OkStatus();
      }
      case Kind::kString:
        if (value.text.size() > 0xffffffff || !IsUtf8(value.text)) {
          return place.Fault(absl::StrCat("text ", Quoted(value.text), " that is not UTF-8 or too long"));
        }
        Text(value.text);
        return absl::OkStatus();
      case Kind::kList:
        out += "](";  // EMPTY_LIST, MARK
        RETURN_IF_ERROR(Items(value, place));
        out += 'e';  // APPENDS
        return absl::OkStatus();
      case Kind::kTuple:
        out += '(';
        RETURN_IF_ERROR(Items(value, place));
        out += 't';
        return absl::OkStatus();
      case Kind::kDict:
      case Kind::kOrderedDict:
        out += value.kind == Kind::kDict ? "}(" : "ccollections\nOrderedDict\n)R(";
        RETURN_IF_ERROR(Pairs(value, place));
        out += 'u';  // SETITEMS
        return absl::OkStatus();
      case Kind::kTensor:
        return Tensor(value, place);
    }
    return InternalError("a PythonValue of no kind");
  }

  absl::Status Items(const PythonValue& value, const Place& place) {
    for (size_t i = 0; i < value.items.size(); ++i) {
      RETURN_IF_ERROR(Value(value.items[i], place.Below(absl::StrCat("[", i, "]"))));
    }
    return absl::OkStatus();
  }

  absl::Status Pairs(const PythonValue& value, const Place& place) {
    absl::flat_hash_set<std::string> keys;
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const Place below = place.Below(KeyStep(value.items[i]));
      ASSIGN_OR_RETURN(std::string identity, Identity(value.items[i], below));
      if (!keys.insert(std::move(identity)).second) return below.Fault("this key is given twice");
      RETURN_IF_ERROR(Value(value.items[i], below));
      RETURN_IF_ERROR(Value(value.items[i + 1], below));
    }
    return absl::OkStatus();
  }

  void Text(std::string_view text) {
    out_.bytes += 'X';  // BINUNICODE
    AppendLittleEndian(static_cast<uint32_t>(text.size()), out_.bytes);
    out_.bytes.append(text);
  }

  // BININT where it fits, else LONG1 of eight bytes.
  void Integer(int64_t value) {
    if (value == static_cast<int32_t>(value)) {
      out_.bytes += 'J';
      AppendLittleEndian(static_cast<int32_t>(value), out_.bytes);
    } else {
      out_.bytes += "\x8a\x08";
      AppendLittleEndian(value, out_.bytes);
    }
  }

  void Integers(const std::vector<int64_t>& values) {
    out_.bytes += '(';
    for (int64_t value : values) Integer(value);
    out_.bytes += 't';
  }

  absl::Status Tensor(const PythonValue& value, const Place& place) {
    const std::string_view storage = StorageClass(value.dtype);
    if (storage.empty()) {
      return place.Fault(
          absl::StrCat("torch files hold no ", std::string(Name(value.dtype)), " storages; cast the tensor to int64"));
    }
    if (!CheckedByteSize(value.dtype, value.shape).has_value()) return place.Fault("a tensor of an impossible shape");
    int64_t size = 1;
    for (int64_t extent : value.shape) size *= extent;
    std::vector<int64_t> stride(value.shape.size());
    uint64_t step = 1;
    for (size_t d = stride.size(); d-- > 0;) {
      stride[d] = static_cast<int64_t>(step);
      // torch counts an extent of 0 as 1 here.
      step *= value.shape[d] == 0 ? 1 : static_cast<uint64_t>(value.shape[d]);
    }
    std::string& out = out_.bytes;
    out += "ctorch._utils\n_rebuild_tensor_v2\n((";  // the second mark begins the storage's persistent id
    Text("storage");
    absl::StrAppend(&out, "ctorch\n", std::string(storage), "\n");
    Text(absl::StrCat(out_.tensors.size()));
    Text("cpu");
    Integer(size);
    out += "tQ";  // TUPLE, BINPERSID
    Integer(0);   // offset
    Integers(value.shape);
    Integers(stride);
    out += "\x89";                           // requires_grad = False
    out += "ccollections\nOrderedDict\n)R";  // hooks
    out += "tR";
    out_.tensors.push_back({place.Path(), value.dtype, value.shape});
    return absl::OkStatus();
  }

  FormattedPickle out_;
};

class PlainCopy {
 public:
  explicit PlainCopy(std::vector<PickleTensor>* tensors) : tensors_(tensors) {}

  absl::StatusOr<PythonValue> Copy(const PickleValue& value, const Place& place) {
    if (++values_ > kMaxCopiedValues) return place.Fault(absl::StrCat("more than ", kMaxCopiedValues, " values"));
    if (place.depth > kMaxPythonDepth) return place.Fault("nested too deep");
    for (const Place* above = place.parent; above != nullptr; above = above->parent) {
      if (above->id == value.id()) return place.Fault("a value that contains itself");
    }
    switch (value.kind()) {
      case PickleKind::kNone:
        return PythonValue::None();
      case PickleKind::kBool:
        return PythonValue::Bool(value.bool_value());
      case PickleKind::kInt:
        return PythonValue::Int(value.int_value());
      case PickleKind::kFloat:
        return PythonValue::Float(value.float_value());
      case PickleKind::kString:
        text_ += value.string().size();
        if (text_ > kMaxCopiedText) return place.Fault(absl::StrCat("more than ", kMaxCopiedText, " bytes of text"));
        return PythonValue::String(value.string());
      case PickleKind::kList:
        return CopyItems(value, place, PythonValue::List());
      case PickleKind::kTuple:
        return CopyItems(value, place, PythonValue::Tuple());
      case PickleKind::kDict:
        if (value.class_name().empty()) return CopyPairs(value, place, PythonValue::Dict());
        if (value.class_name() == "collections.OrderedDict") return CopyPairs(value, place, PythonValue::OrderedDict());
        return Refuse(value, place);
      case PickleKind::kTensor:
        if (tensors_ == nullptr) return Refuse(value, place);
        tensors_->push_back(value.tensor());
        return PythonValue::Tensor(value.tensor().dtype, value.tensor().shape);
      case PickleKind::kBigInt:
        return place.Fault("an int that does not fit into 64 bits");
      default:
        return Refuse(value, place);
    }
  }

 private:
  absl::Status Refuse(const PickleValue& value, const Place& place) const {
    const PickleKind kind = value.kind();
    const bool named = kind == PickleKind::kObject || kind == PickleKind::kGlobal || kind == PickleKind::kDict;
    return place.Fault(absl::StrCat("plain data is wanted, and this is a ", std::string(Name(kind)),
                                    named ? absl::StrCat(" of ", Quoted(value.class_name())) : ""));
  }

  absl::StatusOr<PythonValue> CopyItems(const PickleValue& value, const Place& place, PythonValue copy) {
    for (size_t i = 0; i < value.size(); ++i) {
      const PickleValue item = value.item(i);
      ASSIGN_OR_RETURN(PythonValue copied, Copy(item, place.Below(absl::StrCat("[", i, "]"), item.id())));
      copy.Append(std::move(copied));
    }
    return copy;
  }

  absl::StatusOr<PythonValue> CopyPairs(const PickleValue& value, const Place& place, PythonValue copy) {
    for (size_t i = 0; i < value.pair_count(); ++i) {
      const PickleValue key = value.key(i);
      ASSIGN_OR_RETURN(PythonValue copied_key, Copy(key, place.Below("[a key]", key.id())));
      const PickleValue item = value.value(i);
      ASSIGN_OR_RETURN(PythonValue copied, Copy(item, place.Below(KeyStep(copied_key), item.id())));
      copy.Set(std::move(copied_key), std::move(copied));
    }
    return copy;
  }

  std::vector<PickleTensor>* tensors_;
  uint64_t values_ = 0;
  uint64_t text_ = 0;
};

PythonValue OfKind(Kind kind) {
  PythonValue value;
  value.kind = kind;
  return value;
}

}  // namespace

PythonValue PythonValue::Bool(bool value) {
  PythonValue made = OfKind(Kind::kBool);
  made.boolean = value;
  return made;
}

PythonValue PythonValue::Int(int64_t value) {
  PythonValue made = OfKind(Kind::kInt);
  made.integer = value;
  return made;
}

PythonValue PythonValue::Float(double value) {
  PythonValue made = OfKind(Kind::kFloat);
  made.real = value;
  return made;
}

PythonValue PythonValue::String(std::string_view value) {
  PythonValue made = OfKind(Kind::kString);
  made.text = std::string(value);
  return made;
}

PythonValue PythonValue::List(std::vector<PythonValue> items) {
  PythonValue made = OfKind(Kind::kList);
  made.items = std::move(items);
  return made;
}

PythonValue PythonValue::Tuple(std::vector<PythonValue> items) {
  PythonValue made = OfKind(Kind::kTuple);
  made.items = std::move(items);
  return made;
}

PythonValue PythonValue::Dict() { return OfKind(Kind::kDict); }

PythonValue PythonValue::OrderedDict() { return OfKind(Kind::kOrderedDict); }

PythonValue PythonValue::Tensor(DType dtype, std::vector<int64_t> shape) {
  PythonValue made = OfKind(Kind::kTensor);
  made.dtype = dtype;
  made.shape = std::move(shape);
  return made;
}

void PythonValue::Set(PythonValue key, PythonValue value) {
  items.push_back(std::move(key));
  items.push_back(std::move(value));
}

absl::StatusOr<FormattedPickle> FormatPickle(const PythonValue& root) { return PickleFormatter().Run(root); }

absl::StatusOr<PythonValue> PythonValueOf(const PickleValue& value, std::string_view what,
                                          std::vector<PickleTensor>* tensors) {
  Place root;
  root.id = value.id();
  auto copy = PlainCopy(tensors).Copy(value, root);
  if (!copy.ok()) return Annotate(copy.status(), what);
  return copy;
}

}  // namespace cubist
