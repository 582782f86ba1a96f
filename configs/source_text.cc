#include "configs/source_text.h"

#include <algorithm>

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

}  // namespace

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
