// A config text and places in it, for messages and for the origin of values.
#ifndef CUBIST_CONFIGS_SOURCE_TEXT_H_
#define CUBIST_CONFIGS_SOURCE_TEXT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace cubist {

struct SourceText {
  enum class Kind { kFile, kFlag };

  std::string name;  // of a file: its path as named; of a flag: the flag as typed, "--set" or "--data_root"
  std::string text;  // of a flag: what followed it
  Kind kind = Kind::kFile;
};

// The bytes [begin, end) of a text. Without a text it stands for "nowhere in particular".
struct Place {
  std::shared_ptr<const SourceText> source;
  size_t begin = 0;
  size_t end = 0;
};

// Zero-based line and byte column of an offset.
struct LineColumn {
  size_t line = 0;
  size_t column = 0;
};
LineColumn LineColumnOf(const SourceText& source, size_t offset);

// What to say of a config file whose bytes are no text: "PATH is not a text config: byte 2 is 0x00", which is the first
// that is wrong. It has a zero byte, or more than one byte in ten that is a control character or not UTF-8: less than
// that is a text with mistakes, which have a line and a caret. Empty for a text.
std::string NoTextMessage(std::string_view path, std::string_view bytes);

// Line `line` (from 0) without its line break; empty past the end.
std::string LineOf(const SourceText& source, size_t line);

// "path/file.textproto:12", "--set batch.per_gpu=2"; "" without a text. The origin of a value.
std::string OriginText(const Place& place);

// What google::protobuf::io::Tokenizer counts for one character: lines and columns from zero, a tab
// fills up to the next multiple of eight columns.
void AdvanceTokenizerPosition(char character, int* line, int* column);

// The offset of a position that google::protobuf::io::Tokenizer reports.
size_t OffsetOfTokenizerPosition(const SourceText& source, int line, int column);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_SOURCE_TEXT_H_
