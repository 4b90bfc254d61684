// Fits of the nonlinear regression sets of NIST's Statistical Reference Datasets (NIST/ITL StRD,
// https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml): published data, both published starting points, certified parameters, standard
// deviations and sums of squares.
#include "optim/least_squares.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

struct DataSet {
  const char* name;
  Tensor (*model)(const Tensor& b, const Tensor& x);
  std::vector<double> starts[2];
  std::vector<double> certified, deviations;
  double squares;
  std::vector<std::pair<double, double>> data;  // y, x
};

Tensor rise(const Tensor& b, const Tensor& x) { return b[0] * (1 - exp(-b[1] * x)); }

const DataSet kSets[] = {
    {"Misra1a",
     rise,
     {{500, 0.0001}, {250, 0.0005}},
     {2.3894212918E+02, 5.5015643181E-04},
     {2.7070075241E+00, 7.2668688436E-06},
     1.2455138894E-01,
     {{10.07, 77.6},
      {14.73, 114.9},
      {17.94, 141.1},
      {23.93, 190.8},
      {29.61, 239.9},
      {35.18, 289.0},
      {40.02, 332.8},
      {44.82, 378.4},
      {50.76, 434.8},
      {55.05, 477.3},
      {61.01, 536.8},
      {66.40, 593.1},
      {75.47, 689.1},
      {81.78, 760.0}}},
    {"Chwirut2",
     [](const Tensor& b, const Tensor& x) { return exp(-b[0] * x) / (b[1] + b[2] * x); },
     {{0.1, 0.01, 0.02}, {0.15, 0.008, 0.010}},
     {1.6657666537E-01, 5.1653291286E-03, 1.2150007096E-02},
     {3.8303286810E-02, 6.6621605126E-04, 1.5304234767E-03},
     5.1304802941E+02,
     {{92.9000, 0.500}, {57.1000, 1.000}, {31.0500, 1.750}, {11.5875, 3.750}, {8.0250, 5.750},  {63.6000, 0.875}, {21.4000, 2.250},
      {14.2500, 3.250}, {8.4750, 5.250},  {63.8000, 0.750}, {26.8000, 1.750}, {16.4625, 2.750}, {7.1250, 4.750},  {67.3000, 0.625},
      {41.0000, 1.250}, {21.1500, 2.250}, {8.1750, 4.250},  {81.5000, .500},  {13.1200, 3.000}, {59.9000, .750},  {14.6200, 3.000},
      {32.9000, 1.500}, {5.4400, 6.000},  {12.5600, 3.000}, {5.4400, 6.000},  {32.0000, 1.500}, {13.9500, 3.000}, {75.8000, .500},
      {20.0000, 2.000}, {10.4200, 4.000}, {59.5000, .750},  {21.6700, 2.000}, {8.5500, 5.000},  {62.0000, .750},  {20.2000, 2.250},
      {7.7600, 3.750},  {3.7500, 5.750},  {11.8100, 3.000}, {54.7000, .750},  {23.7000, 2.500}, {11.5500, 4.000}, {61.3000, .750},
      {17.7000, 2.500}, {8.7400, 4.000},  {59.2000, .750},  {16.3000, 2.500}, {8.6200, 4.000},  {81.0000, .500},  {4.8700, 6.000},
      {14.6200, 3.000}, {81.7000, .500},  {17.1700, 2.750}, {81.3000, .500},  {28.9000, 1.750}}},
    {"Lanczos3",
     [](const Tensor& b, const Tensor& x) { return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x); },
     {{1.2, 0.3, 5.6, 5.5, 6.5, 7.6}, {0.5, 0.7, 3.6, 4.2, 4, 6.3}},
     {8.6816414977E-02, 9.5498101505E-01, 8.4400777463E-01, 2.9515951832E+00, 1.5825685901E+00, 4.9863565084E+00},
     {1.7197908859E-02, 9.7041624475E-02, 4.1488663282E-02, 1.0766312506E-01, 5.8371576281E-02, 3.4436403035E-02},
     1.6117193594E-08,
     {{2.5134, 0.00}, {2.0443, 0.05}, {1.6684, 0.10}, {1.3664, 0.15}, {1.1232, 0.20}, {0.9269, 0.25}, {0.7679, 0.30}, {0.6389, 0.35},
      {0.5338, 0.40}, {0.4479, 0.45}, {0.3776, 0.50}, {0.3197, 0.55}, {0.2720, 0.60}, {0.2325, 0.65}, {0.1997, 0.70}, {0.1723, 0.75},
      {0.1493, 0.80}, {0.1301, 0.85}, {0.1138, 0.90}, {0.1000, 0.95}, {0.0883, 1.00}, {0.0783, 1.05}, {0.0698, 1.10}, {0.0624, 1.15}}},
    {"DanWood",
     [](const Tensor& b, const Tensor& x) { return b[0] * pow(x, b[1]); },
     {{1, 5}, {0.7, 4}},
     {7.6886226176E-01, 3.8604055871E+00},
     {1.8281973860E-02, 5.1726610913E-02},
     4.3173084083E-03,
     {{2.138, 1.309}, {3.421, 1.471}, {3.597, 1.490}, {4.340, 1.565}, {4.882, 1.611}, {5.660, 1.680}}},
    {"MGH17",
     [](const Tensor& b, const Tensor& x) { return b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4]); },
     {{50, 150, -100, 1, 2}, {0.5, 1.5, -1, 0.01, 0.02}},
     {3.7541005211E-01, 1.9358469127E+00, -1.4646871366E+00, 1.2867534640E-02, 2.2122699662E-02},
     {2.0723153551E-03, 2.2031669222E-01, 2.2175707739E-01, 4.4861358114E-04, 8.9471996575E-04},
     5.4648946975E-05,
     {{0.844, 0},   {0.908, 10},  {0.932, 20},  {0.936, 30},  {0.925, 40},  {0.908, 50},  {0.881, 60},  {0.850, 70},  {0.818, 80},
      {0.784, 90},  {0.751, 100}, {0.718, 110}, {0.685, 120}, {0.658, 130}, {0.628, 140}, {0.603, 150}, {0.580, 160}, {0.558, 170},
      {0.538, 180}, {0.522, 190}, {0.506, 200}, {0.490, 210}, {0.478, 220}, {0.467, 230}, {0.457, 240}, {0.448, 250}, {0.438, 260},
      {0.431, 270}, {0.424, 280}, {0.420, 290}, {0.414, 300}, {0.411, 310}, {0.406, 320}}},
    {"Thurber",
     [](const Tensor& b, const Tensor& x) {
       return (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1 + x * (b[4] + x * (b[5] + x * b[6])));
     },
     {{1000, 1000, 400, 40, 0.7, 0.3, 0.03}, {1300, 1500, 500, 75, 1, 0.4, 0.05}},
     {1.2881396800E+03, 1.4910792535E+03, 5.8323836877E+02, 7.5416644291E+01, 9.6629502864E-01, 3.9797285797E-01, 4.9727297349E-02},
     {4.6647963344E+00, 3.9571156086E+01, 2.8698696102E+01, 5.5675370270E+00, 3.1333340687E-02, 1.4984928198E-02, 6.5842344623E-03},
     5.6427082397E+03,
     {{80.574, -3.067},   {84.248, -2.981},   {87.264, -2.921},   {87.195, -2.912},   {89.076, -2.840},   {89.608, -2.797},
      {89.868, -2.702},   {90.101, -2.699},   {92.405, -2.633},   {95.854, -2.481},   {100.696, -2.363},  {101.060, -2.322},
      {401.672, -1.501},  {390.724, -1.460},  {567.534, -1.274},  {635.316, -1.212},  {733.054, -1.100},  {759.087, -1.046},
      {894.206, -0.915},  {990.785, -0.714},  {1090.109, -0.566}, {1080.914, -0.545}, {1122.643, -0.400}, {1178.351, -0.309},
      {1260.531, -0.109}, {1273.514, -0.103}, {1288.339, 0.010},  {1327.543, 0.119},  {1353.863, 0.377},  {1414.509, 0.790},
      {1425.208, 0.963},  {1421.384, 1.006},  {1442.962, 1.115},  {1464.350, 1.572},  {1468.705, 1.841},  {1447.894, 2.047},
      {1457.628, 2.200}}},
    {"MGH09",
     [](const Tensor& b, const Tensor& x) { return b[0] * (square(x) + x * b[1]) / (square(x) + x * b[2] + b[3]); },
     {{25, 39, 41.5, 39}, {0.25, 0.39, 0.415, 0.39}},
     {1.9280693458E-01, 1.9128232873E-01, 1.2305650693E-01, 1.3606233068E-01},
     {1.1435312227E-02, 1.9633220911E-01, 8.0842031232E-02, 9.0025542308E-02},
     3.0750560385E-04,
     {{0.1957, 4.0},
      {0.1947, 2.0},
      {0.1735, 1.0},
      {0.1600, 0.5},
      {0.0844, 0.25},
      {0.0627, 0.167},
      {0.0456, 0.125},
      {0.0342, 0.1},
      {0.0323, 0.0833},
      {0.0235, 0.0714},
      {0.0246, 0.0625}}},
    {"Rat42",
     [](const Tensor& b, const Tensor& x) { return b[0] / (1 + exp(b[1] - b[2] * x)); },
     {{100, 1, 0.1}, {75, 2.5, 0.07}},
     {7.2462237576E+01, 2.6180768402E+00, 6.7359200066E-02},
     {1.7340283401E+00, 8.8295217536E-02, 3.4465663377E-03},
     8.0565229338E+00,
     {{8.930, 9}, {10.800, 14}, {18.590, 21}, {22.330, 28}, {39.350, 42}, {56.110, 57}, {61.730, 63}, {64.620, 70}, {67.080, 79}}},
    {"Rat43",
     [](const Tensor& b, const Tensor& x) { return b[0] / pow(1 + exp(b[1] - b[2] * x), 1 / b[3]); },
     {{100, 10, 1, 1}, {700, 5, 0.75, 1.3}},
     {6.9964151270E+02, 5.2771253025E+00, 7.5962938329E-01, 1.2792483859E+00},
     {1.6302297817E+01, 2.0828735829E+00, 1.9566123451E-01, 6.8761936385E-01},
     8.7864049080E+03,
     {{16.08, 1},
      {33.83, 2},
      {65.80, 3},
      {97.20, 4},
      {191.55, 5},
      {326.20, 6},
      {386.87, 7},
      {520.53, 8},
      {590.03, 9},
      {651.92, 10},
      {724.93, 11},
      {699.56, 12},
      {689.96, 13},
      {637.56, 14},
      {717.41, 15}}},
    {"Eckerle4",
     [](const Tensor& b, const Tensor& x) { return b[0] / b[1] * exp(-0.5 * square((x - b[2]) / b[1])); },
     {{1, 10, 500}, {1.5, 5, 450}},
     {1.5543827178E+00, 4.0888321754E+00, 4.5154121844E+02},
     {1.5408051163E-02, 4.6803020753E-02, 4.6800518816E-02},
     1.4635887487E-03,
     {{0.0001575, 400.0}, {0.0001699, 405.0}, {0.0002350, 410.0}, {0.0003102, 415.0}, {0.0004917, 420.0}, {0.0008710, 425.0},
      {0.0017418, 430.0}, {0.0046400, 435.0}, {0.0065895, 436.5}, {0.0097302, 438.0}, {0.0149002, 439.5}, {0.0237310, 441.0},
      {0.0401683, 442.5}, {0.0712559, 444.0}, {0.1264458, 445.5}, {0.2073413, 447.0}, {0.2902366, 448.5}, {0.3445623, 450.0},
      {0.3698049, 451.5}, {0.3668534, 453.0}, {0.3106727, 454.5}, {0.2078154, 456.0}, {0.1164354, 457.5}, {0.0616764, 459.0},
      {0.0337200, 460.5}, {0.0194023, 462.0}, {0.0117831, 463.5}, {0.0074357, 465.0}, {0.0022732, 470.0}, {0.0008800, 475.0},
      {0.0004579, 480.0}, {0.0002345, 485.0}, {0.0001586, 490.0}, {0.0001143, 495.0}, {0.0000710, 500.0}}},
    {"BoxBOD",
     rise,
     {{1, 1}, {100, 0.75}},
     {2.1380940889E+02, 5.4723748542E-01},
     {1.2354515176E+01, 1.0455993237E-01},
     1.1680088766E+03,
     {{109, 1}, {149, 2}, {149, 3}, {191, 5}, {213, 7}, {224, 10}}},
};

