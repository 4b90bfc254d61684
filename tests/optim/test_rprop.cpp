#include "optim/rprop.h"

#include <boost/test/unit_test.hpp>

#include "tests/support/trajectory.h"

using namespace wengert;

BOOST_AUTO_TEST_CASE(published_factors) {
  const Trajectory expected{.a = {{1.2559522241420984, -0.4911164855053129, -0.04307748685242698, -0.31366401852446346},
                                  {-0.4911164855053129, 1.3423307829317066, 0.48905153659924977, -0.1658909237506935},
                                  {-0.04307748685242698, 0.48905153659924977, 0.8511904233576352, -0.2838439303123773},
                                  {-0.31366401852446346, -0.1658909237506935, -0.2838439303123773, 0.8050911408330483}},
                            .b = {-1.3322831645911484, -1.5085141271610722, -1.6269127299570283, -0.23865285544380352},
                            .p = {{-0.17242544785211128, -0.3203377073792124, 0.06912764471505721, -1.3355855015706948},
                                  {-0.22242544785211127, -0.3703377073792124, 0.019127644715057207, -1.2855855015706947},
                                  {-0.28242544785211127, -0.4303377073792124, -0.04087235528494279, -1.2255855015706947},
                                  {-2.236896522545231, -1.5296955836032124, -1.805876295452622, -2.0660768288948543}}};
  expected.check([](const ParameterList& p) { return optim::Rprop(p, {.lr = 0.05}); });
}

BOOST_AUTO_TEST_CASE(other_factors_and_limits) {
  const Trajectory expected{.a = {{0.5386351850390635, -0.20075329139427317, -0.007189225892411874, 0.18931850922465635},
                                  {-0.20075329139427317, 1.4625915340419247, -0.3222322975714528, -0.20149749915623594},
                                  {-0.007189225892411874, -0.3222322975714528, 0.6874218244837669, -0.27235356444835745},
                                  {0.18931850922465635, -0.20149749915623594, -0.27235356444835745, 1.768043602641637}},
                            .b = {0.8625614082344415, -1.5945277084980125, 0.20437652673020493, -0.6230355903116073},
                            .p = {{-0.515747648403096, 1.3062263463739048, -0.22293808980462756, -1.9512809429546722},
                                  {-0.31574764840309594, 1.1062263463739048, -0.022938089804627554, -1.7512809429546723},
                                  {-0.015747648403095893, 0.8062263463739048, 0.2770619101953725, -1.4512809429546722},
                                  {1.4249523515969043, -1.1087736536260953, -0.49696933980462754, -0.7099059429546725}}};
  expected.check(
      [](const ParameterList& p) { return optim::Rprop(p, {.lr = 0.2, .shrink = 0.3, .grow = 1.5, .min_step = 0.02, .max_step = 0.4}); });
}

BOOST_AUTO_TEST_CASE(ascent_is_descent_of_the_negative) {
  check_ascent([](const ParameterList& p, bool maximize) { return optim::Rprop(p, {.lr = 0.1, .maximize = maximize}); });
}

BOOST_AUTO_TEST_CASE(wrong_options_are_errors) {
  const Parameter p(Tensor::zeros({2}));
  BOOST_CHECK_THROW(optim::Rprop({p}, {.lr = -1}), ValueError);
  BOOST_CHECK_THROW(optim::Rprop({p}, {.shrink = 0}), ValueError);
  BOOST_CHECK_THROW(optim::Rprop({p}, {.shrink = 1}), ValueError);
  BOOST_CHECK_THROW(optim::Rprop({p}, {.grow = 1}), ValueError);
  BOOST_CHECK_THROW(optim::Rprop({p}, {.min_step = -1}), ValueError);
  BOOST_CHECK_THROW(optim::Rprop({p}, {.min_step = 2, .max_step = 1}), ValueError);
}
