#include "code.h"

#include <cctype>
#include <cmath>

#include "checks_text.h"

namespace wengert::fuzz {
namespace {

constexpr char kBegin[] = R"text(
using namespace wengert;
using namespace wengert::fuzz;

namespace {

int differences = 0;

void check(const char* what, const std::string& difference) {
  if (difference.empty()) return;
  std::printf("%s: %s\n", what, difference.c_str());
  ++differences;
}

// How the call differs from one that is refused.
template <class F> std::string refusal(F&& call) {
  try {
    static_cast<void>(call());
    return "accepted what it must refuse";
  } catch (const Error&) {
    return "";
  }
}

void run(const char* name, void (*program)()) {
  const int before = differences;
  try {
    program();
  } catch (const std::exception& e) {
    check("an exception", e.what());
  }
  std::printf("%s: %s\n", name, differences == before ? "all values agree" : "differs");
}

)text";

}  // namespace

std::string literal(double value) {
  if (std::isnan(value)) return "NAN";
  if (std::isinf(value)) return value > 0 ? "INFINITY" : "-INFINITY";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string literal(const Shape& shape) { return literal(std::vector<Index>(shape.begin(), shape.end())); }
std::string literal(HeightWidth pair) { return fmt::format("{{{}, {}}}", pair.height, pair.width); }

std::string literal(const Subscript& index) {
  const Range& r = index.range;
  if (index.kind == Subscript::Kind::ellipsis) return "Ellipsis";
  if (index.kind == Subscript::Kind::integer) return literal(r.start);
  return fmt::format("Range({}, {}, {})", r.start, r.stop == End ? "End" : literal(r.stop), r.step);
}

std::string outline(std::string_view call) {
  std::string text;
  int depth = 0;
  for (const char c : call) {
    const bool opens = c == '(' || c == '[' || c == '{';
    if (opens && depth++ == 0) text += c;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (depth == 0 && c != '.' && !std::isdigit(static_cast<unsigned char>(c)) && !std::isspace(static_cast<unsigned char>(c))) text += c;
  }
  return text;
}

std::string cpp(std::span<const PrintedProgram> programs) {
  std::string text = kChecks;
  text += kBegin;
  for (const PrintedProgram& p : programs) text += fmt::format("void program_{}() {{\n{}}}\n\n", p.number, p.lines);
  text += "}  // namespace\n\nint main() {\n";
  for (const PrintedProgram& p : programs) text += fmt::format("  run(\"program {0}\", program_{0});\n", p.number);
  return text + "  return differences > 0;\n}\n";
}

}  // namespace wengert::fuzz
