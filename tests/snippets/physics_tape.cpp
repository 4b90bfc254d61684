#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
#include <vector>

// [tape]
namespace own {

// One record: the values that an operation read, by number, and its partial
// derivatives.
struct Record {
  int first = -1, second = -1;
  double by_first = 0, by_second = 0;
};
std::vector<Record> tape;  // record number i made value number i
// [tape]

// [number]
// A number: its value, and its place on the tape.
struct Number {
  double value;
  int place;
};

Number variable(double x) {
  tape.push_back({});
  return {x, static_cast<int>(tape.size()) - 1};
}

Number recorded(double value, Record record) {
  tape.push_back(record);
  return {value, static_cast<int>(tape.size()) - 1};
}
// [number]

// [rules]
Number operator+(Number a, Number b) {
  return recorded(a.value + b.value, {a.place, b.place, 1, 1});
}
Number operator-(double a, Number b) {
  return recorded(a - b.value, {b.place, -1, -1, 0});
}
Number operator*(Number a, Number b) {
  return recorded(a.value * b.value, {a.place, b.place, b.value, a.value});
}
Number operator*(double a, Number b) {
  return recorded(a * b.value, {b.place, -1, a, 0});
}
Number sigmoid(Number a) {
  const double y = 1 / (1 + std::exp(-a.value));
  return recorded(y, {a.place, -1, y * (1 - y), 0});
}
// [rules]

// [sweep]
// The derivatives of y with respect to every value on the tape.
std::vector<double> gradient(Number y) {
  std::vector<double> bar(tape.size(), 0.0);
  bar[y.place] = 1;
  for (int i = y.place; i >= 0; --i) {
    const Record& r = tape[i];
    if (r.first >= 0) bar[r.first] += bar[i] * r.by_first;
    if (r.second >= 0) bar[r.second] += bar[i] * r.by_second;
  }
  return bar;
}
// [sweep]

}  // namespace own

// [test]
int main() {
  // The node of the workshop, by the tape above.
  const own::Number w = own::variable(0.5), b = own::variable(-0.25);
  const own::Number d = 1.0 - sigmoid(2.0 * w + b);
  const own::Number E = 0.5 * (d * d);
  const std::vector<double> bar = own::gradient(E);

  // The same by Wengert.
  using wengert::Scalar;
  wengert::Tape tape;
  const Scalar W = tape.variable(0.5), B = tape.variable(-0.25);
  const Scalar F = 0.5 * wengert::square(1 - wengert::sigmoid(2 * W + B));
  const auto [dW, dB] = tape.gradient(F, W, B);

  std::printf("dE/dw %+.6f, Wengert %+.6f\n", bar[w.place], dW);
  std::printf("dE/db %+.6f, Wengert %+.6f\n", bar[b.place], dB);
  std::printf("%zu records\n", own::tape.size());
}
// [test]
