#include "data_process/formats/ply.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr size_t kMaxHeaderBytes = size_t{1} << 20;

enum class Number { kInt8, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kFloat32, kFloat64 };

struct Property {
  std::string name;
  Number type = Number::kFloat32;
  bool is_list = false;
  Number count_type = Number::kUInt8;
};

struct Element {
  std::string name;
  int64_t count = 0;
  std::vector<Property> properties;
};

struct Header {
  bool ascii = false;
  std::vector<Element> elements;
  size_t data = 0;  // offset of the first byte after end_header
};

std::optional<Number> NumberOf(std::string_view name) {
  static constexpr std::pair<std::string_view, Number> kNames[] = {
      {"char", Number::kInt8},      {"int8", Number::kInt8},       {"uchar", Number::kUInt8},
      {"uint8", Number::kUInt8},    {"short", Number::kInt16},     {"int16", Number::kInt16},
      {"ushort", Number::kUInt16},  {"uint16", Number::kUInt16},   {"int", Number::kInt32},
      {"int32", Number::kInt32},    {"uint", Number::kUInt32},     {"uint32", Number::kUInt32},
      {"float", Number::kFloat32},  {"float32", Number::kFloat32}, {"double", Number::kFloat64},
      {"float64", Number::kFloat64}};
  for (const auto& [known, number] : kNames) {
    if (known == name) return number;
  }
  return std::nullopt;
}

size_t SizeOfNumber(Number number) {
  switch (number) {
    case Number::kInt8:
    case Number::kUInt8:
      return 1;
    case Number::kInt16:
    case Number::kUInt16:
      return 2;
    case Number::kInt32:
    case Number::kUInt32:
    case Number::kFloat32:
      return 4;
    case Number::kFloat64:
      return 8;
  }
  return 0;
}

bool IsInteger(Number number) { return number != Number::kFloat32 && number != Number::kFloat64; }

// Whether an integer type holds `value`.
bool Holds(Number number, double value) {
  const bool is_signed = number == Number::kInt8 || number == Number::kInt16 || number == Number::kInt32;
  const double values = std::ldexp(1.0, static_cast<int>(8 * SizeOfNumber(number)));
  const double least = is_signed ? -values / 2 : 0;
  return value == std::floor(value) && value >= least && value < least + values;
}

// Takes numbers off the data, as text or binary.
class Cursor {
 public:
  Cursor(std::string_view bytes, size_t at, bool ascii, std::string what)
      : bytes_(bytes), at_(at), ascii_(ascii), what_(std::move(what)) {}

  absl::Status Fault(const std::string& message) const {
    return DataError(absl::StrCat(what_, ": PLY at offset ", at_, ": ", message));
  }
  size_t left() const { return bytes_.size() - at_; }

  // Every number type of PLY fits a double exactly.
  absl::StatusOr<double> Next(Number type) {
    if (ascii_) return NextText(type);
    const size_t size = SizeOfNumber(type);
    if (left() < size) return Fault("truncated");
    const char* from = bytes_.data() + at_;
    at_ += size;
    switch (type) {
      case Number::kInt8:
        return LoadLittleEndian<int8_t>(from);
      case Number::kUInt8:
        return LoadLittleEndian<uint8_t>(from);
      case Number::kInt16:
        return LoadLittleEndian<int16_t>(from);
      case Number::kUInt16:
        return LoadLittleEndian<uint16_t>(from);
      case Number::kInt32:
        return LoadLittleEndian<int32_t>(from);
      case Number::kUInt32:
        return LoadLittleEndian<uint32_t>(from);
      case Number::kFloat32:
        return LoadLittleEndian<float>(from);
      case Number::kFloat64:
        return LoadLittleEndian<double>(from);
    }
    return Fault("unknown number type");
  }

 private:
  static bool IsSpace(char character) { return character == ' ' || (character >= '\t' && character <= '\r'); }

