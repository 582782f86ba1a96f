#include "configs/source_text.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"

namespace cubist {
namespace {

constexpr int kTokenizerTabWidth = 8;

size_t StartOfLine(const std::string& text, size_t line) {
  size_t start = 0;
  for (size_t i = 0; i < line; ++i) {
    const size_t newline = text.find('\n', start);
    if (newline == std::string::npos) return text.size();
    start = newline + 1;
  }
  return start;
}

// Bytes of the character that starts `text`; 0 if it is no UTF-8, or a control character that no config has.
size_t TextCharacterLength(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= ' ' || (byte(0) >= '\t' && byte(0) <= '\r') ? 1 : 0;
  const size_t length = byte(0) < 0xc2 ? 0 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : byte(0) < 0xf5 ? 4 : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
  }
  return length;
}

}  // namespace

std::string NoTextMessage(std::string_view path, std::string_view bytes) {
  std::optional<size_t> first;
  size_t count = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t length = TextCharacterLength(bytes.substr(i));
    if (length == 0) {
      ++count;
      if (!first) first = i;
    }
    i += std::max<size_t>(1, length);
  }
  const bool has_zero = bytes.find('\0') != std::string_view::npos;
  if (!has_zero && count <= bytes.size() / 10) return "";
  return absl::StrFormat("%s is not a text config: byte %d is 0x%02x", path, *first,
                         static_cast<unsigned char>(bytes[*first]));
}

LineColumn LineColumnOf(const SourceText& source, size_t offset) {
  offset = std::min(offset, source.text.size());
  LineColumn result;
  size_t start = 0;
  for (size_t i = 0; i < offset; ++i) {
    if (source.text[i] == '\n') {
      ++result.line;
      start = i + 1;
    }
  }
  result.column = offset - start;
  return result;
}

std::string LineOf(const SourceText& source, size_t line) {
  const size_t start = StartOfLine(source.text, line);
  size_t end = source.text.find('\n', start);
  if (end == std::string::npos) end = source.text.size();
  if (end > start && source.text[end - 1] == '\r') --end;
  return source.text.substr(start, end - start);
}

void AdvanceTokenizerPosition(char character, int* line, int* column) {
  if (character == '\n') {
    ++*line;
    *column = 0;
  } else {
    *column += character == '\t' ? kTokenizerTabWidth - *column % kTokenizerTabWidth : 1;
  }
}

std::string OriginText(const Place& place) {
  if (place.source == nullptr) return "";
  if (place.source->kind == SourceText::Kind::kFlag) return place.source->name + " " + place.source->text;
  return place.source->name + ":" + std::to_string(LineColumnOf(*place.source, place.begin).line + 1);
}

size_t OffsetOfTokenizerPosition(const SourceText& source, int line, int column) {
  size_t offset = StartOfLine(source.text, static_cast<size_t>(std::max(line, 0)));
  int seen = 0;
  while (seen < column && offset < source.text.size() && source.text[offset] != '\n') {
    AdvanceTokenizerPosition(source.text[offset++], &line, &seen);
  }
  return offset;
}

}  // namespace cubist
