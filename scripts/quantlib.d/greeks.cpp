// Derivatives of QuantLib's prices by the tape: of a European option beside QuantLib's own formulas, of an option in Heston's model, and of
// swaps on an interpolated and on a bootstrapped curve beside central differences. Status 1 if one is wrong. scripts/quantlib builds it.
#include <autodiff/autodiff.h>
#include <autodiff/interop/quantlib.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <ql/indexes/ibor/euribor.hpp>
#include <ql/instruments/europeanoption.hpp>
#include <ql/instruments/vanillaswap.hpp>
#include <ql/models/equity/hestonmodel.hpp>
#include <ql/pricingengines/swap/discountingswapengine.hpp>
#include <ql/pricingengines/vanilla/analyticeuropeanengine.hpp>
#include <ql/pricingengines/vanilla/analytichestonengine.hpp>
#include <ql/processes/blackscholesprocess.hpp>
#include <ql/processes/hestonprocess.hpp>
#include <ql/quotes/simplequote.hpp>
#include <ql/termstructures/volatility/equityfx/blackconstantvol.hpp>
#include <ql/termstructures/yield/flatforward.hpp>
#include <ql/termstructures/yield/piecewiseyieldcurve.hpp>
#include <ql/termstructures/yield/ratehelpers.hpp>
#include <ql/termstructures/yield/zerocurve.hpp>
#include <ql/time/calendars/target.hpp>
#include <ql/time/daycounters/actual365fixed.hpp>
#include <ql/time/daycounters/thirty360.hpp>
#include <string>
#include <vector>

using namespace QuantLib;
using wengert::Tape;
namespace ext = QuantLib::ext;

namespace {

const Date kToday(15, September, 2015);
bool wrong = false;

/// |tape - other| relative to the larger of 1 and |other|.
double relative_difference(double tape, double other) {
  return std::fabs(tape - other) / std::fmax(1, std::fabs(other));
}

void compare(const char* name, double tape, double other, double tolerance) {
  const double difference = relative_difference(tape, other);
  const bool agrees = difference <= tolerance;  // false for NaN
  std::printf("  %-14s %15.10f %15.10f  %.0e%s\n", name, tape, other, difference,
              agrees ? "" : "  WRONG");
  if (!agrees) wrong = true;
}

Handle<Quote> quote(const Real& x) {
  return Handle<Quote>(ext::make_shared<SimpleQuote>(x));
}
Handle<YieldTermStructure> flat_rate(const Real& rate) {
  return Handle<YieldTermStructure>(
      ext::make_shared<FlatForward>(kToday, quote(rate), Actual365Fixed()));
}
ext::shared_ptr<EuropeanOption> call(const Real& strike) {
  return ext::make_shared<EuropeanOption>(
      ext::make_shared<PlainVanillaPayoff>(Option::Call, strike),
      ext::make_shared<EuropeanExercise>(kToday + 547));
}

// ---- prices as functions of their inputs ----------------------------------------------------------------------------------------------

// [option]
/// Of spot, rate, dividend yield and volatility.
ext::shared_ptr<EuropeanOption> black_scholes_option(const std::vector<Real>& x) {
  const Handle<BlackVolTermStructure> volatility(ext::make_shared<BlackConstantVol>(
      kToday, NullCalendar(), quote(x[3]), Actual365Fixed()));
  const auto process = ext::make_shared<BlackScholesMertonProcess>(
      quote(x[0]), flat_rate(x[2]), flat_rate(x[1]), volatility);
  const auto option = call(105);
  option->setPricingEngine(ext::make_shared<AnalyticEuropeanEngine>(process));
  return option;
}
// [option]

/// Of spot, v0, kappa, theta, sigma and rho.
Real heston_price(const std::vector<Real>& x) {
  const auto process = ext::make_shared<HestonProcess>(
      flat_rate(0.02), flat_rate(0.01), quote(x[0]), x[1], x[2], x[3], x[4], x[5]);
  const auto option = call(105);
  option->setPricingEngine(
      ext::make_shared<AnalyticHestonEngine>(ext::make_shared<HestonModel>(process)));
  return option->NPV();
}

/// Of swaps with a fixed rate of 2% and a notional of 100 that end after 2, 4, ... years, on a curve.
Real swaps_price(const Handle<YieldTermStructure>& curve) {
  const auto index = ext::make_shared<Euribor6M>(curve);
  const auto engine = ext::make_shared<DiscountingSwapEngine>(curve);
  const Calendar calendar = TARGET();
  const Date start = calendar.advance(kToday, 2, Days);
  Real sum = 0;
  for (int years = 2; years <= 20; years += 2) {
    const Date end = start + years * Years;
    const Schedule fixed(start, end, 1 * Years, calendar, ModifiedFollowing,
                         ModifiedFollowing, DateGeneration::Forward, false);
    const Schedule floating(start, end, 6 * Months, calendar, ModifiedFollowing,
                            ModifiedFollowing, DateGeneration::Forward, false);
    VanillaSwap swap(VanillaSwap::Payer, 100, fixed, 0.02,
                     Thirty360(Thirty360::BondBasis), floating, index, 0,
                     index->dayCounter());
    swap.setPricingEngine(engine);
    sum += swap.NPV();
  }
  return sum;
}

/// Of zero rates, one a year.
Real swaps_on_zero_rates(const std::vector<Real>& rates) {
  std::vector<Date> dates;
  for (std::size_t i = 0; i < rates.size(); ++i)
    dates.push_back(kToday + static_cast<int>(i) * Years);
  const auto curve = ext::make_shared<ZeroCurve>(dates, rates, Actual365Fixed());
  curve->enableExtrapolation();
  return swaps_price(Handle<YieldTermStructure>(curve));
}

/// Of quoted rates: a deposit of six months, and swaps that end after 2, 3, ... years.
Real swaps_on_quotes(const std::vector<Real>& quotes) {
  std::vector<ext::shared_ptr<RateHelper>> helpers{ext::make_shared<DepositRateHelper>(
      quote(quotes[0]), ext::make_shared<Euribor6M>())};
  for (std::size_t i = 1; i < quotes.size(); ++i) {
    helpers.push_back(ext::make_shared<SwapRateHelper>(
        quote(quotes[i]), static_cast<int>(i + 1) * Years, TARGET(), Annual,
        ModifiedFollowing, Thirty360(Thirty360::BondBasis),
        ext::make_shared<Euribor6M>()));
  }
  const auto curve = ext::make_shared<PiecewiseYieldCurve<Discount, LogLinear>>(
      kToday, helpers, Actual365Fixed());
  curve->enableExtrapolation();
  return swaps_price(Handle<YieldTermStructure>(curve));
}

// ---- derivatives ----------------------------------------------------------------------------------------------------------------------

using Price = std::function<Real(const std::vector<Real>&)>;

// [gradient]
std::vector<double> gradient(const Price& price, const std::vector<double>& x) {
  Tape tape;
  const std::vector<wengert::Scalar> variables = tape.variables(x);
  std::vector<double> slopes(x.size());
  tape.gradient(price({variables.begin(), variables.end()}), variables, slopes);
  return slopes;
}
// [gradient]

double difference(const Price& price, const std::vector<double>& x, std::size_t i) {
  const double h = 1e-5 * std::fmax(1e-1, std::fabs(x[i]));
  std::vector<Real> up(x.begin(), x.end()), down = up;
  up[i] += h;
  down[i] -= h;
  return value(price(up) - price(down)) / (2 * h);
}

/// The least time of several runs, in seconds.
double least_seconds(const std::function<void()>& f) {
  double least = HUGE_VAL;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    least = std::fmin(
        least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
                   .count());
  }
  return least;
}

