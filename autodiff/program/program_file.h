#pragma once
// Programs in files.
#include <string>

#include "autodiff/program/program.h"

namespace wengert {

/// Writes the paths of a program that are known so far, without its function. An older file at `path` is replaced at once or not at all.
/// A DataError that names the file if it cannot be written.
void write_program(const std::string& path, const Program& program);
/// The program in a file. It takes the paths that were written and no others. A DataError that names the file and the place in it where
/// that is truncated, damaged or of a later version.
Program read_program(const std::string& path);

}  // namespace wengert
