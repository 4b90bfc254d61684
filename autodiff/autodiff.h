#pragma once
// Everything that a program needs to record operations and to differentiate them.
#include "autodiff/denormals.h"
#include "autodiff/error.h"
#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/tensor.h"
#include "autodiff/transforms/checkpoint.h"
#include "autodiff/transforms/custom_operation.h"
#include "autodiff/transforms/derivatives.h"
#include "autodiff/version.h"
