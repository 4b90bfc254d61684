#pragma once
// What the optimizers of Adam's family share.
#include <array>

#include "optim/optimizer.h"

namespace wengert::optim {

/// An optimizer with a decaying mean of the gradient (beta1) and one of its square or its size (beta2): Adam, AdamW, NAdam, RAdam, Adamax.
template <class Options> class MomentOptimizer : public OptimizerWith<Options> {
 public:
  double beta1() const { return this->options().beta1; }
  double beta2() const { return this->options().beta2; }
  /// Of all groups, from the next step on; the means stay what they are. For a schedule:
  /// `adam.set_betas(cycle.momentum(step), adam.beta2())`. A ValueError unless both are in [0, 1); then nothing has changed.
  void set_betas(double beta1, double beta2) {
    this->change_all([=](Options& o) {
      o.beta1 = beta1;
      o.beta2 = beta2;
    });
  }

 protected:
  using OptimizerWith<Options>::OptimizerWith;
};

/// The settings that the options of the family have in common.
template <class Options>
constexpr std::array<Setting<Options>, 6> kMomentSettings{{{"lr", &Options::lr, SettingRange::not_negative},
                                                           {"beta1", &Options::beta1, SettingRange::decay},
                                                           {"beta2", &Options::beta2, SettingRange::decay},
                                                           {"eps", &Options::eps, SettingRange::not_negative},
                                                           {"weight_decay", &Options::weight_decay, SettingRange::not_negative},
                                                           {"maximize", &Options::maximize}}};

/// The same and one more.
template <class Options> constexpr std::array<Setting<Options>, 7> moment_settings_and(const Setting<Options>& more) {
  const auto& s = kMomentSettings<Options>;
  return {{s[0], s[1], s[2], s[3], s[4], s[5], more}};
}

}  // namespace wengert::optim
