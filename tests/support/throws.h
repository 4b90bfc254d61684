#pragma once
// What an error says.
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace wengert::testing {

/// Calls `f`, which must throw an E; its message, or "" with a failed check if it does not.
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

/// `text` holds `part`; says both if it does not.
inline boost::test_tools::predicate_result contains(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return true;
  boost::test_tools::predicate_result no(false);
  no.message() << "\"" << text << "\" does not hold \"" << part << "\"";
  return no;
}

}  // namespace wengert::testing
