#include "autodiff/error.h"

#include <boost/test/unit_test.hpp>
#include <type_traits>

using namespace wengert;

namespace {

Location called_from(Location site = Location::here()) { return site; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_defaulted_location_names_its_caller) {
  const Location here = called_from();
  const std::uint32_t line = __LINE__ - 1;
  BOOST_TEST(here.line == line);
  BOOST_TEST(to_string(here) == "test_error.cpp:" + std::to_string(line));
}

BOOST_AUTO_TEST_CASE(the_text_of_a_location_hides_the_folders) {
  BOOST_TEST(to_string(Location{"model.cpp", 41}) == "model.cpp:41");
  BOOST_TEST(to_string(Location{"/some/folder/model.cpp", 41}) == "model.cpp:41");
  BOOST_TEST(to_string(Location{"../src/model.cpp", 7}) == "model.cpp:7");
}

BOOST_AUTO_TEST_CASE(an_unknown_location_is_a_question_mark) {
  BOOST_TEST(to_string(Location{}) == "?");
  BOOST_TEST(to_string(Location{"folder/", 3}) == "?");
}

BOOST_AUTO_TEST_CASE(every_error_is_an_error) {
  static_assert(std::is_base_of_v<std::runtime_error, Error>);
  BOOST_CHECK_THROW(throw ShapeError("shape"), Error);
  BOOST_CHECK_THROW(throw DtypeError("dtype"), Error);
  BOOST_CHECK_THROW(throw TapeError("tape"), Error);
  BOOST_CHECK_THROW(throw DataError("data"), Error);
}
