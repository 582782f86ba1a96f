// The outline of a textproto: which statements there are, and where.
//
// google::protobuf::TextFormat gives up at the first mistake and knows one place a list. The scanner
// finds the extent of every statement with Protobuf's own tokenizer, so that each can be judged by
// itself (configs/text_layer.h), all mistakes come in one report, and every element has its place.
#ifndef CUBIST_CONFIGS_STATEMENT_SCANNER_H_
#define CUBIST_CONFIGS_STATEMENT_SCANNER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "configs/diagnostics.h"
#include "configs/source_text.h"

namespace cubist {

// Bytes [begin, end) of a text.
struct Extent {
  size_t begin = 0;
  size_t end = 0;
};

struct Statement {
  enum class Kind { kScalar, kList, kBlock };

  std::string name;
  Kind kind = Kind::kScalar;
  bool broken = false;                // no value can be had from it
  std::optional<Diagnostic> problem;  // why, unless that is reported already
  Extent whole;                       // name, value and the separator after it
  Extent name_extent;
  Extent value;                     // of a list and of a block with its brackets
  std::vector<Extent> elements;     // of a list
  std::vector<Statement> children;  // of a block
};

struct Outline {
  std::vector<Statement> statements;
  std::vector<Extent> rubbish;  // reported stretches outside any statement
  bool complete = true;         // false: brackets do not match, so what stands where is anybody's guess
};

// `path` is where the text stands in the config; it goes before the names in messages. Mistakes of form within
// a statement (no value, an open list, words that do not belong) are left with it, all others (brackets,
// quotes) go to `diagnostics`.
Outline ScanStatements(const std::shared_ptr<const SourceText>& source, const std::string& path,
                       Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_STATEMENT_SCANNER_H_
