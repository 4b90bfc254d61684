// Pictures of a tape: their boxes, edges and frames, modules as one box, and a layout in which no boxes overlap.
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <boost/test/unit_test.hpp>
#include <regex>
#include <string>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

struct Rectangle {
  double x, y, width, height;
};
// The boxes of an SVG picture, without its background.
std::vector<Rectangle> boxes_of(const std::string& svg) {
  static const std::regex box(R"re(<rect x="([-\d.]+)" y="([-\d.]+)" width="([-\d.]+)" height="([-\d.]+)")re");
  std::vector<Rectangle> boxes;
  for (std::sregex_iterator at(svg.begin(), svg.end(), box), end; at != end; ++at)
    boxes.push_back({std::stod((*at)[1]), std::stod((*at)[2]), std::stod((*at)[3]), std::stod((*at)[4])});
  return boxes;
}
void check_that_nothing_overlaps(const std::string& svg) {
  const std::vector<Rectangle> boxes = boxes_of(svg);
  for (std::size_t a = 0; a < boxes.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      BOOST_TEST((boxes[a].x + boxes[a].width <= boxes[b].x || boxes[b].x + boxes[b].width <= boxes[a].x ||
                  boxes[a].y + boxes[a].height <= boxes[b].y || boxes[b].y + boxes[b].height <= boxes[a].y));
}

struct Block : nn::Module {
  nn::Linear inner{4, 4}, outer{4, 4};
  void visit(nn::Visitor& v) override {
    v("inner", inner);
    v("outer", outer);
  }
  Tensor operator()(const Tensor& x) const { return x + outer(relu(inner(x))); }
};
struct Model : nn::Module {
  Block first, second;
  nn::Linear head{4, 2};
  void visit(nn::Visitor& v) override {
    v("first", first);
    v("second", second);
    v("head", head);
  }
  Tensor operator()(const Tensor& x) const { return head(second(first(x))); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_node_as_a_graph) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const double x = 2;
  const Scalar h = w * x + b;
  const Scalar E = h * h;
  BOOST_TEST(to_dot(tape, E) == R"(digraph tape {
  rankdir=LR;
  n0 [shape=box, style=rounded, label="w\nvalue 0.5\ngradient 3"];
  n1 [shape=box, style=rounded, label="x\nvalue 2"];
  n2 [shape=box, label="w * x\nvalue 1\ngradient 1.5"];
  n3 [shape=box, style=rounded, label="b\nvalue -0.25\ngradient 1.5"];
  n4 [shape=box, label="h = w * x + b\nvalue 0.75\ngradient 1.5"];
  n5 [shape=box, label="E = h * h\nvalue 0.5625\ngradient 1"];
  n0 -> n2 [penwidth=5];
  n1 -> n2 [style=dashed];
  n2 -> n4 [penwidth=5];
  n3 -> n4 [penwidth=5];
  n4 -> n5 [penwidth=5];
}
)");
  const std::string svg = to_svg(tape, E);
  BOOST_TEST(boxes_of(svg).size() == 6u);
  BOOST_TEST(count(svg, "<path") == 5u);
  BOOST_TEST(contains(svg, ">h = w * x + b</text>"));
  BOOST_TEST(contains(svg, ">gradient 1.5</text>"));
  check_that_nothing_overlaps(svg);
  BOOST_TEST(tape.gradient(E, w) == 3.0);  // nothing has changed
}

BOOST_AUTO_TEST_CASE(scalars_of_an_ordinary_tape_have_no_values) {
  Tape tape;
  const Scalar w = tape.variable(0.5);
  const Scalar y = exp(w * w) + w;
  const std::string dot = to_dot(tape, y);
  BOOST_TEST(count(dot, "label=") == 2u);
  BOOST_TEST(count(dot, "->") == 1u);
  BOOST_TEST(contains(dot, "a number"));
}

BOOST_AUTO_TEST_CASE(tensors_have_shapes_and_norms) {
  Tape tape({.formulas = true});
  const Tensor x = tape.variable(Tensor::from({3, 4}, float64)), y = x * Tensor::from({1, 0}, float64), loss = sum(y);
  const std::string dot = to_dot(tape, loss);
  BOOST_TEST(contains(dot, "x\\n(2,) float64\\nnorm 5\\ngradient, norm 1"));
  BOOST_TEST(contains(dot, "loss = sum(y)"));
  BOOST_TEST(contains(to_dot(tape, x), "digraph"));  // a variable alone
}

