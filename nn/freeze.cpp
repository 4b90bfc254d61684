#include "nn/freeze.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/io/atomic_file.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::nn::detail {

EvaluationOnly::EvaluationOnly(Location site) : site_(site), outer_(mode_observer) { mode_observer = this; }
EvaluationOnly::~EvaluationOnly() { mode_observer = outer_; }

void EvaluationOnly::asked(const Module& module) {
  mode_observer = nullptr;  // this question is ours
  const bool training = module.training();
  mode_observer = this;
  if (training) throw ValueError(fmt::format("freeze: {} is in training mode; hint: model.eval()", module.label()), CallSite::of(site_));
}

void write_source(const Frozen& frozen, const std::string& path) {
  write_file_atomically(path, frozen.to_cpp(std::filesystem::path(path).stem().string()));
}

}  // namespace wengert::nn::detail
