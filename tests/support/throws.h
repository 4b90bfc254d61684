#pragma once
// The messages of errors.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace wengert::testing {

/// Calls `f`, which must throw an E. Returns what `read` finds in it; if it throws no E, fails a check and returns "".
template <class E, class F, class Read> std::string read_from(F&& f, const Read& read) {
  try {
    f();
  } catch (const E& e) {
    return std::string(read(e));
  } catch (const std::exception& e) {
    BOOST_ERROR("another exception was thrown: " << e.what());
    return "";
  }
  BOOST_ERROR("nothing was thrown");
  return "";
}

/// The message of the E that `f` must throw.
template <class E, class F> std::string message_of(F&& f) {
  return read_from<E>(f, [](const E& e) { return e.what(); });
}
/// The same without the place of the call.
template <class E, class F> std::string text_of(F&& f) {
  return read_from<E>(f, [](const E& e) { return e.text(); });
}

/// Whether `text` contains `part`; the failure message shows both.
inline boost::test_tools::predicate_result contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return true;
  boost::test_tools::predicate_result no(false);
  no.message() << "\"" << text << "\" does not contain \"" << part << "\"";
  return no;
}

/// Whether `text` begins with a line of `file`, as in "test_layers.cpp:12: ", and goes on with `rest`.
inline boost::test_tools::predicate_result begins_at(std::string_view text, std::string_view file, std::string_view rest) {
  const std::size_t line = file.size() + 1, end = std::min(text.find_first_not_of("0123456789", std::min(line, text.size())), text.size());
  if (text.starts_with(file) && end > line && text.substr(end).starts_with(": ") && text.substr(end + 2).starts_with(rest)) return true;
  boost::test_tools::predicate_result no(false);
  no.message() << "\"" << text << "\" is not \"" << file << ":LINE: " << rest << "...\"";
  return no;
}

}  // namespace wengert::testing