  absl::StatusOr<double> NextText(Number type) {
    while (at_ < bytes_.size() && IsSpace(bytes_[at_])) ++at_;
    size_t end = at_;
    while (end < bytes_.size() && !IsSpace(bytes_[end])) ++end;
    const std::string_view word = bytes_.substr(at_, end - at_);
    if (word.empty()) return Fault("truncated");
    // A number that the end of the file cuts is shorter, but still a number.
    if (end == bytes_.size()) return Fault("truncated: the last line does not end");
    double value = 0.0;
    const bool parsed = word.size() < 64 && absl::SimpleAtod(absl::string_view(word.data(), word.size()), &value);
    if (!parsed || (IsInteger(type) && !Holds(type, value))) {
      return Fault(absl::StrCat(Quoted(word), " is no number of its property's type"));
    }
    at_ = end;
    return value;
  }

  std::string_view bytes_;
  size_t at_;
  bool ascii_;
  std::string what_;
};

absl::Status ParseHeaderLine(const std::vector<std::string>& words, const PlyLimits& limits, Header& header,
                             bool& format_seen) {
  if (words[0] == "comment" || words[0] == "obj_info") return absl::OkStatus();
  if (words[0] == "format") {
    if (words.size() != 3 || words[2] != "1.0" || format_seen) return DataError("a format line is not understood");
    if (words[1] != "ascii" && words[1] != "binary_little_endian") {
      return DataError(
          absl::StrCat("format ", Quoted(words[1]), " is not read; save it as ascii or binary_little_endian"));
    }
    format_seen = true;
    header.ascii = words[1] == "ascii";
    return absl::OkStatus();
  }
  if (words[0] == "element") {
    Element element;
    if (words.size() != 3 || !absl::SimpleAtoi(words[2], &element.count) || element.count < 0) {
      return DataError("an element line is not 'element NAME COUNT'");
    }
    element.name = words[1];
    for (const Element& other : header.elements) {
      if (other.name == element.name) return DataError(absl::StrCat("element ", Quoted(words[1]), " occurs twice"));
    }
    if (header.elements.size() >= 64) return DataError("more than 64 elements");
    header.elements.push_back(std::move(element));
    return absl::OkStatus();
  }
  if (words[0] == "property" && !header.elements.empty()) {
    Element& element = header.elements.back();
    Property property;
    property.is_list = words.size() == 5 && words[1] == "list";
    if (words.size() != 3 && !property.is_list) return DataError("a property line is not understood");
    const std::optional<Number> type = NumberOf(words[words.size() - 2]);
    const std::optional<Number> count_type = property.is_list ? NumberOf(words[2]) : Number::kUInt8;
    if (!type || !count_type || !IsInteger(*count_type)) return DataError("a property line has an unknown type");
    property.type = *type;
    property.count_type = *count_type;
    property.name = words.back();
    if (element.properties.size() >= static_cast<size_t>(limits.max_properties)) {
      return DataError(absl::StrCat("more than the limit of ", limits.max_properties, " properties"));
    }
    element.properties.push_back(std::move(property));
    return absl::OkStatus();
  }
  return DataError(absl::StrCat(Quoted(words[0]), " is not understood here"));
}

absl::StatusOr<Header> ParseHeader(std::string_view bytes, const std::string& what, const PlyLimits& limits) {
  Header header;
  bool format_seen = false;
  size_t at = 0;
  for (int line_number = 1; true; ++line_number) {
    const size_t end = bytes.substr(0, kMaxHeaderBytes).find('\n', at);
    if (end == std::string_view::npos) {
      return DataError(
          absl::StrCat(what, ": PLY at offset ", at, ": its header does not end: truncated or no PLY file"));
    }
    std::string line(bytes.substr(at, end - at));
    at = end + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line_number == 1) {
      if (line != "ply") return DataError(absl::StrCat(what, ": no PLY file: it does not begin with 'ply'"));
      continue;
    }
    if (line == "end_header") break;
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.empty()) continue;
    RETURN_IF_ERROR(Annotate(ParseHeaderLine(words, limits, header, format_seen),
                             absl::StrCat(what, ": PLY header line ", line_number)));
  }
  if (!format_seen) return DataError(absl::StrCat(what, ": PLY: its header has no format line"));
  header.data = at;
  return header;
}

