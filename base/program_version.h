// Which build of Cubist this is.
#ifndef CUBIST_BASE_PROGRAM_VERSION_H_
#define CUBIST_BASE_PROGRAM_VERSION_H_

#include <string>

namespace cubist {

// "cubist 0.1 (build c062917cb91d18da)": the release and the beginning of the running program's GNU build id, which the
// linker makes from its contents; "(build unknown)" if it was linked without one. Ranks of a run must agree on it.
std::string ProgramVersion();

}  // namespace cubist

#endif  // CUBIST_BASE_PROGRAM_VERSION_H_
