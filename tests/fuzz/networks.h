#pragma once
// Steps of random programs with the operations of networks.
#include "program.h"

namespace wengert::fuzz {

void convolutions(Program& p);
void poolings(Program& p);
void normalizations(Program& p);
void attentions(Program& p);
void recurrences(Program& p);
void einsums(Program& p);

}  // namespace wengert::fuzz