BOOST_AUTO_TEST_CASE(edges_show_where_the_gradient_is_small_or_missing) {
  Tape tape({.formulas = true});
  const Scalar a = tape.variable(1.0), b = tape.variable(1.0), c = tape.variable(-1.0);
  const Scalar y = 1000 * a + 0.001 * b + relu(c);
  const std::string dot = to_dot(tape, y);
  BOOST_TEST(count(dot, "[style=dashed]") == 1u);  // from c
  BOOST_TEST(contains(dot, "penwidth=5"));
  BOOST_TEST(contains(dot, "penwidth=1"));  // six powers of ten below
}

BOOST_AUTO_TEST_CASE(modules_are_frames_or_boxes) {
  const Model model;
  static_cast<void>(model.parameters());
  Tape tape;
  const Tensor loss = mean(model(Tensor::ones({3, 4})));
  const std::string all = to_dot(tape, loss);
  BOOST_TEST(count(all, "subgraph") == 7u);  // first, second, the two layers of each, head
  BOOST_TEST(contains(all, "label=\"inner\""));
  BOOST_TEST(count(all, "label=\"first.inner.weight") == 1u);

  const std::string two_levels = to_dot(tape, loss, {.module_depth = 2});
  BOOST_TEST(contains(two_levels, "[shape=box3d, label=\"first.inner\\n1 operation, 2 parameters\\n(3, 4) float32"));
  BOOST_TEST(count(two_levels, "box3d") == 5u);

  // The two layers and the relu between them are one box; the addition reads no parameter and is not between operations that do.
  const std::string outermost = to_dot(tape, loss, {.module_depth = 1});
  BOOST_TEST(contains(outermost, "label=\"first\\n3 operations, 4 parameters"));
  BOOST_TEST(count(outermost, "box3d") == 3u);
  BOOST_TEST(count(outermost, "[shape=box, label=\"add") + count(outermost, " + ") == 2u);
}

BOOST_AUTO_TEST_CASE(modules_that_depend_on_each_other_are_drawn_in_parts) {
  const Block a, b;
  const Parameter p(Tensor::ones({4, 4}), "a.p"), q(Tensor::ones({4, 4}), "a.q"), r(Tensor::ones({4, 4}), "b.r"),
      s(Tensor::ones({4, 4}), "b.s");
  Tape tape;
  const Tensor x = Tensor::ones({4, 4});
  const Tensor along = matmul(matmul(matmul(x, p), r), q);  // b inside a
  const std::string inside = to_dot(tape, sum(along), {.module_depth = 1});
  BOOST_TEST(count(inside, "box3d") == 1u);
  // p before r, and s before q: a depends on b and b on a, but neither encloses the other.
  const Tensor first = matmul(x, p), second = matmul(x, s);
  const std::string crossed = to_dot(tape, sum(matmul(first, r) + matmul(second, q)), {.module_depth = 1});
  BOOST_TEST(count(crossed, "box3d") == 1u);
}

BOOST_AUTO_TEST_CASE(boxes_of_a_larger_picture_do_not_overlap) {
  const nn::TransformerEncoderLayer layer(8, 2, {.feedforward = 16, .dropout = 0});
  static_cast<void>(layer.parameters());
  Tape tape;
  const Tensor loss = mean(square(layer(Tensor::ones({2, 3, 8}))));
  for (const int depth : {0, 1, 2}) {
    const std::string svg = to_svg(tape, loss, {.module_depth = depth, .max_boxes = 1000});
    BOOST_TEST(boxes_of(svg).size() >= 3u);
    check_that_nothing_overlaps(svg);
  }
}

BOOST_AUTO_TEST_CASE(text_is_escaped) {
  const Parameter p(Tensor::ones({2}), "a<b>&\"c\"");
  Tape tape;
  const Tensor y = sum(p * p);
  BOOST_TEST(contains(to_svg(tape, y), "a&lt;b&gt;&amp;&quot;c&quot;"));
  BOOST_TEST(contains(to_dot(tape, y), R"(a<b>&\"c\")"));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_drawn_is_refused) {
  Tape tape;
  Tensor x = tape.variable(Tensor::ones({2}));
  for (int k = 0; k < 100; ++k) x = x * x;
  BOOST_TEST(testing::message_of<ValueError>([&] { static_cast<void>(to_svg(tape, x)); }) ==
             "to_svg: a picture of 101 boxes, where .max_boxes is 60; hint: draw modules as one box each (.module_depth = 1), or draw what "
             "to_dot writes with Graphviz");
  BOOST_TEST(contains(testing::message_of<TapeError>([&] { static_cast<void>(to_dot(tape, Tensor::ones({2}))); }),
                      "to_dot: the target is not on this tape"));
}
