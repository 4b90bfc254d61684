// A user's own templates under names that this library has too: they must not be passed over silently.
#include <autodiff/autodiff.h>
#include <autodiff/scalar/scalar_derivatives.h>

#include <boost/test/unit_test.hpp>
#include <type_traits>
#include <utility>

namespace user {

struct Mine {};

#define WENGERT_USER_FUNCTION(F, name, ...) \
  template <class T> Mine name(const T&) { return {}; }
WENGERT_OWN_FUNCTIONS(WENGERT_USER_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_USER_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_USER_FUNCTION)
#undef WENGERT_USER_FUNCTION
#define WENGERT_USER_FUNCTION(F, name) \
  template <class A, class B> Mine name(const A&, const B&) { return {}; }
WENGERT_BINARY_OWN_FUNCTIONS(WENGERT_USER_FUNCTION)
#undef WENGERT_USER_FUNCTION
// Helpers of the library's formulas.
template <class T> Mine constant(double, const T&) { return {}; }
template <class F, class T> Mine call(const F&, const T&) { return {}; }
template <class A, class B> Mine where(bool, const A&, const B&) { return {}; }
template <class T> Mine checked(const T&) { return {}; }
template <class T> Mine is_zero(const T&) { return {}; }
template <class T> Mine apply(const T&) { return {}; }
template <class T> Mine gradient(const T&) { return {}; }
template <class T> Mine sum(const T&) { return {}; }

template <class T> constexpr bool kMine = std::is_same_v<T, Mine>;

// Every function, called as generic code calls it.
template <class T> void check(T x, const T y) {
#define WENGERT_USER_FUNCTION(F, name, ...)    \
  static_assert(kMine<decltype(name(x))>);     \
  static_assert(kMine<decltype(name(y))>);     \
  static_assert(kMine<decltype(name(x * y))>); \
  static_assert(kMine<decltype(name(exp(x)))>);
  WENGERT_OWN_FUNCTIONS(WENGERT_USER_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_USER_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_USER_FUNCTION)
#undef WENGERT_USER_FUNCTION
#define WENGERT_USER_FUNCTION(F, name)              \
  static_assert(kMine<decltype(name(x, y))>);       \
  static_assert(kMine<decltype(name(x, x))>);       \
  static_assert(kMine<decltype(name(x * y, 2.0))>); \
  static_assert(kMine<decltype(name(2.0, x))>);
  WENGERT_BINARY_OWN_FUNCTIONS(WENGERT_USER_FUNCTION)
#undef WENGERT_USER_FUNCTION
  static_assert(kMine<decltype(constant(1, x * y))>);
  static_assert(kMine<decltype(call(x, exp(x)))>);
  static_assert(kMine<decltype(where(true, x, x * y))>);
  static_assert(kMine<decltype(checked(exp(x)))>);
  static_assert(kMine<decltype(is_zero(x * y))>);
  static_assert(kMine<decltype(apply(x))>);
  static_assert(kMine<decltype(gradient(x))>);
  static_assert(kMine<decltype(sum(x * y))>);
}

}  // namespace user

// A using-directive: the user's own is found first, in a namespace.
namespace beside {

using namespace wengert;
template <class T> int step(const T&) { return 1; }
static_assert(std::is_same_v<decltype(step(std::declval<Scalar&>())), int>);
static_assert(std::is_same_v<decltype(step(std::declval<Scalar&>() * 2)), int>);

}  // namespace beside

// Beside one that is global, both are found, and the call is ambiguous, which is loud.
using namespace wengert;
template <class T> int softsign(const T&) { return 1; }
template <class T> concept Callable = requires(T x) { softsign(x); };
static_assert(Callable<double> && !Callable<Scalar&> && !Callable<const Scalar&> && !Callable<EagerScalar> && !Callable<Dual<1>>);
static_assert(!Callable<decltype(Scalar() * Scalar())>);

BOOST_AUTO_TEST_CASE(a_users_own_template_is_called) {
  wengert::Tape tape;
  wengert::Scalar x = tape.variable(2);
  user::check(x, x);
  user::check(wengert::EagerScalar(2), wengert::EagerScalar(3));
  user::check(wengert::Dual<2>(2), wengert::Dual<2>(3));
  user::check(wengert::BasicScalar<wengert::Dual<1>>(2), wengert::BasicScalar<wengert::Dual<1>>(3));
  BOOST_TEST(beside::step(x) == 1);
  BOOST_TEST(wengert::Scalar(wengert::step(x)).value() == 1);
}

// With `using std::round`, a number type must round as doubles do: halves away from zero. (Tensors round halves to even, as NumPy does.)
BOOST_AUTO_TEST_CASE(rounding_of_halves) {
  const auto check = []<class T>(T) {
    using std::nearbyint, std::rint, std::round;
    for (const double v : {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 1e300, -3.2}) {
      const T x = v;
      BOOST_TEST(static_cast<double>(T(round(x))) == std::round(v));
      BOOST_TEST(static_cast<double>(T(round(x * 1.0))) == std::round(v));
      BOOST_TEST(static_cast<double>(T(std::round(x))) == std::round(v));
      BOOST_TEST(static_cast<double>(T(rint(x))) == std::rint(v));
      BOOST_TEST(static_cast<double>(T(nearbyint(x))) == std::nearbyint(v));
    }
  };
  check(wengert::Scalar());
  check(wengert::EagerScalar());
  check(wengert::Dual<2>());
  check(wengert::BasicScalar<wengert::Dual<1>>());
  const auto rounded = [](const auto& x) { return round(x[0]); };
  for (const double v : {-2.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, -3.2}) {
    const wengert::Program program = wengert::record(rounded, {.parameters = 1}, {0.25});
    const std::vector<double> x = {v};
    BOOST_TEST(program(std::span<const double>(x)) == std::round(v));
  }
  BOOST_TEST(round(wengert::Tensor::from({0.5, 1.5, 2.5}))(2).value() == 2);
}
