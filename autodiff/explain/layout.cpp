#include "autodiff/explain/layout.h"

#include <algorithm>
#include <numeric>

namespace wengert::detail {
namespace {

constexpr double kMargin = 20, kBetweenColumns = 44, kBetweenRows = 22, kWayHeight = 14;
constexpr int kRounds = 12;

// A box, or the place where an edge passes a column between its ends.
struct Item {
  std::size_t column = 0;
  double width = 0, height = 0, y = 0;  // y: of the middle
  std::vector<std::size_t> left, right;
};

class Columns {
 public:
  Columns(const Graph& graph, const std::vector<Placed>& sizes) : graph_(graph) {
    for (const Placed& size : sizes) {
      Item& item = items_.emplace_back();
      item.width = size.width;
      item.height = size.height;
    }
    set_columns();
    add_ways();
    columns_.resize(
        1 + std::max_element(items_.begin(), items_.end(), [](const Item& a, const Item& b) { return a.column < b.column; })->column);
    for (std::size_t i = 0; i < items_.size(); ++i) columns_[items_[i].column].push_back(i);
    for (int round = 0; round < kRounds; ++round) order(round % 2 == 0);
    for (int round = 0; round < kRounds; ++round) align(round % 2 == 0);
  }

  Layout layout() const {
    Layout result;
    double top = items_[0].y - items_[0].height / 2, bottom = top;
    for (const Item& item : items_) {
      top = std::min(top, item.y - item.height / 2);
      bottom = std::max(bottom, item.y + item.height / 2);
    }
    std::vector<double> left(columns_.size()), widths(columns_.size());
    double x = kMargin;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      for (const std::size_t i : columns_[c]) widths[c] = std::max(widths[c], items_[i].width);
      left[c] = x;
      x += widths[c] + kBetweenColumns;
    }
    const auto y_of = [&](std::size_t i) { return items_[i].y - top + kMargin; };
    for (std::size_t b = 0; b < graph_.boxes.size(); ++b) {
      const Item& item = items_[b];
      result.boxes.push_back({left[item.column], y_of(b) - item.height / 2, item.width, item.height});
    }
    for (std::size_t e = 0; e < graph_.edges.size(); ++e) {
      const Placed& from = result.boxes[graph_.edges[e].from];
      std::vector<Point> way{{from.x + from.width, y_of(graph_.edges[e].from)}};
      for (const std::size_t i : ways_[e]) {
        const std::size_t c = items_[i].column;
        way.push_back({left[c], y_of(i)});
        way.push_back({left[c] + widths[c], y_of(i)});
      }
      way.push_back({result.boxes[graph_.edges[e].to].x, y_of(graph_.edges[e].to)});
      result.ways.push_back(std::move(way));
    }
    result.width = x - kBetweenColumns + kMargin;
    result.height = bottom - top + 2 * kMargin;
    return result;
  }

 private:
  void set_columns() {
    for (const Edge& e : sorted_edges()) items_[e.to].column = std::max(items_[e.to].column, items_[e.from].column + 1);
    // An input stands beside what first reads it.
    for (std::size_t b = 0; b < graph_.boxes.size(); ++b) {
      if (graph_.boxes[b].kind != Box::Kind::input) continue;
      std::size_t first = ~std::size_t(0);
      for (const Edge& e : graph_.edges)
        if (e.from == b) first = std::min(first, items_[e.to].column);
      if (first != ~std::size_t(0)) items_[b].column = first - 1;
    }
  }
  // By the box that they lead to: boxes come after what they depend on.
  std::vector<Edge> sorted_edges() const {
    std::vector<Edge> edges = graph_.edges;
    std::stable_sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.to < b.to; });
    return edges;
  }

  void add_ways() {
    for (const Edge& e : graph_.edges) {
      std::vector<std::size_t>& way = ways_.emplace_back();
      std::size_t last = e.from;
      for (std::size_t c = items_[e.from].column + 1; c < items_[e.to].column; ++c) {
        Item& item = items_.emplace_back();
        item.column = c;
        item.height = kWayHeight;
        way.push_back(items_.size() - 1);
        link(last, way.back());
        last = way.back();
      }
      link(last, e.to);
    }
  }
  void link(std::size_t from, std::size_t to) {
    items_[from].right.push_back(to);
    items_[to].left.push_back(from);
  }

  // Sorts each column by the mean place of the neighbours on one side.
  void order(bool forwards) {
    std::vector<double> place(items_.size());
    const auto number = [&](const std::vector<std::size_t>& column) {
      for (std::size_t k = 0; k < column.size(); ++k) place[column[k]] = static_cast<double>(k) / static_cast<double>(column.size());
    };
    for (const auto& column : columns_) number(column);
    for (std::size_t k = 0; k < columns_.size(); ++k) {
      std::vector<std::size_t>& column = columns_[forwards ? k : columns_.size() - 1 - k];
      std::vector<double> mean(items_.size());
      for (const std::size_t i : column) {
        const auto& near = forwards ? items_[i].left : items_[i].right;
        mean[i] = near.empty() ? place[i] : sum_of(near, place) / static_cast<double>(near.size());
      }
      std::stable_sort(column.begin(), column.end(), [&](std::size_t a, std::size_t b) { return mean[a] < mean[b]; });
      number(column);
    }
  }
  static double sum_of(const std::vector<std::size_t>& which, const std::vector<double>& values) {
    return std::accumulate(which.begin(), which.end(), 0.0, [&](double sum, std::size_t i) { return sum + values[i]; });
  }

  // Moves each item towards its neighbours on one side, keeping order and distances.
  void align(bool forwards) {
    for (std::size_t k = 0; k < columns_.size(); ++k) {
      const std::vector<std::size_t>& column = columns_[forwards ? k : columns_.size() - 1 - k];
      std::vector<double> wanted;
      for (const std::size_t i : column) {
        const auto& near = forwards ? items_[i].left : items_[i].right;
        double y = items_[i].y;
        if (!near.empty()) {
          y = 0;
          for (const std::size_t n : near) y += items_[n].y / static_cast<double>(near.size());
        }
        wanted.push_back(y);
      }
      double shift = 0;
      for (std::size_t k2 = 0; k2 < column.size(); ++k2) {
        Item& item = items_[column[k2]];
        item.y = wanted[k2];
        if (k2 > 0) {
          const Item& above = items_[column[k2 - 1]];
          item.y = std::max(item.y, above.y + (above.height + item.height) / 2 + kBetweenRows);
        }
        shift += (item.y - wanted[k2]) / static_cast<double>(column.size());
      }
      for (const std::size_t i : column) items_[i].y -= shift;
    }
  }

  const Graph& graph_;
  std::vector<Item> items_;  // boxes first
  std::vector<std::vector<std::size_t>> columns_, ways_;
};

}  // namespace

Layout layout_of(const Graph& graph, const std::vector<Placed>& sizes) { return Columns(graph, sizes).layout(); }

}  // namespace wengert::detail
