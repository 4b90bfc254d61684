#include "example.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <sstream>
#include <system_error>
#include <utility>

namespace example {
namespace {

constexpr int kBadInput = 2;

CLI::Validator validator(Numbers allowed) {
  return {[allowed](const std::string& text) {
            double value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool number = error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
            const bool good = number && value >= allowed.min && value <= allowed.max && (allowed.included || value != allowed.min);
            return good ? std::string() : fmt::format("\"{}\" is not {}", text, allowed.name);
          },
          ""};
}

// One line on stderr, if that can be written.
int report(const std::string& program, const std::string& mistake) {
  const std::string line = program + ": " + mistake + '\n';
  std::fputs(line.c_str(), stderr);
  return kBadInput;
}

}  // namespace

struct CommandLine::Parser {
  CLI::App app;

  Parser(std::string program, std::string description) : app(std::move(description), std::move(program)) {}

  template <class T> CLI::Option* add(const char* name, T& value, const char* help) {
    return app.add_option(name, value, help)->capture_default_str();
  }
};

CommandLine::CommandLine(std::string program, std::string description)
    : parser_(std::make_unique<Parser>(std::move(program), std::move(description))) {}
CommandLine::~CommandLine() = default;

void CommandLine::option(const char* name, std::string& value, const char* help) { parser_->add(name, value, help); }
void CommandLine::option(const char* name, std::string& value, const char* help, const std::vector<std::string>& choices) {
  parser_->add(name, value, help)->check(CLI::IsMember(choices));
}
void CommandLine::option(const char* name, double& value, const char* help, Numbers allowed) {
  parser_->add(name, value, help)->check(validator(allowed));
}
void CommandLine::option(const char* name, int& value, const char* help, Numbers allowed) {
  parser_->add(name, value, help)->check(validator(allowed));
}
void CommandLine::option(const char* name, std::uint64_t& value, const char* help) { parser_->add(name, value, help); }
void CommandLine::flag(const char* name, bool& value, const char* help) { parser_->app.add_flag(name, value, help); }
void CommandLine::saving(Saving& saving) {
  parser_->add("--checkpoint", saving.checkpoint, "save the training in this file while it runs");
  parser_->app.add_flag("--resume", saving.resume, "go on from the checkpoint, if there is one")->needs("--checkpoint");
}
void CommandLine::required(const char* name, std::string& value, const char* help) { parser_->add(name, value, help)->required(); }

Request CommandLine::parse(int argc, const char* const* argv) {
  CLI::App& app = parser_->app;
  try {
    app.parse(argc, argv);
    return {};
  } catch (const CLI::Success& help) {
    std::ostringstream text;
    app.exit(help, text, text);
    return {Request::Kind::help, text.str()};
  } catch (const CLI::ParseError& error) {
    return {Request::Kind::refused, fmt::format("{}; see {} --help", error.what(), app.get_name())};
  }
}

int CommandLine::run(int argc, char** argv, const std::function<void()>& program) {
  const Request request = parse(argc, argv);
  const std::string name = parser_->app.get_name();
  if (request.kind == Request::Kind::refused) return report(name, request.text);
  if (request.kind == Request::Kind::help)
    return std::cout << request.text << std::flush ? 0 : report(name, "the standard output cannot be written");
  try {
    program();
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "the standard output");
    return 0;
  } catch (const std::bad_alloc&) {
    return report(name, "out of memory");
  } catch (const std::exception& error) {
    return report(name, error.what());
  }
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw wengert::DataError(fmt::format("{}: {}", path, error.message()));
}

void make_folder_of(const std::string& file, const std::string& ending) {
  const std::filesystem::path path(file);
  if (path.extension() != ending) throw wengert::DataError(fmt::format("{}: the file must be called NAME{}", file, ending));
  if (path.has_parent_path()) make_folder(path.parent_path());
}

std::string data_file(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path here = fs::path("data") / name;
  std::error_code error;
  if (fs::exists(here, error)) return here.string();
  for (fs::path folder = fs::read_symlink("/proc/self/exe", error); folder.has_relative_path(); folder = folder.parent_path())
    if (fs::exists(folder.parent_path() / here, error)) return (folder.parent_path() / here).string();
  return here.string();
}

}  // namespace example
