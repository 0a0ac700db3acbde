#include "report/panel.h"

#include <fmt/format.h>

#include <algorithm>

namespace phase0::report {
namespace {

constexpr double kTop = 10;
constexpr double kBottomMargin = 38;
constexpr double kRightMargin = 14;
constexpr double kCharWidth = 6.2;  ///< of the tick labels, about

/// Room for the y axis: its longest tick label and the turned axis label.
double left_margin(const Axis& y) {
  std::size_t longest = 0;
  for (const Tick& tick : y.ticks()) longest = std::max(longest, tick.label.size());
  return 26 + kCharWidth * static_cast<double>(longest);
}

}  // namespace

Panel::Panel(PanelText text, Axis x, Axis y, double height)
    : text_(std::move(text)),
      x_(std::move(x)),
      y_(std::move(y)),
      left_(left_margin(y_)),
      right_(kPanelWidth - kRightMargin),
      top_(kTop),
      bottom_(height - kBottomMargin),
      svg_(text_.id, kPanelWidth, height, text_.heading, text_.description) {
  x_.place(left_, right_);
  y_.place(bottom_, top_);
  draw_y();
  draw_x();
}

Panel::Panel(PanelText text, Axis x, double height, double left)
    : text_(std::move(text)),
      x_(std::move(x)),
      left_(left),
      right_(kPanelWidth - kRightMargin),
      top_(kTop),
      bottom_(height - kBottomMargin),
      svg_(text_.id, kPanelWidth, height, text_.heading, text_.description) {
  x_.place(left_, right_);
  y_.place(bottom_, top_);
  draw_x();
}

void Panel::draw_x() {
  for (const Tick& tick : x_.ticks()) {
    const double at = x_.at(tick.value);
    svg_.line({at, top_}, {at, bottom_}, "grid");
    svg_.text({at, bottom_ + 14}, Anchor::kMiddle, "tick", tick.label);
  }
  svg_.line({left_, bottom_}, {right_, bottom_}, "axis");
  svg_.text({(left_ + right_) / 2, bottom_ + 31}, Anchor::kMiddle, "label", text_.x_label);
}

void Panel::draw_y() {
  for (const Tick& tick : y_.ticks()) {
    const double at = y_.at(tick.value);
    svg_.line({left_, at}, {right_, at}, "grid");
    svg_.text({left_ - 6, at + 3.5}, Anchor::kEnd, "tick", tick.label);
  }
  svg_.vertical_text({11, (top_ + bottom_) / 2}, "label", text_.y_label);
}

void Panel::horizontal(double y, std::string_view css) {
  svg_.line({left_, y_.at(y)}, {right_, y_.at(y)}, css);
}

void Panel::vertical(double x, std::string_view css) {
  svg_.line({x_.at(x), top_}, {x_.at(x), bottom_}, css);
}

void Panel::shade_left(double x, std::string_view css) {
  svg_.rect({left_, top_}, x_.at(x) - left_, bottom_ - top_, css);
}

void Panel::shade_below(double y, std::string_view css) {
  svg_.rect({left_, y_.at(y)}, right_ - left_, bottom_ - y_.at(y), css);
}

std::string Panel::finish() const {
  return fmt::format("<figure class=\"panel\"><figcaption>{}</figcaption>\n{}</figure>\n",
                     escaped(text_.heading), svg_.finish());
}

std::string panel_grid(const std::vector<std::string>& panels) {
  std::string out = "<div class=\"panels\">\n";
  for (const std::string& panel : panels) out += panel;
  return out + "</div>\n";
}

std::string legend(const std::vector<LegendItem>& items) {
  std::string out = "<ul class=\"legend\">";
  for (const LegendItem& item : items) out += fmt::format("<li>{} {}</li>", item.swatch, escaped(item.label));
  return out + "</ul>\n";
}

}  // namespace phase0::report
