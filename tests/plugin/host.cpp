// host PLUGIN: loads the plugin and lets it record on this program's tape. There must be one active tape per thread, not one per shared
// object. Prints "plugin: ok"; the status is 1 if something is wrong.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>

#include "plugin.h"

using namespace wengert;

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "plugin: wrong: %s\n", what);
  ++failures;
}

template <class F> F* function(void* plugin, const char* name) {
  auto* f = reinterpret_cast<F*>(dlsym(plugin, name));
  if (!f) std::fprintf(stderr, "plugin: %s\n", dlerror());
  check(f, name);
  return f;
}

}  // namespace

int main(int argc, char** argv) {
  void* plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!plugin) {
    std::fprintf(stderr, "plugin: cannot be loaded: %s\n", dlerror());
    return 1;
  }
  auto* tensors = function<decltype(plugin_tensors)>(plugin, "plugin_tensors");
  auto* scalars = function<decltype(plugin_scalars)>(plugin, "plugin_scalars");
  auto* active_tape = function<decltype(plugin_active_tape)>(plugin, "plugin_active_tape");
  auto* refused = function<decltype(plugin_is_refused_a_tape)>(plugin, "plugin_is_refused_a_tape");
  if (failures) return 1;

  check(active_tape() == &active_writer<double>, "the plugin has an active tape of its own");
  check(!refused(), "the plugin cannot open a tape where there is none");
  Tensor y;
  {
    Tape tape;
    check(refused(), "the plugin may open a second tape");
    const double slope = (2 * 0.5 + 0.25) * std::exp(0.5);
    const Tensor x = tape.variable(Tensor::from({0.5}, float64));
    tensors(x, y);
    check(std::abs(tape.gradient(y, x).item() - slope) < 1e-14, "the gradient of tensors recorded in the plugin");
    const Scalar s = tape.variable(0.5);
    Scalar t;
    scalars(s, t);
    check(std::abs(tape.gradient(t, s) - slope) < 1e-14, "the gradient of scalars recorded in the plugin");
  }
  const std::string before = describe(y);
  check(before.find("made at plugin.cpp:") != std::string::npos, "a tensor of the plugin names its line");
  dlclose(plugin);
  const bool still_there = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != nullptr;  // a compiler may make a library permanent
  check(still_there || describe(y).find("made at ?") != std::string::npos, "a tensor of an unloaded plugin names no line");
  if (!failures) std::puts("plugin: ok");
  return failures ? 1 : 0;
}
