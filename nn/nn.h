#pragma once
// Everything for networks: layers, losses, initialisers, and what models are made of.
#include "nn/data/csv.h"
#include "nn/data/idx.h"
#include "nn/data/loader.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/module.h"
#include "nn/sequential.h"
