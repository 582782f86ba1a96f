#include "configs/statement_scanner.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "configs/field_path.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace cubist {
namespace {

using google::protobuf::io::Tokenizer;

// Deeper nesting than any schema has; keeps hostile texts off the stack.
constexpr int kMaximumDepth = 64;

struct Token {
  Tokenizer::TokenType type = Tokenizer::TYPE_END;
  std::string text;
  Extent extent;
  int line = 0;
};

// Passes on what the tokenizer itself objects to, and remembers the lines.
class LexicalErrors : public google::protobuf::io::ErrorCollector {
 public:
  LexicalErrors(std::shared_ptr<const SourceText> source, Diagnostics* diagnostics)
      : source_(std::move(source)), diagnostics_(diagnostics) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    const size_t offset = OffsetOfTokenizerPosition(*source_, line, column);
    if (!lines.insert(line).second) return;  // one report a line
    if (absl::StrContains(message, "String literals")) {
      diagnostics_->Add({source_, offset, offset + 1}, "a quote is opened in this line and not closed",
                        {"close it in the same line; longer text is several quoted pieces one after the other"});
    } else {
      diagnostics_->Add({source_, offset, offset + 1}, absl::StrCat("not a config text: ", message));
    }
  }

  std::set<int> lines;

 private:
  std::shared_ptr<const SourceText> source_;
  Diagnostics* diagnostics_;
};

class Scanner {
 public:
  Scanner(const std::shared_ptr<const SourceText>& source, Diagnostics* diagnostics)
      : source_(source), diagnostics_(diagnostics) {
    LexicalErrors errors(source, diagnostics);
    google::protobuf::io::ArrayInputStream stream(source->text.data(), static_cast<int>(source->text.size()));
    Tokenizer tokenizer(&stream, &errors);
    // As TextFormat reads, except that a forgotten quote ends with its line.
    tokenizer.set_allow_f_after_float(true);
    tokenizer.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
    tokenizer.set_require_space_after_number(false);
    // Tokens come in order: each position is found from the one before it.
    size_t offset = 0;
    int line = 0, column = 0;
    while (tokenizer.Next()) {
      const Tokenizer::Token& token = tokenizer.current();
      while (offset < source->text.size() && (line < token.line || column < token.column)) {
        AdvanceTokenizerPosition(source->text[offset++], &line, &column);
      }
      const size_t begin = offset;
      tokens_.push_back({token.type, token.text, {begin, begin + token.text.size()}, token.line});
    }
    Token end;
    end.extent = {source->text.size(), source->text.size()};
    end.line = tokenizer.current().line;
    tokens_.push_back(end);
    lexically_wrong_ = std::move(errors.lines);
  }

  Outline Scan(const std::string& path) {
    Outline outline;
    ParseStatements(&outline.statements, path, /*closing=*/"", 0);
    outline.rubbish = std::move(rubbish_);
    outline.complete = complete_;
    return outline;
  }

 private:
  const Token& Current() const { return tokens_[position_]; }
  const Token& Ahead(size_t n) const { return tokens_[std::min(position_ + n, tokens_.size() - 1)]; }
  bool AtEnd() const { return Current().type == Tokenizer::TYPE_END; }
  bool At(const char* text) const { return Current().type == Tokenizer::TYPE_SYMBOL && Current().text == text; }
  bool AtClosing() const { return At("}") || At(">"); }
  bool AtIdentifier() const { return Current().type == Tokenizer::TYPE_IDENTIFIER; }
  void Next() {
    if (!AtEnd()) ++position_;
  }
  // What could only be the beginning of another statement.
  bool AtNewStatement() const {
    const Token& next = Ahead(1);
    return AtIdentifier() && next.type == Tokenizer::TYPE_SYMBOL && (next.text == ":" || next.text == "{");
  }
  Place PlaceOf(const Extent& extent) const { return {source_, extent.begin, extent.end}; }
  void Report(const Extent& extent, std::string message, std::vector<std::string> notes = {}) {
    diagnostics_->Add(PlaceOf(extent), std::move(message), std::move(notes));
  }

  // Skips what is left of `line`, but not a bracket that closes the block.
  void SkipLine(int line) {
    while (!AtEnd() && Current().line == line && !AtClosing()) Next();
  }

  void ParseStatements(std::vector<Statement>* statements, const std::string& path, const std::string& closing,
                       int depth) {
    while (!AtEnd()) {
      if (AtClosing()) {
        if (Current().text == closing) return;
        Report(Current().extent, closing.empty() ? absl::StrCat("this ", Current().text, " closes nothing")
                                                 : absl::StrCat("expected ", closing, " here"));
        complete_ = false;
        rubbish_.push_back(Current().extent);
        Next();
        continue;
      }
      if (At(";") || At(",")) {
        Next();
        continue;
      }
      if (!AtIdentifier()) {
        const Extent begin = Current().extent;
        if (lexically_wrong_.count(Current().line) == 0) {
          Report(begin, absl::StrCat("expected the name of a field, not ", Current().text));
        }
        if (At("{") || At("<")) {
          Statement nameless;
          ParseBlock(&nameless, path, depth);
        } else {
          const int line = Current().line;
          Next();
          SkipLine(line);
        }
        rubbish_.push_back({begin.begin, tokens_[position_ - 1].extent.end});
        continue;
      }
      statements->push_back(ParseStatement(path, depth));
    }
  }

