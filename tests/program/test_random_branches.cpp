// Random programs with branches, loops and choices, recorded at one input and replayed at others: each lane must have the bits of the
// ordinary run with the same elementary functions, its value must be near that of the C library's, and derivatives of the first three
// orders must be those of forward mode, which shares no code with the library. An argument (test_random_branches -- 100000) says how many
// programs; without it as many as two seconds allow.
#include <autodiff/autodiff.h>

#include <array>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/forward_number.h"
#include "tests/support/straight_number.h"

using namespace wengert;
using wengert::testing::ForwardNumber;
using wengert::testing::straight_run;
using wengert::testing::StraightNumber;

namespace {

constexpr std::size_t kParameters = 2, kData = 2, kInputs = kParameters + kData, kValues = 5, kLanes = 24;

struct Step {
  unsigned which;
  std::size_t i, j, k;
  double c;
};

// Values stay small: no step makes more of them than it was given, up to a factor near 1.
struct RandomProgram {
  std::vector<Step> steps;

  explicit RandomProgram(std::mt19937_64& random) {
    const auto index = [&] { return static_cast<std::size_t>(random() % kValues); };
    steps.resize(4 + random() % 12);
    for (Step& s : steps)
      s = {static_cast<unsigned>(random() % 16), index(), index(), index(), std::uniform_real_distribution(-1.0, 1.0)(random)};
  }

  template <class T> static void step(const Step& s, std::array<T, kValues>& a) {
    using std::cos;
    using std::exp;
    using std::log;
    using std::sin;
    using std::sqrt;
    using std::tanh;
    T &x = a[s.i], y = a[s.j], z = a[s.k];
    switch (s.which) {
      case 0:
        x = y * z + s.c;
        break;
      case 1:
        x = tanh(y - z);
        break;
      case 2:
        x = sin(y * s.c) - cos(z);
        break;
      case 3:
        x = y / (1.5 + z * z);
        break;
      case 4:
        x = sqrt(1.0 + y * y) - log(1.25 + z * z);
        break;
      case 5:
        x = exp(-(y * y)) * z;
        break;
      case 6:
        if (y < s.c) {
          x = y * s.c;
        } else {
          x = z - y * 0.5;
        }
        break;
      case 7:
        if (y * z <= s.c && x > y) x = tanh(x);
        break;
      case 8:
        for (int round = 0; round < 4 && x > s.c; ++round) x = x * 0.5 - 0.1 * y;
        break;
      case 9:
        x = where(y > s.c, tanh(y) * z, sin(z));
        break;
      case 10:  // the side that is not taken has an infinite value or slope
        x = where(y > 0.0, sqrt(y) * z, tanh(y * z));
        x = tanh(x);
        break;
      case 11:
        switch (static_cast<int>(y * 2.0)) {
          case 0:
            x = tanh(z);
            break;
          case 1:
            x = z * s.c;
            break;
          default:
            x = y;
        }
        break;
      case 12:
        x -= tanh(y) * s.c;
        break;
      case 13:
        x = x > y ? x : y;
        break;
      case 14: {
        const T kept = x;
        x = z;
        a[s.j] = kept * s.c;
        break;
      }
      default:
        x = s.c;
    }
  }
  template <class T> T operator()(std::span<const T> inputs) const {
    std::array<T, kValues> a;
    for (std::size_t i = 0; i < kInputs; ++i) a[i] = inputs[i];
    a[kInputs] = 0.5;
    for (const Step& s : steps) {
      step(s, a);
      using std::tanh;
      a[s.i] = tanh(a[s.i]);
    }
    T sum = 0.0;
    for (const T& v : a) sum += v;
    return sum;
  }
};

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b); }
bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); }

// The derivatives of the three orders in one direction.
using Straight = ForwardNumber<StraightNumber>;  // with the functions of programs: some of these programs magnify rounding
using First = ForwardNumber<double>;
using Third = ForwardNumber<ForwardNumber<First>>;
Third third_in(double value, double change) {
  const First x(value, change), change_of_change(change, 0);
  return {ForwardNumber<First>(x, First(change, 0)), ForwardNumber<First>(change_of_change, First())};
}

struct Lanes {
  std::vector<double> parameters;
  std::vector<std::vector<double>> columns;
  std::vector<double> inputs(std::size_t lane) const {
    std::vector<double> inputs = parameters;
    for (const std::vector<double>& column : columns) inputs.push_back(column[lane]);
    return inputs;
  }
};

