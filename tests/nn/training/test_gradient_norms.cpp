#include "nn/training/gradient_norms.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::TemporaryFolder;

namespace {

// h_t = w h_(t-1) + x, and the loss is h_T: the gradient by h_t is w^(T - t).
std::vector<double> norms_of_chain(double w, int steps) {
  Tape tape;
  std::vector<Tensor> states{tape.variable(Tensor::ones({1}, float64))};
  while (states.size() < static_cast<std::size_t>(steps)) states.push_back(w * states.back() + 1);
  return nn::gradient_norms(tape.gradient(sum(states.back()), states));
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_vanish_and_explode) {
  for (const double w : {0.5, 2.0}) {
    const std::vector<double> norms = norms_of_chain(w, 20);
    BOOST_TEST_REQUIRE(norms.size() == 20u);
    for (int t = 1; t <= 20; ++t) BOOST_TEST(norms[static_cast<std::size_t>(t - 1)] == std::pow(w, 20 - t));
  }
  BOOST_TEST((nn::gradient_norms(std::vector<Tensor>{transpose(Tensor::from({{3, 0}, {0, 4}}))}) == std::vector<double>{5}));
}

BOOST_AUTO_TEST_CASE(norms_become_a_figure) {
  const TemporaryFolder folder;
  const std::vector<nn::Column> curves{{"fading", norms_of_chain(0.5, 4)}, {"lost", {0, 0, 1}}};
  nn::plot_gradient_norms(curves, folder.path("norms.png"));
  BOOST_TEST(folder.read("norms.csv") == "time step,fading,lost\n1,0.125,\n2,0.25,\n3,0.5,1\n4,1,\n");
  BOOST_TEST(contains(folder.read("norms.gp"), "set logscale y"));
  BOOST_CHECK_THROW(nn::plot_gradient_norms({}, folder.path("norms.png")), Error);
}