  Statement ParseStatement(const std::string& message_path, int depth) {
    Statement statement;
    statement.name = Current().text;
    const std::string path = JoinPath(message_path, statement.name);
    statement.name_extent = Current().extent;
    statement.whole = Current().extent;
    const size_t first = position_;
    const int line = Current().line;
    Next();
    const bool colon = At(":");
    if (colon) Next();
    if (AtEnd() || AtClosing() || (Current().line != line && AtNewStatement())) {
      Break(&statement, line, statement.name_extent, absl::StrCat(path, " has no value"));
    } else if (At("{") || At("<")) {
      ParseBlock(&statement, path, depth);
    } else if (!colon) {
      Break(&statement, line, Current().extent, absl::StrCat("expected : or { after ", path, ", not ", Current().text));
    } else if (At("[")) {
      ParseList(&statement, path, line, depth);
    } else {
      ParseScalar(&statement, path, line, depth);
    }
    if (!statement.broken && (At(";") || At(","))) Next();
    statement.whole.end = tokens_[position_ - 1].extent.end;
    for (size_t i = first; i < position_ && statement.kind != Statement::Kind::kBlock; ++i) {
      if (lexically_wrong_.count(tokens_[i].line) > 0) statement.broken = true;
    }
    return statement;
  }

  // Says why (unless the tokenizer did for this line) and skips the rest of the line.
  void Break(Statement* statement, int line, const Extent& extent, std::string message,
             std::vector<std::string> notes = {}) {
    if (lexically_wrong_.count(line) == 0) {
      statement->problem = Diagnostic{PlaceOf(extent), std::move(message), std::move(notes)};
    }
    statement->broken = true;
    SkipLine(line);
  }

  void ParseBlock(Statement* statement, const std::string& path, int depth) {
    statement->kind = Statement::Kind::kBlock;
    const Extent opening = Current().extent;
    const std::string closing = At("{") ? "}" : ">";
    Next();
    if (depth >= kMaximumDepth) {
      Report(opening, absl::StrCat("blocks are nested more than ", kMaximumDepth, " deep"));
      complete_ = false;
      position_ = tokens_.size() - 1;
      return;
    }
    ParseStatements(&statement->children, path, closing, depth + 1);
    statement->value = {opening.begin, Current().extent.end};
    if (AtEnd()) {
      if (complete_) Report(opening, absl::StrCat("the block of ", path, " is never closed"));
      complete_ = false;
      return;
    }
    Next();
  }

  // One element: [-] word or number, or quoted pieces one after the other, or a block.
  bool ParseElement(Extent* extent, int depth) {
    *extent = Current().extent;
    if (At("{") || At("<")) {
      Statement block;
      ParseBlock(&block, "", depth + 1);
      extent->end = tokens_[position_ - 1].extent.end;
      return complete_;
    }
    if (At("-")) Next();
    if (Current().type == Tokenizer::TYPE_STRING) {
      while (Current().type == Tokenizer::TYPE_STRING) Next();
    } else if (AtIdentifier() || Current().type == Tokenizer::TYPE_INTEGER || Current().type == Tokenizer::TYPE_FLOAT) {
      Next();
    } else {
      return false;
    }
    extent->end = tokens_[position_ - 1].extent.end;
    return true;
  }

  void ParseList(Statement* statement, const std::string& path, int line, int depth) {
    statement->kind = Statement::Kind::kList;
    const Extent opening = Current().extent;
    Next();
    while (!At("]")) {
      if (AtEnd() || AtClosing() || AtNewStatement()) {
        Break(statement, line, opening, absl::StrCat("the list of ", path, " is never closed"),
              {"write ] after its last element"});
        return;
      }
      Extent element;
      const int element_line = Current().line;
      if (!ParseElement(&element, depth) || !(At(",") || At("]") || AtEnd() || AtClosing() || AtNewStatement())) {
        const Token& wrong = Current();
        Break(statement, element_line, wrong.extent,
              absl::StrCat("expected , or ] in the list of ", path, ", not ", wrong.text));
        while (!AtEnd() && !At("]") && !AtClosing() && !AtNewStatement()) Next();
        if (At("]")) Next();
        return;
      }
      statement->elements.push_back(element);
      if (At(",")) Next();
    }
    Next();
    statement->value = {opening.begin, tokens_[position_ - 1].extent.end};
  }

  void ParseScalar(Statement* statement, const std::string& path, int line, int depth) {
    if (!ParseElement(&statement->value, depth)) {
      Break(statement, line, Current().extent, absl::StrCat(path, " takes a value, not ", Current().text));
      return;
    }
    const bool ends = AtEnd() || AtClosing() || At(";") || At(",") || AtNewStatement() || Current().line != line;
    if (!ends) {
      Break(statement, line, Current().extent,
            absl::StrCat("unexpected ", Current().text, " after the value of ", path),
            {"a field takes one value; a list is [a, b]; units are not written"});
    }
  }

  std::shared_ptr<const SourceText> source_;
  Diagnostics* diagnostics_;
  std::vector<Token> tokens_;
  std::set<int> lexically_wrong_;
  size_t position_ = 0;
  std::vector<Extent> rubbish_;
  bool complete_ = true;
};

}  // namespace

Outline ScanStatements(const std::shared_ptr<const SourceText>& source, const std::string& path,
                       Diagnostics* diagnostics) {
  return Scanner(source, diagnostics).Scan(path);
}

}  // namespace cubist