double digits(double found, double certified) {
  return found == certified ? 16 : -std::log10(std::abs(found - certified) / std::abs(certified));
}

Tensor column(const DataSet& set, bool second) {
  std::vector<double> values;
  for (const auto& [y, x] : set.data) values.push_back(second ? x : y);
  return Tensor::from(values);
}

}  // namespace

BOOST_AUTO_TEST_CASE(nists_certified_values_to_six_digits_from_both_starting_points) {
  for (const DataSet& set : kSets) {
    const Tensor y = column(set, false), x = column(set, true);
    for (const std::vector<double>& start : set.starts) {
      BOOST_TEST_CONTEXT(set.name << " from " << (&start == &set.starts[0] ? "start 1" : "start 2")) {
        const auto fit = optim::fit_least_squares([&](const Tensor& b) { return set.model(b, x) - y; }, Tensor::from(start));
        BOOST_TEST(fit.converged());
        BOOST_TEST_INFO_SCOPE(fit.steps << " steps, " << optim::to_string(fit.stop));
        BOOST_TEST(digits(fit.chi2, set.squares) >= 6);
        BOOST_TEST(fit.degrees_of_freedom == static_cast<Index>(set.data.size() - start.size()));
        const std::vector<double> b = fit.parameters.to_vector<double>(), errors = fit.errors().to_vector<double>();
        for (std::size_t k = 0; k < b.size(); ++k) {
          BOOST_TEST(digits(b[k], set.certified[k]) >= 6);
          BOOST_TEST(digits(errors[k], set.deviations[k]) >= 6);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(residuals_of_scalars_are_fitted_too) {
  const DataSet& set = kSets[0];
  const auto fit = optim::fit_least_squares(
      [&](std::span<const Scalar> b) {
        std::vector<Scalar> r;
        for (const auto& [y, x] : set.data) r.emplace_back(b[0] * (1 - exp(-b[1] * x)) - y);
        return r;
      },
      {500, 0.0001});
  for (std::size_t k = 0; k < 2; ++k) BOOST_TEST(digits(fit.parameters.element(static_cast<Index>(k)), set.certified[k]) >= 6);
  BOOST_TEST(digits(fit.errors().element(1), set.deviations[1]) >= 6);
}

// A straight line has a formula for everything.
BOOST_AUTO_TEST_CASE(a_line_has_the_covariance_of_its_formula) {
  const Tensor x = Tensor::from({0, 1, 2, 3}, float64), y = Tensor::from({1, 3, 2, 5}, float64);
  const auto line = [&](const Tensor& p) { return (p[0] + p[1] * x - y) / 0.5; };  // errors of 0.5 each
  const auto fit = optim::fit_least_squares(line, Tensor::zeros({2}, float64), {.known_errors = true});
  BOOST_TEST(fit.parameters.element(0) == 1.1, boost::test_tools::tolerance(1e-10));
  BOOST_TEST(fit.parameters.element(1) == 1.1, boost::test_tools::tolerance(1e-10));
  const std::vector<double> covariance = fit.covariance.to_vector<double>();  // 0.25 / (4 14 - 36) ((14, -6), (-6, 4))
  const double expected[] = {0.25 * 14 / 20, -0.25 * 6 / 20, -0.25 * 6 / 20, 0.25 * 4 / 20};
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(covariance[i] == expected[i], boost::test_tools::tolerance(1e-10));
  BOOST_TEST(fit.chi2 == (0.01 + 0.64 + 1.69 + 0.36) / 0.25, boost::test_tools::tolerance(1e-10));
  BOOST_TEST(fit.degrees_of_freedom == 2);
  const auto estimated = optim::fit_least_squares(line, Tensor::zeros({2}, float64));
  BOOST_TEST(estimated.covariance.element(0) == fit.covariance.element(0) * fit.chi2 / 2, boost::test_tools::tolerance(1e-10));
}

BOOST_AUTO_TEST_CASE(it_says_why_it_stopped) {
  using Stop = optim::LeastSquaresFit::Stop;
  const auto two = [](const Tensor& p) { return stack({p[0] - 3, 10 * (p[1] - square(p[0]))}); };
  const auto exact = optim::fit_least_squares(two, Tensor::from({1, 1}, float64));
  BOOST_TEST((exact.stop == Stop::exact || exact.stop == Stop::parameters), optim::to_string(exact.stop));
  BOOST_TEST(std::abs(exact.parameters.element(1) - 9) < 1e-9);
  const auto at_minimum = optim::fit_least_squares(
      [](const Tensor& p) {
        return stack({p[0] - 1, p[0] + 1});
      },
      Tensor::zeros({1}, float64));
  BOOST_TEST((at_minimum.stop == Stop::gradient));
  BOOST_TEST(at_minimum.steps == 0);
  const auto cut = optim::fit_least_squares(two, Tensor::from({-5, 1}, float64), {.max_steps = 2});
  BOOST_TEST((cut.stop == Stop::max_steps));
  BOOST_TEST(cut.steps == 2);
  BOOST_TEST(!cut.converged());
  BOOST_TEST(std::string(optim::to_string(cut.stop)) == "the number of steps is used up");
}

BOOST_AUTO_TEST_CASE(parameters_that_the_residuals_do_not_determine_have_infinite_errors) {
  const Tensor y = Tensor::from({1, 2, 3}, float64);
  const auto fit = optim::fit_least_squares([&](const Tensor& p) { return p[0] + p[1] - y; }, Tensor::zeros({2}, float64));
  BOOST_TEST(fit.parameters.element(0) + fit.parameters.element(1) == 2, boost::test_tools::tolerance(1e-10));
  BOOST_TEST(std::isinf(fit.errors().element(0)));
  BOOST_TEST(std::isinf(fit.errors().element(1)));
}

BOOST_AUTO_TEST_CASE(points_that_are_not_finite_are_avoided) {
  const auto fit = optim::fit_least_squares(
      [](const Tensor& p) {
        return stack({log(p[0]) + 5, 0.01 * p[0]});
      },
      Tensor::from({10}, float64));
  BOOST_TEST(fit.converged());
  BOOST_TEST(fit.parameters.element(0) == std::exp(-5.0), boost::test_tools::tolerance(1e-4));
}

BOOST_AUTO_TEST_CASE(the_shape_of_the_parameters_stays_and_a_live_tape_records_nothing) {
  Tape tape;
  const Tensor y = Tensor::from({{1, 2}, {3, 4}}, float64);
  const auto fit = optim::fit_least_squares([&](const Tensor& p) { return 2 * p - y; }, Tensor::zeros({2, 2}, float64));
  BOOST_TEST((fit.parameters.shape() == Shape{2, 2}));
  BOOST_TEST((fit.errors().shape() == Shape{2, 2}));
  BOOST_TEST((fit.covariance.shape() == Shape{4, 4}));
  BOOST_TEST(fit.parameters.element(3) == 2, boost::test_tools::tolerance(1e-10));
  BOOST_TEST(tape.nodes() == 0u);
}

BOOST_AUTO_TEST_CASE(wrong_arguments_are_errors) {
  const Tensor start = Tensor::from({1, 1}, float64);
  const auto good = [](const Tensor& p) { return p - 1; };
  BOOST_CHECK_THROW(optim::fit_least_squares(good, start, {.max_steps = 0}), ValueError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, start, {.tolerance_parameters = -1}), ValueError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, start, {.tolerance_chi2 = -1}), ValueError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, start, {.tolerance_gradient = std::nan("")}), ValueError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, start, {.damping = 0}), ValueError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, Tensor::zeros({0}, float64)), ShapeError);
  BOOST_CHECK_THROW(optim::fit_least_squares(good, Tensor::from({1, 1})), DtypeError);
  BOOST_CHECK_THROW(optim::fit_least_squares([](const Tensor& p) { return p.to(float32); }, start), DtypeError);
  BOOST_TEST(contains(message_of<ShapeError>([&] { optim::fit_least_squares([](const Tensor& p) { return p[0]; }, start); }),
                      "1 residuals do not determine 2 parameters"));
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::fit_least_squares([](const Tensor& p) { return log(-p); }, start); }),
                      "the residuals at the start are not all finite"));
}
