#pragma once
// Everything that a program needs to record operations and to differentiate them.
#include "autodiff/checkpoint.h"
#include "autodiff/custom_operation.h"
#include "autodiff/denormals.h"
#include "autodiff/derivatives.h"
#include "autodiff/error.h"
#include "autodiff/ops.h"
#include "autodiff/random.h"
#include "autodiff/shape.h"
#include "autodiff/tape.h"
#include "autodiff/tensor.h"
#include "autodiff/version.h"
