#include "data_process/formats/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/json.h"

namespace cubist {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadata = "__metadata__";

constexpr std::pair<DType, std::string_view> kDTypes[] = {
    {DType::kBool, "BOOL"},   {DType::kUInt8, "U8"},    {DType::kInt8, "I8"},       {DType::kUInt16, "U16"},
    {DType::kInt16, "I16"},   {DType::kUInt32, "U32"},  {DType::kInt32, "I32"},     {DType::kUInt64, "U64"},
    {DType::kInt64, "I64"},   {DType::kFloat16, "F16"}, {DType::kBFloat16, "BF16"}, {DType::kFloat32, "F32"},
    {DType::kFloat64, "F64"},
};

absl::Status ReadAt(int descriptor, uint64_t offset, void* target, uint64_t size, const std::string& what) {
  for (uint64_t done = 0; done < size;) {
    const ssize_t count =
        ::pread(descriptor, static_cast<char*>(target) + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return DataError(absl::StrCat(what, ": cannot read at offset ", offset + done, ": ", ErrnoText(errno)));
    if (count == 0) return DataError(absl::StrCat(what, ": the file ends at offset ", offset + done, ": truncated"));
    done += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

// A JSON integer that is not negative and fits int64; empty for anything else.
std::optional<int64_t> Natural(const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  return value.get<int64_t>();
}

// One entry of the header; `data` is where the data begins in the file.
absl::StatusOr<TensorInfo> ParseInfo(const std::string& name, const json& entry, uint64_t data,
                                     const std::string& what) {
  const auto fault = [&](const std::string& message) {
    return DataError(absl::StrCat(what, ": tensor ", Quoted(name), ": ", message));
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return fault("its header entry is not {dtype, shape, data_offsets}");
  }
  TensorInfo info;
  info.name = name;
  const json& dtype = entry["dtype"];
  const auto* known = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const auto& pair) {
    return dtype.is_string() && dtype.get_ref<const std::string&>() == pair.second;
  });
  if (known == std::end(kDTypes)) {
    return fault(absl::StrCat(
        "dtype ", dtype.is_string() ? Quoted(dtype.get_ref<const std::string&>()) : "that is no text", " is not read"));
  }
  info.dtype = known->first;
  const json& shape = entry["shape"];
  if (!shape.is_array() || shape.size() > 64) return fault("its shape is no list of at most 64 extents");
  for (const json& item : shape) {
    const std::optional<int64_t> extent = Natural(item);
    if (!extent.has_value()) return fault("its shape has an extent that is no natural number");
    info.shape.push_back(*extent);
  }
  const json& offsets = entry["data_offsets"];
  const std::optional<int64_t> begin = offsets.is_array() && offsets.size() == 2 ? Natural(offsets[0]) : std::nullopt;
  const std::optional<int64_t> end = begin.has_value() ? Natural(offsets[1]) : std::nullopt;
  if (!end.has_value() || *begin > *end) return fault("its data_offsets are not [begin, end]");
  const std::optional<uint64_t> size = CheckedByteSize(info.dtype, info.shape);
  if (!size.has_value() || *size != static_cast<uint64_t>(*end - *begin)) {
    return fault(
        absl::StrCat("shape [", absl::StrJoin(info.shape, ","), "] does not fill its ", *end - *begin, " bytes"));
  }
  info.size = *size;
  if (__builtin_add_overflow(data, static_cast<uint64_t>(*begin), &info.offset)) return fault("its offset overflows");
  return info;
}

// The tensors' data follow each other from `data` to the end of the file.
absl::Status CheckLayout(const std::vector<const TensorInfo*>& infos, uint64_t data, uint64_t file_size,
                         const std::string& what) {
  uint64_t expected = data;
  for (const TensorInfo* info : infos) {
    if (info->offset != expected) {
      return DataError(absl::StrCat(
          what, ": tensor ", Quoted(info->name), ": its data begins at offset ", info->offset,
          info->offset < expected ? ", within the tensor before it, which ends at " : ", leaving a hole from ",
          expected));
    }
    if (info->size > file_size - expected) {
      return DataError(absl::StrCat(what, ": tensor ", Quoted(info->name), ": its ", info->size, " bytes from offset ",
                                    expected, " reach beyond the end of the file at ", file_size,
                                    ": truncated; copy it again"));
    }
    expected += info->size;
  }
  if (expected == file_size) return absl::OkStatus();
  return DataError(
      absl::StrCat(what, ": ", file_size - expected, " bytes after the last tensor, from offset ", expected));
}

absl::StatusOr<std::string> FormatHeader(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata, const std::string& path,
                                         uint64_t& data_size) {
  // Written piece by piece: the JSON library would sort the names, and data and header are to be in one order.
  const auto text = [](const std::string& value) {
    return json(value).dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string header = "{";
  if (!metadata.empty()) {
    header += absl::StrCat("\"", std::string(kMetadata), "\":{");
    for (const auto& [key, value] : metadata) {
      absl::StrAppend(&header, header.back() == '{' ? "" : ",", text(key), ":", text(value));
    }
    header += '}';
  }
  std::set<std::string> names;
  data_size = 0;
  for (const TensorInfo& info : tensors) {
    const std::optional<uint64_t> size = CheckedByteSize(info.dtype, info.shape);
    uint64_t end = 0;
    if (!size.has_value() || __builtin_add_overflow(data_size, *size, &end) || end > static_cast<uint64_t>(INT64_MAX)) {
      return DataError(absl::StrCat(path, ": tensor ", Quoted(info.name), ": impossible shape [",
                                    absl::StrJoin(info.shape, ","), "]"));
    }
    // The library replaces what is not UTF-8, which would make another name of it.
    if (json::parse(text(info.name), nullptr, false) != info.name) {
      return DataError(absl::StrCat(path, ": tensor ", Quoted(info.name), ": its name is not UTF-8"));
    }
    if (info.name == kMetadata || !names.insert(info.name).second) {
      return DataError(absl::StrCat(path, ": tensor ", Quoted(info.name), ": this name is taken"));
    }
    absl::StrAppend(&header, header.size() == 1 ? "" : ",", text(info.name), ":{\"dtype\":\"",
                    std::string(SafetensorsName(info.dtype)), "\",\"shape\":[", absl::StrJoin(info.shape, ","),
                    "],\"data_offsets\":[", data_size, ",", end, "]}");
    data_size = end;
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > SafetensorsLimits().max_header_bytes) {
    return DataError(absl::StrCat(path, ": a header of ", header.size(), " bytes is more than the format allows"));
  }
  return header;
}

}  // namespace

std::string_view SafetensorsName(DType dtype) {
  for (const auto& [known, name] : kDTypes) {
    if (known == dtype) return name;
  }
  return "";
}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path,
                                                                       const SafetensorsLimits& limits) {
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile());
  file->path_ = path;
  file->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->descriptor_ < 0) return DataError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  RETURN_IF_ERROR(file->ReadHeader(limits));
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status SafetensorsFile::ReadHeader(const SafetensorsLimits& limits) {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) return DataError(absl::StrCat(path_, ": cannot stat: ", ErrnoText(errno)));
  if (!S_ISREG(status.st_mode)) return DataError(absl::StrCat(path_, ": not a regular file"));
  const auto file_size = static_cast<uint64_t>(status.st_size);
  char length_bytes[8];
  if (file_size < sizeof(length_bytes)) {
    return DataError(absl::StrCat(path_, ": ", file_size, " bytes are too few for a safetensors file: truncated"));
  }
  RETURN_IF_ERROR(ReadAt(descriptor_, 0, length_bytes, sizeof(length_bytes), path_));
  const auto length = LoadLittleEndian<uint64_t>(length_bytes);
  if (length > limits.max_header_bytes || length > file_size - sizeof(length_bytes)) {
    return DataError(absl::StrCat(path_, ": a header of ", length, " bytes at offset 8 does not fit the file of ",
                                  file_size, " bytes or the limit of ", limits.max_header_bytes,
                                  ": truncated, or no safetensors file"));
  }
  std::string header(length, '\0');
  RETURN_IF_ERROR(ReadAt(descriptor_, sizeof(length_bytes), header.data(), length, path_));
  const std::string what = absl::StrCat(path_, ": safetensors header");
  if (header.empty() || header.front() != '{') return DataError(absl::StrCat(what, ": does not begin with '{'"));
  JsonLimits json_limits;
  json_limits.max_depth = 3;
  ASSIGN_OR_RETURN(const json root, ParseJson(header, what, json_limits));
  const uint64_t data = sizeof(length_bytes) + length;
  for (const auto& [name, entry] : root.items()) {
    if (name == kMetadata) {
      if (!entry.is_object()) return DataError(absl::StrCat(what, ": __metadata__ is no object"));
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return DataError(absl::StrCat(what, ": __metadata__ ", Quoted(key), " is no text"));
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    ASSIGN_OR_RETURN(TensorInfo info, ParseInfo(name, entry, data, what));
    if (info.size > limits.max_tensor_bytes) {
      return DataError(absl::StrCat(what, ": tensor ", Quoted(name), ": ", info.size,
                                    " bytes are more than the limit of ", limits.max_tensor_bytes));
    }
    infos_.emplace(name, std::move(info));
  }
  std::vector<const TensorInfo*> sorted;
  for (const auto& [name, info] : infos_) sorted.push_back(&info);
  // Empty tensors share their offset with the one that follows; names make the order unique.
  std::sort(sorted.begin(), sorted.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::tie(a->offset, a->size, a->name) < std::tie(b->offset, b->size, b->name);
  });
  for (const TensorInfo* info : sorted) names_.push_back(info->name);
  return CheckLayout(sorted, data, file_size, what);
}

