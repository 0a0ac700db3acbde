#pragma once

#include <string>
#include <utility>

#include "report/axis.h"
#include "report/svg.h"

namespace phase0::report {

/// Width of every chart in its own coordinates; text is sized for it.
inline constexpr double kPanelWidth = 360;
inline constexpr double kPanelHeight = 236;

/// Of panels with rows: the height of a row that heads others, what stands above and below the rows, and the
/// width of their labels.
inline constexpr double kHeadingRow = 20;
inline constexpr double kRowsFrame = 48;
inline constexpr double kRowsLeft = 52;

struct PanelText {
  std::string id;           ///< unique in the page
  std::string heading;      ///< shown above the chart
  std::string description;  ///< for readers who cannot see it
  std::string x_label;
  std::string y_label;
};

/// One chart: a frame with two axes, to be drawn into, inside a <figure> with its heading.
class Panel {
 public:
  /// Axes with grid, ticks and labels. `y` may be hidden where the rows are labelled by the caller.
  Panel(PanelText text, Axis x, Axis y, double height = kPanelHeight);
  /// Rows instead of a y axis: only x has ticks.
  Panel(PanelText text, Axis x, double height, double left);

  Svg& svg() { return svg_; }
  const Axis& x() const { return x_; }
  const Axis& y() const { return y_; }
  Point at(double x, double y) const { return {x_.at(x), y_.at(y)}; }
  double top() const { return top_; }
  double bottom() const { return bottom_; }
  double left() const { return left_; }
  double right() const { return right_; }

  /// A reference line over the whole frame.
  void horizontal(double y, std::string_view css);
  void vertical(double x, std::string_view css);
  /// A tint from the edge of the frame to a reference line.
  void shade_left(double x, std::string_view css);
  void shade_below(double y, std::string_view css);
  std::string finish() const;

 private:
  void draw_x();
  void draw_y();
  PanelText text_;
  Axis x_, y_;
  double left_, right_, top_, bottom_;
  Svg svg_;
};

/// Panels side by side; empty panels are left out by the caller.
std::string panel_grid(const std::vector<std::string>& panels);

struct LegendItem {
  std::string swatch;
  std::string label;
};
std::string legend(const std::vector<LegendItem>& items);

}  // namespace phase0::report
