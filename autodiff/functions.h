// Elementwise functions. One struct is a function's whole story; both lanes, the kernels, reverse and forward mode, all higher
// orders and the generated tests come from it, and adding a function touches this file alone: the struct, and a row in the list below.
//
//   name, latex     how errors, records and documents call it; `latex` with # for the operand (#1 and #2 for two)
//   smooth          where the function is differentiable and finite differences agree: the range of the generated tests
//   reads           which of x and y `chain` looks at, so that a tape keeps no more than that
//   value(x)        y
//   chain(m, x, y)  m dy/dx: carries a cotangent from y to x, or a tangent from x to y, which is the same for a diagonal Jacobian
//   left, right     the same for the two operands of y = value(a, b)
//
// The operands are doubles, floats, dual numbers, SIMD vectors or recorded tensors. So formulas are written with operators, the
// elementary functions and `where(condition, a, b)` (never ?:), and numbers as integers where that is exact: they take x's type.
// `rarely(condition, f, b)` is where(condition, f(), b) for an f that is seldom needed and dear.
//
// Members are forced inline: the scalar lane sees through an expression only when nothing in it is a call.
//
// There is no include guard: the file is included once for each SIMD target, inside the target's namespace. Everybody else includes
// autodiff/math.h.

// ---- one operand -----------------------------------------------------------------------------------------------------------

/// e^x
struct Exp {
  static constexpr const char *name = "exp", *latex = "e^{#}";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return exp(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto&, const auto& y) const { return m * y; }
};
/// Natural logarithm.
struct Log {
  static constexpr const char *name = "log", *latex = R"(\ln #)";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return m / x; }
};
struct Sqrt {
  static constexpr const char *name = "sqrt", *latex = R"(\sqrt{#})";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return sqrt(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto&, const auto& y) const { return m / (2 * y); }
};
struct Square {
  static constexpr const char *name = "square", *latex = "#^2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return x * x; }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return 2 * m * x; }
};
/// |x|; slope 0 at 0.
struct Abs {
  static constexpr const char *name = "abs", *latex = R"(\lvert # \rvert)";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return abs(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return where(x > 0, m, where(x < 0, -m, 0)); }
};
struct Negative {
  static constexpr const char *name = "negative", *latex = "-#";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return -x; }
  WENGERT_INLINE auto chain(const auto& m, const auto&, const auto&) const { return -m; }
};
struct Sin {
  static constexpr const char *name = "sin", *latex = R"(\sin #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return sin(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return m * cos(x); }
};
struct Cos {
  static constexpr const char *name = "cos", *latex = R"(\cos #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return cos(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return -m * sin(x); }
};
/// Hyperbolic tangent. The slope 1 - y^2 loses all digits where y rounds to 1, so there it is 4 e^(-2|x|).
struct Tanh {
  static constexpr const char *name = "tanh", *latex = R"(\tanh #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return tanh(x); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto& y) const {
    return m * rarely(
                   abs(y) > 0.99, [&] { return slope_of_tail(exp(-2 * abs(x))); }, 1 - y * y);
  }
  WENGERT_INLINE static auto slope_of_tail(const auto& e) { return 4 * e / ((1 + e) * (1 + e)); }
};
/// Logistic function 1 / (1 + e^-x). The slope y (1 - y) loses all digits where y rounds to 1, so there it is e^-x y^2.
struct Sigmoid {
  static constexpr const char *name = "sigmoid", *latex = R"(\sigma(#))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return 1 / (1 + exp(-x)); }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto& y) const {
    return m * rarely(
                   y > 0.99, [&] { return exp(-x) * y * y; }, y * (1 - y));
  }
};
/// max(x, 0), NaN for NaN; slope 0 at 0.
struct Relu {
  static constexpr const char *name = "relu", *latex = R"(\max(#, 0))";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= 0, 0, x); }
  WENGERT_INLINE auto chain(const auto& m, const auto&, const auto& y) const { return where(y <= 0, 0, m); }
};
/// 1 where x >= 0, else 0, NaN for NaN: the perceptron's activation. The slope is 0 everywhere, so nothing is learnt through it.
struct Step {
  static constexpr const char *name = "step", *latex = R"(\theta(#))";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return where(x >= 0, 1, where(x < 0, 0, x)); }
  WENGERT_INLINE auto chain(const auto& m, const auto&, const auto&) const { return 0 * m; }
};
/// ln(1 + e^(beta x)) / beta, computed as max(x, 0) + ln(1 + e^-|beta x|) / beta so that nothing overflows.
struct Softplus {
  double beta = 1;
  static constexpr const char *name = "softplus", *latex = R"(\ln(1 + e^{#}))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= 0, 0, x) + log1p(exp(-abs(beta * x))) / beta; }
  WENGERT_INLINE auto chain(const auto& m, const auto& x, const auto&) const { return m / (1 + exp(-beta * x)); }
};

// ---- two operands ----------------------------------------------------------------------------------------------------------

struct Add {
  static constexpr const char *name = "add", *latex = "#1 + #2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::nothing, reads_right = Reads::nothing;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a + b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto&, const auto&) const { return m; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto&, const auto&) const { return m; }
};
struct Subtract {
  static constexpr const char *name = "subtract", *latex = "#1 - #2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::nothing, reads_right = Reads::nothing;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a - b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto&, const auto&) const { return m; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto&, const auto&) const { return -m; }
};
struct Multiply {
  static constexpr const char *name = "multiply", *latex = R"(#1 \cdot #2)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::b, reads_right = Reads::a;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a * b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto& b, const auto&) const { return m * b; }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto&, const auto&) const { return m * a; }
};
/// a / b. Both partials share the one division m / b.
struct Divide {
  static constexpr const char *name = "divide", *latex = R"(\frac{#1}{#2})";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::b, reads_right = Reads::b | Reads::y;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a / b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto& b, const auto&) const { return m / b; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto& b, const auto& y) const { return -(m / b) * y; }
};

// ---- the lists: (struct, name of the function), then for each parameter of a function its name and default ------------------

#ifndef WENGERT_UNARY_FUNCTIONS
#define WENGERT_UNARY_FUNCTIONS(X) \
  X(Exp, exp)                      \
  X(Log, log)                      \
  X(Sqrt, sqrt)                    \
  X(Square, square)                \
  X(Abs, abs)                      \
  X(Negative, negative)            \
  X(Sin, sin)                      \
  X(Cos, cos)                      \
  X(Tanh, tanh)                    \
  X(Sigmoid, sigmoid)              \
  X(Relu, relu)                    \
  X(Step, step)
#define WENGERT_UNARY_FUNCTIONS_1(X) X(Softplus, softplus, beta, 1)
#define WENGERT_ARITHMETIC(X) \
  X(Add, +)                   \
  X(Subtract, -)              \
  X(Multiply, *)              \
  X(Divide, /)
#endif
