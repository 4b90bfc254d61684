#pragma once
// Source locations of calls, and the exceptions of the library.
#if __cplusplus < 202002L
#error "Wengert needs C++20: compile with -std=c++20"
#include <C++20>  // no such file: stops compilation here, before further errors
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Wengert needs a little-endian processor: files and tests rely on the order of bytes"
#include <little-endian>  // no such file
#endif
#if __SIZEOF_POINTER__ < 8
#error "Wengert needs a 64-bit processor: sizes are 64-bit integers"
#include <64-bit>  // no such file
#endif

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// A declaration that explains a mistake: the compiler refuses every use, at the user's line, and prints the text.
#define WENGERT_UNAVAILABLE(text) __attribute__((unavailable(text)))

namespace wengert {

/// A line in the user's source. Every tensor operation takes one as its last, defaulted parameter: the location of its caller.
/// (Made by builtins rather than std::source_location, which clang 14 lacks.)
struct Location {
  const char* file = "";
  std::uint32_t line = 0;

  constexpr Location() = default;
  /// (A template, so that `{0, 1}` never converts to a Location: it is a Dims.)
  template <class File>
  requires std::is_same_v<File, const char*>
  constexpr Location(File file, std::uint32_t line) : file(file), line(line) {}

  /// The place of the call, as a default argument.
  static constexpr Location here(const char* file = __builtin_FILE(), std::uint32_t line = __builtin_LINE()) { return {file, line}; }
};
/// "model.cpp:41": the file's name without its folders, so that no build path is shown. "?" if the location is unknown, or its
/// shared object has been unloaded.
std::string to_string(Location site);

/// The line of the user's program that called the library, as far as it is known here (see CallSite); line 0 if it is not.
Location current_call() noexcept;

/// A tensor that an error is about.
struct ErrorOperand {
  std::string name;  ///< its role in the operation: "left"
  std::string type;  ///< "(2, 3) float32"
  Location made_at;  ///< line 0 if unknown
};
/// The parts of a message.
struct ErrorMessage {
  std::string what;  ///< the operation and what is wrong: "matmul: the inner sizes 3 and 2 differ"
  std::vector<ErrorOperand> operands = {};
  std::string hint = {};  ///< what the user can write instead
  std::string note = {};  ///< what was added on the way up, with the sign that separates it: "; in layer 2 of the Sequential"
};

/// The base of every exception that this library throws on purpose. `what()` begins with the place of the call if that is known:
/// "model.cpp:41: matmul: the inner sizes 3 and 2 differ: left (2, 3) float32 made at model.cpp:39, ...; hint: ...".
/// `diagnose(error)` prints the source line, with the operands' shapes below it.
class Error : public std::runtime_error {
 public:
  /// The text, without a place.
  explicit Error(const std::string& text, Location call = current_call()) : Error(ErrorMessage{text}, call) {}
  explicit Error(ErrorMessage message, Location call = current_call());  ///< the parts of the text
  /// An error that was caught, with a text before its own and a note after it.
  Error(const Error& caught, std::string_view before, std::string_view note);

  /// The place of the call; line 0 if unknown.
  Location location() const noexcept { return location_; }
  /// `what()` without the place of the call.
  std::string_view text() const noexcept { return std::string_view(what()).substr(begin_); }
  const ErrorMessage& message() const noexcept { return *message_; }  ///< its parts

 private:
  Error(const std::string& place, std::shared_ptr<const ErrorMessage> message, Location call);

  std::shared_ptr<const ErrorMessage> message_;
  Location location_;
  std::size_t begin_;  // of the text in what()
};
/// Shapes, sizes, dimensions or indices that do not fit the operation or each other.
struct ShapeError : Error {
  using Error::Error;
};
/// Element types that do not fit the operation.
struct DtypeError : Error {
  using Error::Error;
};
/// A number given as an option or argument, other than a size or an index, that is outside its range: a probability, a step, the order of
/// a norm, the beta of a loss. Also an option that is missing, such as the running statistics of a batch_norm in evaluation, and a tensor
/// or parameter that is undefined.
struct ValueError : Error {
  using Error::Error;
};
/// Matrices that lack a property the operation requires: singular where an inverse is taken, not positive definite for a Cholesky factor.
struct MatrixError : Error {
  using Error::Error;
};
/// Misuse of a tape: consumed values or values of another tape, a source that the target does not depend on, a tape opened inside another.
struct TapeError : Error {
  using Error::Error;
};
/// A value or a gradient that is NaN or infinite where a tape was asked to check that (`Tape tape({.check_finite = true})`).
struct NotFiniteError : Error {
  using Error::Error;
};
/// Not enough memory for a tensor; the message names its shape. (Other failed allocations throw std::bad_alloc.)
struct MemoryError : Error {
  using Error::Error;
};
/// A file or a stream that does not hold what its reader expects; the message names the file, the row and the column or offset.
struct DataError : Error {
  /// The text; it names a file, not a line of the program.
  explicit DataError(const std::string& text) : Error(text, Location()) {}
};

}  // namespace wengert
