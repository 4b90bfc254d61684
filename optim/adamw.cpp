#include "optim/adamw.h"

namespace wengert::optim {

AdamW::AdamW(const ParameterList& parameters, AdamWOptions options)
    : AdamBase("AdamW", parameters, options.lr, {options.beta1, options.beta2, options.eps, options.weight_decay, options.maximize},
               {.amsgrad = options.amsgrad, .decoupled_decay = true}) {}

}  // namespace wengert::optim
