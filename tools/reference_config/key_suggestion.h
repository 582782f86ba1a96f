// What somebody may have meant by a key that nothing knows.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_KEY_SUGGESTION_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_KEY_SUGGESTION_H_

#include <string>
#include <vector>

namespace cubist {

// The one of `known` ("supervision.semantic_weight") that `unknown` may stand for; "" if none is near: a misspelt name
// in the same section, or the same name in another section, if that is the only one or its section is spelt much alike.
std::string SuggestKey(const std::string& unknown, const std::vector<std::string>& known);

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_KEY_SUGGESTION_H_