Lanes random_lanes(std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1.5, 1.5);
  Lanes lanes{std::vector<double>(kParameters), std::vector(kData, std::vector<double>(kLanes))};
  for (double& p : lanes.parameters) p = uniform(random);
  for (std::vector<double>& column : lanes.columns)
    for (double& x : column) x = uniform(random);
  return lanes;
}

// The number of the first lane at which something differs, or kLanes.
std::size_t check_first_order(const RandomProgram& f, const Program& program, const Lanes& lanes) {
  const std::vector<double> values = program.values(lanes.parameters, lanes.columns);
  const std::vector<double> y_bar(kLanes, 1.0);
  std::vector<double> by_data(kData * kLanes), by_parameters(kParameters);
  program.vjp(lanes.parameters, lanes.columns, y_bar, by_data, by_parameters);
  std::array<double, kParameters> expected{};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::vector<double> inputs = lanes.inputs(lane);
    if (!same_bits(values[lane], straight_run(f, inputs)) || !close(values[lane], f(std::span<const double>(inputs)), 1e-12)) return lane;
    for (std::size_t i = 0; i < kInputs; ++i) {
      std::vector<Straight> x(inputs.begin(), inputs.end());
      x[i].d = 1;
      const double slope = f(std::span<const Straight>(x)).d.v;
      if (i < kParameters) {
        expected[i] += slope;
      } else if (!close(by_data[(i - kParameters) * kLanes + lane], slope, 1e-12)) {
        return lane;
      }
    }
  }
  for (std::size_t i = 0; i < kParameters; ++i)
    if (!close(by_parameters[i], expected[i], 1e-12 * kLanes)) return 0;
  return kLanes;
}

// g(x, v), g = f, (x, v) -> v' f'(x), ... one after the other, by all inputs.
std::size_t check_higher_orders(const RandomProgram& f, const Program& program, const Lanes& lanes, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  const std::vector<double> direction{uniform(random), uniform(random), uniform(random), uniform(random)};
  // d/dt of f(x + t v) three times: the direction's numbers are constants.
  const auto along = [&](const Program& g) {
    return record(
        [&](std::span<const Recorded> x) {
          const std::vector<Recorded> slopes = gradient(g, Wrt::inputs).values(x);
          Recorded sum = 0;
          for (std::size_t i = 0; i < kInputs; ++i) sum += slopes[i] * direction[i];
          return sum;
        },
        {.parameters = kParameters, .data = kData}, lanes.inputs(0));
  };
  const Program first = along(program), second = along(first), third = along(second);
  const Program pushed = jvp(first, Wrt::inputs);
  for (std::size_t lane = 0; lane < 4; ++lane) {
    const std::vector<double> inputs = lanes.inputs(lane);
    std::vector<Third> x;
    for (std::size_t i = 0; i < kInputs; ++i) x.push_back(third_in(inputs[i], direction[i]));
    const Third y = f(std::span<const Third>(x));
    if (!close(first(inputs), y.d.v.v, 1e-12) || !close(second(inputs), y.d.d.v, 1e-11) || !close(third(inputs), y.d.d.d, 1e-10))
      return lane;
    std::vector<double> with_tangents{inputs[0], inputs[1], direction[0], direction[1], inputs[2], inputs[3], direction[2], direction[3]};
    if (!close(pushed(with_tangents), y.d.d.v, 1e-11)) return lane;
  }
  return kLanes;
}

long asked_for() {
  const auto& suite = boost::unit_test::framework::master_test_suite();
  return suite.argc > 1 ? std::stol(suite.argv[1]) : 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(random_programs_with_branches) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  const long count = asked_for();
  long programs = 0, paths = 0, higher = 0;
  for (std::uint64_t seed = 1; count > 0 ? programs < count : std::chrono::steady_clock::now() < end; ++seed) {
    std::mt19937_64 random(seed);
    const RandomProgram f(random);
    const Lanes lanes = random_lanes(random);
    const Program program = record(f, {.parameters = kParameters, .data = kData}, lanes.inputs(0));
    const std::size_t lane = check_first_order(f, program, lanes);
    BOOST_TEST(lane == kLanes, "seed " << seed << ": lane " << lane << " differs");
    if (seed % 16 == 0) {
      const std::size_t at = check_higher_orders(f, program, lanes, random);
      BOOST_TEST(at == kLanes, "seed " << seed << ": lane " << at << " differs in a higher order");
      ++higher;
    }
    if (lane != kLanes) break;
    ++programs;
    paths += program.paths();
  }
  BOOST_TEST(programs > 20);
  BOOST_TEST(paths > 2 * programs);
  BOOST_TEST_MESSAGE(programs << " programs, " << paths << " paths, " << higher << " to the third order");
}
