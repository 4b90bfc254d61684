#include "nn/training/metrics.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autodiff/error.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::ConfusionMatrix;
using wengert::testing::contains;
using wengert::testing::message_of;

BOOST_AUTO_TEST_CASE(accuracy_is_the_share_of_right_rows) {
  const Tensor logits = Tensor::from({{0, 1, 0}, {3, 2, 1}, {-3, -2, -1}, {1, 0, 5}});
  BOOST_TEST(nn::predictions(logits).to_vector<Index>() == (std::vector<Index>{1, 0, 2, 2}), boost::test_tools::per_element());
  BOOST_TEST(nn::accuracy(logits, Tensor::from({1, 0, 2, 0}, int64)) == 0.75);
  BOOST_TEST(nn::accuracy(logits.to(float64), Tensor::from({0, 1, 1, 1}, int64)) == 0);
  BOOST_TEST(std::isnan(nn::accuracy(Tensor::zeros({0, 3}), Tensor::zeros({0}, int64))));
}

BOOST_AUTO_TEST_CASE(accuracy_says_what_does_not_fit) {
  const Tensor logits = Tensor::zeros({4, 3});
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::accuracy(logits, Tensor::zeros({3}, int64)); }), "accuracy: (4, 3)"));
  BOOST_CHECK_THROW(nn::accuracy(logits, Tensor::zeros({4, 1}, int64)), ShapeError);
  BOOST_TEST(contains(message_of<DtypeError>([&] { nn::accuracy(logits, Tensor::zeros({4})); }), "labels.to(int64)"));
}

BOOST_AUTO_TEST_CASE(the_largest_of_one_column_says_nothing) {
  const Tensor output = Tensor::from({{0.9}, {0.2}}), labels = Tensor::from({1, 0}, int64);
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::accuracy(output, labels); }), "accuracy: (2, 1) float32"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::accuracy(output, labels); }), "hint: binary_accuracy(output, labels)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::predictions(output); }), "predictions: (2, 1) float32"));
}

BOOST_AUTO_TEST_CASE(binary_accuracy_compares_with_a_threshold) {
  const Tensor output = Tensor::from({{0.9}, {0.2}, {0.5}, {0.49}}), labels = Tensor::from({{1}, {1}, {1}, {0}});
  BOOST_TEST(nn::binary_accuracy(output, labels) == 0.75);
  BOOST_TEST(nn::binary_accuracy(output, labels.to(int64)) == 0.75);
  BOOST_TEST(nn::binary_accuracy(output, labels >= 1) == 0.75);
  BOOST_TEST(nn::binary_accuracy(reshape(output, {4}).to(float64), reshape(labels, {4})) == 0.75);
  BOOST_TEST(nn::binary_accuracy(output - 0.5, labels, {.threshold = 0}) == 0.75);
  BOOST_TEST(nn::binary_accuracy(Tensor::full({4, 1}, NAN), labels) == 0.25);
  BOOST_TEST(std::isnan(nn::binary_accuracy(Tensor::zeros({0, 1}), Tensor::zeros({0, 1}))));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::binary_accuracy(output, reshape(labels, {4})); }), "both must be (n) or (n, 1)"));
  BOOST_CHECK_THROW(nn::binary_accuracy(Tensor::zeros({4, 2}), Tensor::zeros({4, 2})), ShapeError);
  BOOST_TEST(contains(message_of<ValueError>([&] { nn::binary_accuracy(output, 2 * labels); }), "has 2 at position 0"));
}

BOOST_AUTO_TEST_CASE(confusion_counts_labels_against_predictions) {
  ConfusionMatrix confusion({"cat", "dog", "eel"});
  confusion.add(Tensor::from({0, 1, 1, 0}, int64), Tensor::from({0, 0, 1, 1}, int64));
  confusion.add(Tensor::from({1}, int64), Tensor::from({1}, int64));
  BOOST_TEST(confusion.count(0, 1) == 1);
  BOOST_TEST(confusion.count(1, 1) == 2);
  BOOST_TEST(confusion.total() == 5);
  BOOST_TEST(confusion.accuracy() == 0.6);
  BOOST_TEST(confusion.recall(0) == 0.5);
  BOOST_TEST(confusion.recall(1) == 2.0 / 3);
  BOOST_TEST(confusion.precision(0) == 0.5);
  BOOST_TEST(std::isnan(confusion.recall(2)));
  BOOST_TEST(std::isnan(confusion.precision(2)));
  BOOST_TEST(confusion.to_string() ==
             "true \\ predicted     cat     dog     eel  recall\n"
             "cat                    1       1       0   50.0%\n"
             "dog                    1       2       0   66.7%\n"
             "eel                    0       0       0       -\n"
             "precision          50.0%   66.7%       -   60.0%\n");
}

