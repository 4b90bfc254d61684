#include <autodiff/version.h>

#include <cstdio>

int main() { std::printf("Wengert %s\n", wengert::version()); }
