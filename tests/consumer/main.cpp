// A program of somebody who uses the installed library. It prints "consumer: ok".
#include <autodiff/error.h>
#include <autodiff/version.h>

#include <cstdio>
#include <string>

int main() {
  if (std::string(wengert::version()) != WENGERT_VERSION_STRING) return 1;
  if (to_string(wengert::Location::here()) != "main.cpp:10") return 1;
  std::puts("consumer: ok");
}
