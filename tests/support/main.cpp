// The main function of the test programs, compiled once for all of them. A suite has the name of its program.
#include <boost/test/unit_test.hpp>
#include <string>

namespace {

bool name_suite() {
  auto& suite = boost::unit_test::framework::master_test_suite();
  const std::string program = suite.argv[0];
  suite.p_name.value = program.substr(program.rfind('/') + 1);
  return true;
}

}  // namespace

int main(int argc, char* argv[]) { return boost::unit_test::unit_test_main(&name_suite, argc, argv); }
