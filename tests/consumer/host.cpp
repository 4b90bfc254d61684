// host PLUGIN: operations of a plugin are recorded on the program's tape, because there is only one active tape per thread in a process.
// Prints "host: ok".
#include <autodiff/autodiff.h>
#include <dlfcn.h>

#include <cstdio>

using namespace wengert;

int main(int, char** arguments) {
  void* plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (!plugin) {
    std::puts(dlerror());
    return 1;
  }
  const auto compute = reinterpret_cast<void (*)(const Scalar&, const Tensor&, Scalar&)>(dlsym(plugin, "plugin_compute"));
  const auto records = reinterpret_cast<bool (*)()>(dlsym(plugin, "plugin_records"));
  if (!compute || !records || records()) return 1;
  Tape tape;
  if (!records()) return 1;
  const Scalar x = tape.variable(2.0);
  const Tensor t = tape.variable(Tensor::from({1, 5}));
  Scalar y = 0;
  compute(x, t, y);
  const auto [dx, dt] = tape.gradient(y, x, t);
  if (y.value() != 38 || dx != 12 || dt.at({0}) != 2 || dt.at({1}) != 10) return 1;
  std::puts("host: ok");
}
