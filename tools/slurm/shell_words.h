// Words as a shell understands them, without a shell.
#ifndef CUBIST_TOOLS_SLURM_SHELL_WORDS_H_
#define CUBIST_TOOLS_SLURM_SHELL_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// The words of a command line by the rules of POSIX for '...', "..." and backslashes. Nothing is expanded.
// ConfigError where a shell would do more than split (unquoted | & ; < > ( ) $ ` * ? [ # ~ { } ! and newlines; $ and `
// between double quotes too), and for a quote that is not closed; it shows the place.
absl::StatusOr<std::vector<std::string>> SplitShellWords(std::string_view text);

// A word that bash reads as `text`: as it is if that is plain, else in single quotes. Holds for every byte but NUL.
std::string QuoteShellWord(std::string_view text);

// Quoted, with spaces between them.
std::string JoinShellWords(const std::vector<std::string>& words);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SHELL_WORDS_H_
