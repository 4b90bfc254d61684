#include "optim/lion.h"

#include <boost/test/unit_test.hpp>

#include "tests/support/trajectory.h"

using namespace wengert;

BOOST_AUTO_TEST_CASE(published_betas) {
  const Trajectory expected{.a = {{1.487309991157444, -0.0826966041245692, 0.29627274580739305, -0.1496511605814966},
                                  {-0.0826966041245692, 1.475749482048978, 0.13529235211761517, 0.18965177987739915},
                                  {0.29627274580739305, 0.13529235211761517, 0.6978711346011683, -0.3305597244372176},
                                  {-0.1496511605814966, 0.18965177987739915, -0.3305597244372176, 1.040294623421373}},
                            .b = {0.32071110099884825, 2.389112043240686, 0.20296917730996422, -0.14470230816492052},
                            .p = {{1.2327571750289237, 0.1987912481934255, 0.9090310261532091, -0.3655442662325168},
                                  {1.1827571750289236, 0.24879124819342552, 0.859031026153209, -0.3155442662325168},
                                  {1.1327571750289236, 0.2987912481934255, 0.809031026153209, -0.2655442662325168},
                                  {0.23275717502892312, 1.198791248193426, -0.09096897384679122, -0.2655442662325168}}};
  expected.check([](const ParameterList& p) { return optim::Lion(p, {.lr = 0.05}); });
}

BOOST_AUTO_TEST_CASE(other_betas_and_weight_decay) {
  const Trajectory expected{.a = {{1.920945411144717, 0.6520566264825863, -0.5494260722474325, -0.7711234904389374},
                                  {0.6520566264825863, 1.2500295201916864, 0.17843287127879884, 0.32029486098775667},
                                  {-0.5494260722474325, 0.17843287127879884, 0.9529356915980155, 0.45398817513654044},
                                  {-0.7711234904389374, 0.32029486098775667, 0.45398817513654044, 3.2814844354546393}},
                            .b = {1.1906843579031263, -0.3918831118834686, -0.7433523225866803, 0.2683928590759363},
                            .p = {{0.22993294731436603, 0.052800052016504354, -0.8544633523395009, 0.1915935761723131},
                                  {0.32763361784122236, -0.04772794850366069, -0.7459187188161058, 0.28967764041058996},
                                  {0.42435728166281017, -0.1472506690186241, -0.6384595316279448, 0.18678086400648405},
                                  {1.2421294080525063, -1.1896058931778979, -0.19418028789697245, 0.5080706125584624}}};
  expected.check([](const ParameterList& p) { return optim::Lion(p, {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.1}); });
}

BOOST_AUTO_TEST_CASE(a_gradient_of_zero_leaves_the_parameter) {
  const Parameter p(Tensor::from({1, 2}));
  optim::Lion lion({p});
  Gradients gradients;
  gradients.add(Tensor::zeros({2}), p.ref().get());
  lion.step(gradients);
  BOOST_TEST((p.value().to_vector<double>() == std::vector<double>{1, 2}));
}

BOOST_AUTO_TEST_CASE(ascent_is_descent_of_the_negative) {
  check_ascent([](const ParameterList& p, bool maximize) { return optim::Lion(p, {.lr = 0.1, .maximize = maximize}); });
}

BOOST_AUTO_TEST_CASE(wrong_options_are_errors) {
  const Parameter p(Tensor::zeros({2}));
  BOOST_CHECK_THROW(optim::Lion({p}, {.lr = -1}), Error);
  BOOST_CHECK_THROW(optim::Lion({p}, {.beta1 = 1}), Error);
  BOOST_CHECK_THROW(optim::Lion({p}, {.beta2 = -0.1}), Error);
  BOOST_CHECK_THROW(optim::Lion({p}, {.weight_decay = -1}), Error);
}
