#pragma once
// The messages of errors.
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace wengert::testing {

/// Calls `f`, which must throw an E. Returns its message; if it throws no E, fails a check and returns "".
template <class E, class F> std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    BOOST_ERROR("another exception was thrown: " << e.what());
    return "";
  }
  BOOST_ERROR("nothing was thrown");
  return "";
}

/// Whether `text` contains `part`; the failure message shows both.
inline boost::test_tools::predicate_result contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return true;
  boost::test_tools::predicate_result no(false);
  no.message() << "\"" << text << "\" does not contain \"" << part << "\"";
  return no;
}

}  // namespace wengert::testing