// Fewer bytes than this cannot hold an element: one per number and its space in text, the sizes in binary.
uint64_t LeastBytes(const Element& element, bool ascii) {
  uint64_t bytes = 0;
  for (const Property& property : element.properties) {
    bytes += ascii ? 2 : SizeOfNumber(property.is_list ? property.count_type : property.type);
  }
  return bytes;
}

// Reads the length of a list.
absl::StatusOr<int64_t> NextCount(Cursor& cursor, const Property& property) {
  ASSIGN_OR_RETURN(const double count, cursor.Next(property.count_type));
  if (count < 0) return cursor.Fault("a list of negative length");
  return static_cast<int64_t>(count);
}

absl::Status Skip(Cursor& cursor, const Property& property) {
  int64_t count = 1;
  if (property.is_list) {
    ASSIGN_OR_RETURN(count, NextCount(cursor, property));
  }
  for (int64_t i = 0; i < count; ++i) RETURN_IF_ERROR(cursor.Next(property.type).status());
  return absl::OkStatus();
}

absl::Status ReadVertices(Cursor& cursor, const Element& element, HostTensor& vertices) {
  std::vector<int> axis_of(element.properties.size(), -1);
  int found = 0;
  for (size_t p = 0; p < element.properties.size(); ++p) {
    const Property& property = element.properties[p];
    for (int axis = 0; axis < 3; ++axis) {
      if (property.name != std::string(1, static_cast<char>('x' + axis))) continue;
      if (property.is_list || (found & (1 << axis)) != 0) return cursor.Fault("x, y or z is a list or occurs twice");
      axis_of[p] = axis;
      found |= 1 << axis;
    }
  }
  if (found != 7) return cursor.Fault("its vertices have no x, y or z");
  vertices = HostTensor(DType::kFloat32, {element.count, 3});
  float* row = vertices.data<float>();
  for (int64_t v = 0; v < element.count; ++v, row += 3) {
    for (size_t p = 0; p < element.properties.size(); ++p) {
      if (axis_of[p] < 0) {
        RETURN_IF_ERROR(Skip(cursor, element.properties[p]));
        continue;
      }
      ASSIGN_OR_RETURN(const double value, cursor.Next(element.properties[p].type));
      // Written so that NaN fails as well.
      if (!(std::abs(value) <= std::numeric_limits<float>::max())) {
        return cursor.Fault(absl::StrCat("vertex ", v, " is not finite"));
      }
      row[axis_of[p]] = static_cast<float>(value);
    }
  }
  return absl::OkStatus();
}

absl::Status ReadPolygon(Cursor& cursor, const Property& property, const PlyLimits& limits, int64_t vertex_count,
                         std::vector<int32_t>& triangles) {
  ASSIGN_OR_RETURN(const int64_t count, NextCount(cursor, property));
  if (count < 3 || count > limits.max_polygon_vertices) {
    return cursor.Fault(
        absl::StrCat("a face of ", count, " vertices (3 to ", limits.max_polygon_vertices, " are read)"));
  }
  if (static_cast<int64_t>(triangles.size() / 3) + count - 2 > limits.max_triangles) {
    return cursor.Fault(absl::StrCat("more than the limit of ", limits.max_triangles, " triangles"));
  }
  int32_t first = 0;
  int32_t previous = 0;
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const double index, cursor.Next(property.type));
    if (index < 0 || index >= static_cast<double>(vertex_count)) {
      return cursor.Fault(absl::StrCat("a face uses vertex ", index, " of ", vertex_count));
    }
    const auto vertex = static_cast<int32_t>(index);
    if (i == 0) first = vertex;
    if (i >= 2) triangles.insert(triangles.end(), {first, previous, vertex});
    previous = vertex;
  }
  return absl::OkStatus();
}

