#include "autodiff/version.h"

#include <boost/test/unit_test.hpp>
#include <string>

BOOST_AUTO_TEST_CASE(the_string_and_the_numbers_agree) {
  const std::string numbers =
      std::to_string(WENGERT_VERSION_MAJOR) + "." + std::to_string(WENGERT_VERSION_MINOR) + "." + std::to_string(WENGERT_VERSION_PATCH);
  BOOST_TEST(numbers == WENGERT_VERSION_STRING);
}

BOOST_AUTO_TEST_CASE(headers_and_library_are_of_one_version) { BOOST_TEST(std::string(wengert::version()) == WENGERT_VERSION_STRING); }
