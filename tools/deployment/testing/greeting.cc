// A library with a need of its own that the program does not share: the C++ library.
#include <exception>
#include <stdexcept>
#include <string>

extern "C" const char* Greeting() {
  static std::string greeting;
  try {
    throw std::runtime_error("hello");
  } catch (const std::exception& thrown) {
    greeting = thrown.what();
  }
  return greeting.c_str();
}
