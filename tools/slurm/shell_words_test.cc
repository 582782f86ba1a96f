#include "tools/slurm/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/status.h"
#include "base/subprocess.h"

namespace cubist {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Words(const std::string& text) {
  const auto words = SplitShellWords(text);
  EXPECT_TRUE(words.ok()) << words.status();
  return words.ok() ? *words : std::vector<std::string>();
}

TEST(SplitShellWords, TheGuidesCommand) {
  EXPECT_THAT(Words("train configs/recipes/vae.textproto  --gpus 8\t--wname vae"),
              ElementsAre("train", "configs/recipes/vae.textproto", "--gpus", "8", "--wname", "vae"));
  EXPECT_THAT(Words("  \t "), ElementsAre());
}

TEST(SplitShellWords, QuotesAsBashReadsThem) {
  // Bash is the oracle; these need no expansion.
  for (const std::string text : {R"(a 'b c' "d e" f\ g)", R"('' "")", R"(a'b'"c"\d)", R"("a\"b\\c\$d\e")",
                                 R"('a"b' "a'b")", R"('$(touch x) `y`; *')", R"(a#b x~y --set=a=b@c%d)",
                                 "a\\\nb 'c\nd' \"e\nf\"", R"('it'\''s')", "\xc3\xa9 '\x01'"}) {
    const auto bash = RunSubprocess({"bash", "-c", "printf '%s\\001' " + text});
    ASSERT_TRUE(bash.ok() && bash->ok()) << text;
    std::string ours;
    for (const std::string& word : Words(text)) ours += word + '\001';
    EXPECT_EQ(ours, bash->output) << text;
  }
}

TEST(SplitShellWords, WhatAShellWouldDoMoreWithIsRefused) {
  for (const std::string text : {"a $HOME", "a \"$HOME\"", "a `b`", "a \"`b`\"", "a; b", "a | b", "a > b", "a & b",
                                 "a (b)", "a *.txt", "a b?", "a [b]", "a #b", "~/a", "a\nb", "{a,b}", "!a"}) {
    const auto words = SplitShellWords(text);
    EXPECT_EQ(ExitCodeOf(words.status()), ExitCode::kConfig) << text;
    EXPECT_THAT(std::string(words.status().message()), HasSubstr("no shell runs the command")) << text;
  }
  EXPECT_THAT(std::string(SplitShellWords("train a; b").status().message()), HasSubstr("\n  train a; b\n         ^"));
  for (const std::string text : {"a 'b", "a \"b", "a\\"}) EXPECT_FALSE(SplitShellWords(text).ok()) << text;
}

TEST(QuoteShellWord, BashReadsBackEveryByte) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string text;
    for (int n = static_cast<int>(random() % 12); n > 0; --n) text.push_back(static_cast<char>(1 + random() % 255));
    const auto bash = RunSubprocess({"bash", "-c", "printf '%s' " + QuoteShellWord(text)});
    ASSERT_TRUE(bash.ok());
    EXPECT_EQ(bash->output, text);
  }
  EXPECT_EQ(QuoteShellWord("configs/vae-1.textproto"), "configs/vae-1.textproto");
  EXPECT_EQ(QuoteShellWord(""), "''");
  EXPECT_EQ(JoinShellWords({"a", "b c", "it's"}), R"(a 'b c' 'it'\''s')");
}

}  // namespace
}  // namespace cubist
