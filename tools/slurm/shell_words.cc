#include "tools/slurm/shell_words.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr std::string_view kSpecial = "|&;<>()$`*?[#~{}!\n\r";

bool Holds(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }

absl::Status Refuse(std::string_view text, size_t at, std::string_view what) {
  constexpr size_t kShown = 40;
  const size_t begin = at - std::min(at, kShown);
  const std::string before = absl::CEscape(absl::string_view(text.data() + begin, at - begin));
  const std::string after = absl::CEscape(absl::string_view(text.data() + at, std::min(kShown, text.size() - at)));
  return ConfigError(
      absl::StrCat(std::string(what), "\n  ", before, after, "\n  ", std::string(before.size(), ' '), "^"));
}

absl::Status RefuseSpecial(std::string_view text, size_t at) {
  return Refuse(text, at,
                absl::StrCat("no shell runs the command, so that '", absl::CEscape(std::string(1, text[at])),
                             "' would do nothing; if it is meant as it stands, put the word in single quotes"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitShellWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      ++i;
      continue;
    }
    if (c == '\'') {
      const size_t end = text.find('\'', i + 1);
      if (end == std::string_view::npos) return Refuse(text, i, "this quote is not closed");
      word.append(text.substr(i + 1, end - i - 1));
      i = end + 1;
    } else if (c == '"') {
      const size_t begin = i++;
      while (i < text.size() && text[i] != '"') {
        if (Holds("$`", text[i])) return RefuseSpecial(text, i);
        if (text[i] == '\\' && i + 1 < text.size() && Holds("$`\"\\", text[i + 1])) ++i;
        word.push_back(text[i++]);
      }
      if (i >= text.size()) return Refuse(text, begin, "this quote is not closed");
      ++i;
    } else if (c == '\\') {
      if (i + 1 == text.size()) return Refuse(text, i, "nothing follows this backslash");
      // A line that goes on.
      if (text[i + 1] == '\n') {
        i += 2;
        continue;
      }
      word.push_back(text[i + 1]);
      i += 2;
    } else if (Holds(kSpecial, c) && !(c == '#' && in_word) && !(c == '~' && in_word)) {
      return RefuseSpecial(text, i);
    } else {
      word.push_back(c);
      ++i;
    }
    in_word = true;
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string QuoteShellWord(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || Holds("@%+=:,./_-", static_cast<char>(c));
  });
  if (plain) return std::string(text);
  return absl::StrCat("'", absl::StrReplaceAll(absl::string_view(text.data(), text.size()), {{"'", "'\\''"}}), "'");
}

std::string JoinShellWords(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) absl::StrAppend(&line, line.empty() ? "" : " ", QuoteShellWord(word));
  return line;
}

}  // namespace cubist
