#pragma once
// Derivatives of programs, which are programs again: their operations are recorded by the rules of functions.h, so they can be
// differentiated in turn, to any order.
//
// A derivative takes the inputs of its program, in the same order, and where the formula has a direction, that as well. It has the paths
// of its program: a lane that takes a new one has it recorded.
#include "autodiff/program/program.h"

namespace wengert {

/// What a program is differentiated with respect to.
enum class Wrt {
  automatic,  ///< the parameters, or the data of a program that has no parameters
  parameters,
  data,
  inputs,  ///< the parameters and then the data
};

/// The derivatives of a program of one output: one output for each input that it is differentiated
/// with respect to.
Program gradient(const Program& program, Wrt wrt = Wrt::automatic);
/// The same behind the value itself.
Program value_and_gradient(const Program& program, Wrt wrt = Wrt::automatic);
/// J x_dot: as many outputs as the program has. x_dot are new inputs, behind the parameters for those of parameters and behind the data for
/// those of data.
Program jvp(const Program& program, Wrt wrt = Wrt::automatic);
/// J^T y_bar: one output for each input that it is differentiated with respect to. y_bar, one number for each output of the program, are
/// new parameters if those inputs are the parameters alone, else new data.
Program vjp(const Program& program, Wrt wrt = Wrt::automatic);
/// All derivatives, output by output. Forward mode or reverse mode, whichever takes fewer sweeps.
Program jacobian(const Program& program, Wrt wrt = Wrt::automatic);
/// H v of a program of one output: jvp of its gradient, with v as new inputs as there.
Program hvp(const Program& program, Wrt wrt = Wrt::automatic);
/// All second derivatives of a program of one output, row by row.
Program hessian(const Program& program, Wrt wrt = Wrt::automatic);
/// Output number i alone, with what it needs.
Program output(const Program& program, int i);

}  // namespace wengert
