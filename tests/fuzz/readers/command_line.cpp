// Command lines of the example programs.
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "examples/example.h"
#include "targets.h"

namespace wengert::fuzz::readers {
namespace {

void must(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

}  // namespace

// Each line is an argument of a program that has an option of every kind.
void command_line(Bytes input) {
  std::vector<std::string> arguments{"program"};
  std::istringstream lines(std::string(input.begin(), input.end()));
  for (std::string line; std::getline(lines, line);) arguments.push_back(line);
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  std::string data, name = "none", optimizer = "sgd";
  double offset = 0, rate = 0.1, decay = 0;
  int epochs = 10;
  std::uint64_t seed = 0;
  bool quick = false;
  example::Saving saving;
  example::CommandLine line("program", "An option of every kind.");
  line.required("--data", data, "a file");
  line.option("--name", name, "a text");
  line.option("--optimizer", optimizer, "one of several", {"sgd", "adam"});
  line.option("--offset", offset, "any number");
  line.option("--rate", rate, "a positive number", example::kPositive);
  line.option("--decay", decay, "a number from 0 to 1", {.name = "a number from 0 to 1", .min = 0, .max = 1});
  line.option("--epochs", epochs, "a positive integer", example::kPositive);
  line.option("--seed", seed, "a large integer");
  line.flag("--quick", quick, "a flag");
  line.saving(saving);
  const example::Request request = line.parse(static_cast<int>(argv.size()), argv.data());
  must((request.kind == example::Request::Kind::run) == request.text.empty(), "a text exactly if the program is not run");
  if (request.kind != example::Request::Kind::run) return;
  must(optimizer == "sgd" || optimizer == "adam", "--optimizer is not a choice");
  must(std::isfinite(offset), "--offset is not finite");
  must(std::isfinite(rate) && rate > 0, "--rate is not positive");
  must(decay >= 0 && decay <= 1, "--decay is out of range");
  must(epochs > 0, "--epochs is not positive");
}

}  // namespace wengert::fuzz::readers