absl::Status ReadFaces(Cursor& cursor, const Element& element, const PlyLimits& limits, int64_t vertex_count,
                       std::vector<int32_t>& triangles) {
  int indices = -1;
  for (size_t p = 0; p < element.properties.size(); ++p) {
    const Property& property = element.properties[p];
    if (property.name != "vertex_indices" && property.name != "vertex_index") continue;
    if (indices >= 0 || !property.is_list || !IsInteger(property.type)) {
      return cursor.Fault("vertex_indices is no single list of integers");
    }
    indices = static_cast<int>(p);
  }
  if (indices < 0 && element.count > 0) return cursor.Fault("its faces have no vertex_indices");
  for (int64_t f = 0; f < element.count; ++f) {
    for (size_t p = 0; p < element.properties.size(); ++p) {
      RETURN_IF_ERROR(static_cast<int>(p) == indices
                          ? ReadPolygon(cursor, element.properties[p], limits, vertex_count, triangles)
                          : Skip(cursor, element.properties[p]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TriangleMesh> ParsePly(std::string_view bytes, std::string_view what_view, const PlyLimits& limits) {
  const std::string what(what_view);
  ASSIGN_OR_RETURN(const Header header, ParseHeader(bytes, what, limits));
  Cursor cursor(bytes, header.data, header.ascii, what);
  TriangleMesh mesh;
  bool vertices_seen = false;
  std::vector<int32_t> triangles;
  for (const Element& element : header.elements) {
    const bool vertex = element.name == "vertex";
    const bool face = element.name == "face";
    const int64_t limit = vertex ? limits.max_vertices : limits.max_triangles;
    if (element.count > limit || element.count > std::numeric_limits<int32_t>::max()) {
      return cursor.Fault(
          absl::StrCat(element.count, " elements ", Quoted(element.name), " are more than the limit of ", limit));
    }
    const uint64_t least = LeastBytes(element, header.ascii);
    if (static_cast<uint64_t>(element.count) * least > cursor.left()) {
      return cursor.Fault(absl::StrCat("truncated: ", element.count, " elements ", Quoted(element.name),
                                       " cannot lie in the ", cursor.left(), " bytes that are left"));
    }
    if (vertex) {
      RETURN_IF_ERROR(ReadVertices(cursor, element, mesh.vertices));
      vertices_seen = true;
    } else if (face) {
      if (!vertices_seen) return cursor.Fault("its faces come before its vertices");
      RETURN_IF_ERROR(ReadFaces(cursor, element, limits, mesh.vertices.shape()[0], triangles));
    } else if (least > 0) {
      for (int64_t i = 0; i < element.count; ++i) {
        for (const Property& property : element.properties) RETURN_IF_ERROR(Skip(cursor, property));
      }
    }
  }
  if (!vertices_seen) return DataError(absl::StrCat(what, ": PLY: it has no element 'vertex'"));
  mesh.faces = HostTensor::Of(triangles, {static_cast<int64_t>(triangles.size() / 3), 3});
  return mesh;
}

std::string FormatPly(const TriangleMesh& mesh) {
  const auto vertices = mesh.vertices.view<float, 2>();
  const auto faces = mesh.faces.view<int32_t, 2>();
  if (vertices.shape[1] != 3 || faces.shape[1] != 3) {
    std::fprintf(stderr, "FormatPly: %s and %s are no mesh\n", mesh.vertices.Describe().c_str(),
                 mesh.faces.Describe().c_str());
    std::abort();
  }
  std::string bytes = absl::StrCat("ply\nformat binary_little_endian 1.0\nelement vertex ", vertices.shape[0],
                                   "\nproperty float x\nproperty float y\nproperty float z\nelement face ",
                                   faces.shape[0], "\nproperty list uchar int vertex_indices\nend_header\n");
  bytes.append(reinterpret_cast<const char*>(mesh.vertices.bytes()), mesh.vertices.byte_size());
  for (int64_t f = 0; f < faces.shape[0]; ++f) {
    bytes += '\x03';
    for (int k = 0; k < 3; ++k) AppendLittleEndian(faces(f, k), bytes);
  }
  return bytes;
}

}  // namespace cubist