void check(const char* name, const Price& price, const std::vector<double>& x,
           double tolerance) {
  const std::vector<double> slopes = gradient(price, x);
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double other = difference(price, x, i),
                 relative = relative_difference(slopes[i], other);
    if (!(relative <= largest)) largest = relative;  // also if it is NaN, which stays
    if (!(relative <= tolerance)) {
      std::printf("  input %zu: %.10g by the tape, %.10g by differences  WRONG\n", i,
                  slopes[i], other);
      wrong = true;
    }
  }
  const std::vector<Real> numbers(x.begin(), x.end());
  const double once = least_seconds([&] { price(numbers); }),
               all = least_seconds([&] { gradient(price, x); });
  std::printf("%-22s %6zu %22.0e %10.2f %10.2f %8.1f\n", name, x.size(), largest,
              1e3 * once, 1e3 * all, all / once);
}

}  // namespace

int main() {
  Settings::instance().evaluationDate() = kToday;

  std::printf("%-16s %15s %15s  difference\n", "European option", "tape", "QuantLib");
  const std::vector<double> x{100, 0.03, 0.01, 0.2};
  const Price price = [](const std::vector<Real>& v) {
    return black_scholes_option(v)->NPV();
  };
  const std::vector<double> slopes = gradient(price, x);
  const auto option = black_scholes_option({x.begin(), x.end()});
  const double tolerance = 1e-10;
  compare("delta", slopes[0], value(option->delta()), tolerance);
  compare("rho", slopes[1], value(option->rho()), tolerance);
  compare("dividend rho", slopes[2], value(option->dividendRho()), tolerance);
  compare("vega", slopes[3], value(option->vega()), tolerance);

  std::printf("\n%-22s %6s %22s %10s %10s %8s\n", "price", "inputs",
              "tape and differences", "price, ms", "with", "ratio");
  std::printf("%-22s %6s %22s %10s %10s\n", "", "", "differ by", "", "gradient");
  check("Heston's model", heston_price, {100, 0.04, 1.5, 0.05, 0.4, -0.6}, 1e-6);
  const std::vector<double> rates{0.001, 0.002, 0.004, 0.006, 0.008, 0.010, 0.012,
                                  0.013, 0.014, 0.015, 0.016, 0.016, 0.017, 0.017,
                                  0.018, 0.018, 0.018, 0.019, 0.019, 0.019, 0.019};
  check("swaps, zero rates", swaps_on_zero_rates, rates, 1e-7);
  check("swaps, quoted rates", swaps_on_quotes, {rates.begin() + 1, rates.end()}, 1e-6);
  return wrong ? 1 : 0;
}