BOOST_AUTO_TEST_CASE(long_names_are_cut_above_columns_only) {
  ConfusionMatrix confusion({"T-shirt/top", "Größenordnung"});
  confusion.add(Tensor::full({12}, 1, int64), Tensor::full({12}, 1, int64));
  BOOST_TEST(confusion.to_string() ==
             "true \\ predicted  T-shirt/  Größenor    recall\n"
             "T-shirt/top              0         0         -\n"
             "Größenordnung            0        12    100.0%\n"
             "precision                -    100.0%    100.0%\n");
}

BOOST_AUTO_TEST_CASE(classes_without_names_are_numbered) {
  BOOST_TEST(contains(ConfusionMatrix(2).to_string(), "true \\ predicted       0       1  recall\n"));
}

BOOST_AUTO_TEST_CASE(classes_out_of_range_are_refused_and_nothing_is_counted) {
  ConfusionMatrix confusion(2);
  const Tensor good = Tensor::from({0, 1}, int64);
  for (const Tensor& bad : {Tensor::from({0, 2}, int64), Tensor::from({-1, 0}, int64)}) {
    BOOST_CHECK_THROW(confusion.add(good, bad), ShapeError);
    BOOST_CHECK_THROW(confusion.add(bad, good), ShapeError);
  }
  BOOST_CHECK_THROW(confusion.add(good, Tensor::zeros({3}, int64)), ShapeError);
  BOOST_CHECK_THROW(confusion.add(good.to(float32), good), DtypeError);
  BOOST_TEST(confusion.total() == 0);
}

BOOST_AUTO_TEST_CASE(there_are_no_counts_of_classes_out_of_range) {
  const ConfusionMatrix confusion(3);
  for (const Index c : {Index(-1), Index(3), Index(1) << 40}) {
    BOOST_CHECK_THROW(confusion.count(c, 0), ShapeError);
    BOOST_CHECK_THROW(confusion.count(0, c), ShapeError);
    BOOST_CHECK_THROW(confusion.recall(c), ShapeError);
    BOOST_CHECK_THROW(confusion.precision(c), ShapeError);
  }
  BOOST_TEST(contains(message_of<ShapeError>([&] { confusion.count(0, 5); }), "ConfusionMatrix::count: class 5 is not in [0, 3)"));
  BOOST_CHECK_THROW(ConfusionMatrix(-1), ShapeError);
  BOOST_CHECK_THROW(ConfusionMatrix(Index(1) << 40), ShapeError);
}

BOOST_AUTO_TEST_CASE(the_label_among_the_largest) {
  const Tensor logits = Tensor::from({{3, 1, 2, 0}, {0, 5, 5, 1}, {1, 2, 3, 4}});
  const Tensor labels = Tensor::from({2, 2, 0}, int64);
  BOOST_TEST(nn::top_k_accuracy(logits, labels, 1) == 0);
  BOOST_TEST(nn::top_k_accuracy(logits, labels, 2) == 2.0 / 3);  // of equal logits the first one is larger
  BOOST_TEST(nn::top_k_accuracy(logits, labels, 3) == 2.0 / 3);
  BOOST_TEST(nn::top_k_accuracy(logits, labels, 4) == 1);
  BOOST_TEST(nn::top_k_accuracy(logits, Tensor::from({0, 1, 3}, int64), 1) == nn::accuracy(logits, Tensor::from({0, 1, 3}, int64)));
  BOOST_CHECK_THROW(nn::top_k_accuracy(logits, labels, 0), ShapeError);
  BOOST_CHECK_THROW(nn::top_k_accuracy(logits, labels, 5), ShapeError);
  BOOST_CHECK_THROW(nn::top_k_accuracy(logits, Tensor::from({0, 1, 4}, int64), 1), ShapeError);
}

BOOST_AUTO_TEST_CASE(how_much_of_the_variance_is_explained) {
  const Tensor y = Tensor::from({1, 2, 3, 4}, float64);
  BOOST_TEST(nn::r_squared(y, y) == 1);
  BOOST_TEST(nn::r_squared(Tensor::full({4}, 2.5, float64), y) == 0);
  BOOST_TEST(nn::r_squared(Tensor::from({1.5, 2, 3, 4}, float64), y) == 0.95, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(std::isnan(nn::r_squared(Tensor::zeros({1}), Tensor::zeros({1}))));
  BOOST_TEST(nn::r_squared(Tensor::full({3}, 2), Tensor::full({3}, 2)) == 1);
  BOOST_TEST(std::isinf(nn::r_squared(Tensor::full({3}, 1), Tensor::full({3}, 2))));
  BOOST_CHECK_THROW(nn::r_squared(y, reshape(y, {2, 2})), ShapeError);
}
