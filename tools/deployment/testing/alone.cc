// Needs nothing but the C library.
int main() { return 0; }
