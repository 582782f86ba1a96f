// Prints what its shared library says.
#include <cstdio>

extern "C" const char* Greeting();

int main() { return std::puts(Greeting()) < 0; }