const TensorInfo* SafetensorsFile::Info(std::string_view name) const {
  const auto found = infos_.find(std::string(name));
  return found == infos_.end() ? nullptr : &found->second;
}

absl::StatusOr<HostTensor> SafetensorsFile::Read(std::string_view name) const {
  const TensorInfo* const info = Info(name);
  if (info == nullptr) return DataError(absl::StrCat(path_, ": it has no tensor ", Quoted(name)));
  HostTensor tensor(info->dtype, info->shape);
  RETURN_IF_ERROR(
      ReadAt(descriptor_, info->offset, tensor.bytes(), info->size, absl::StrCat(path_, ": tensor ", Quoted(name))));
  NormalizeBooleans(tensor);
  return tensor;
}

absl::Status SafetensorsFile::Stream(std::string_view name, const ByteSink& sink) const {
  constexpr uint64_t kPiece = uint64_t{1} << 20;
  const TensorInfo* const info = Info(name);
  if (info == nullptr || info->dtype == DType::kBool || info->size <= kPiece) {
    ASSIGN_OR_RETURN(const HostTensor whole, Read(name));
    return sink(std::string_view(reinterpret_cast<const char*>(whole.bytes()), whole.byte_size()));
  }
  std::string piece(kPiece, '\0');
  for (uint64_t done = 0; done < info->size;) {
    const uint64_t size = std::min(info->size - done, kPiece);
    RETURN_IF_ERROR(
        ReadAt(descriptor_, info->offset + done, piece.data(), size, absl::StrCat(path_, ": tensor ", Quoted(name))));
    RETURN_IF_ERROR(sink(std::string_view(piece.data(), size)));
    done += size;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::Create(
    FileOps& ops, const std::string& path, const std::vector<TensorInfo>& tensors,
    const std::map<std::string, std::string>& metadata) {
  std::unique_ptr<SafetensorsWriter> writer(new SafetensorsWriter());
  writer->path_ = path;
  ASSIGN_OR_RETURN(const std::string header, FormatHeader(tensors, metadata, path, writer->remaining_));
  std::string start;
  AppendLittleEndian(static_cast<uint64_t>(header.size()), start);
  start += header;
  ASSIGN_OR_RETURN(writer->file_, ops.Create(path));
  RETURN_IF_ERROR(writer->file_->Append(start.data(), start.size()));
  return writer;
}

absl::Status SafetensorsWriter::Append(const void* bytes, size_t size) {
  if (size > remaining_) {
    return InternalError(absl::StrCat(path_, ": ", size - remaining_, " bytes more than its header announces"));
  }
  if (size == 0) return absl::OkStatus();
  RETURN_IF_ERROR(file_->Append(bytes, size));
  remaining_ -= size;
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Finish() {
  if (remaining_ != 0)
    return InternalError(absl::StrCat(path_, ": ", remaining_, " bytes of its tensors were not given"));
  RETURN_IF_ERROR(file_->Sync());
  return file_->Close();
}

absl::Status WriteSafetensors(FileOps& ops, const std::string& path, const std::vector<NamedTensorView>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<TensorInfo> infos;
  for (const NamedTensorView& tensor : tensors) infos.push_back({tensor.name, tensor.dtype, tensor.shape, 0, 0});
  ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsWriter> writer,
                   SafetensorsWriter::Create(ops, path, infos, metadata));
  for (const NamedTensorView& tensor : tensors) {
    RETURN_IF_ERROR(writer->Append(tensor.data, *CheckedByteSize(tensor.dtype, tensor.shape)));
  }
  return writer->Finish();
}

}  // namespace cubist
