#define BOOST_TEST_MODULE nadam
#include "optim/nadam.h"

#include <boost/test/unit_test.hpp>

#include "tests/support/trajectory.h"

using namespace wengert;

BOOST_AUTO_TEST_CASE(published_defaults) {
  const Trajectory expected{.a = {{1.0535134862298126, -0.7429238161166947, 0.7047558547081864, -0.697489631719083},
                                  {-0.7429238161166947, 1.179235269176352, -0.7349982144481042, 0.6633246461609007},
                                  {0.7047558547081864, -0.7349982144481042, 1.9387655647305677, -1.3078037342733146},
                                  {-0.697489631719083, 0.6633246461609007, -1.3078037342733146, 1.462862641616635}},
                            .b = {-0.13489905106725034, -1.0577014221129029, -0.5344901595055613, 0.4361945229964734},
                            .p = {{0.059683151593841556, -0.9282146218622441, -1.6376772844961176, 1.2614490243327536},
                                  {0.11250574005093875, -0.981037210510403, -1.5848546957264762, 1.2086264355975367},
                                  {0.14881475425321133, -1.0185539230231717, -1.5469429150661957, 1.1708313268956068},
                                  {0.29023805118390833, -1.5177289060934869, -0.972014449155368, 0.6187233568917335}}};
  expected.check([](const ParameterList& p) { return optim::NAdam(p, {.lr = 0.05}); });
}

BOOST_AUTO_TEST_CASE(weight_and_momentum_decay) {
  const Trajectory expected{.a = {{0.6164336912359274, 0.3106337501462355, 0.527531053441423, 0.26931610074636425},
                                  {0.3106337501462355, 1.3160697228833032, 0.1792502116397128, 0.6007698699997961},
                                  {0.527531053441423, 0.1792502116397128, 1.4086907348724538, 0.44324008027534956},
                                  {0.26931610074636425, 0.6007698699997961, 0.44324008027534956, 1.687730281269294}},
                            .b = {-0.3741253723667836, 0.6236364610803673, -0.37077344139261714, 1.7005867224370446},
                            .p = {{1.4294419192101102, -0.45710659823853417, -0.20499274880717278, -0.37054132486894986},
                                  {1.397747221114766, -0.42541190011677554, -0.2366874466801943, -0.33884662658546183},
                                  {1.3744492861051598, -0.4023777024046611, -0.2593727358439304, -0.31557281643263363},
                                  {0.9422655070510505, -0.019461089599024504, -0.5804199212137738, 0.10865988942153218}}};
  expected.check([](const ParameterList& p) { return optim::NAdam(p, {.lr = 0.03, .weight_decay = 0.05, .momentum_decay = 0.01}); });
}

BOOST_AUTO_TEST_CASE(ascent_is_descent_of_the_negative) {
  check_ascent([](const ParameterList& p, bool maximize) { return optim::NAdam(p, {.lr = 0.1, .maximize = maximize}); });
}

BOOST_AUTO_TEST_CASE(wrong_options_are_errors) {
  const Parameter p(Tensor::zeros({2}));
  BOOST_CHECK_THROW(optim::NAdam({p}, {.beta1 = 1}), Error);
  BOOST_CHECK_THROW(optim::NAdam({p}, {.beta2 = -0.1}), Error);
  BOOST_CHECK_THROW(optim::NAdam({p}, {.eps = -1}), Error);
  BOOST_CHECK_THROW(optim::NAdam({p}, {.weight_decay = -1}), Error);
  BOOST_CHECK_THROW(optim::NAdam({p}, {.momentum_decay = -1}), Error);
}
