#include "report/svg.h"

#include <fmt/format.h>

#include <cmath>

namespace phase0::report {
namespace {

/// A coordinate with at most one decimal.
std::string px(double value) {
  std::string text = fmt::format("{:.1f}", std::abs(value) < 0.05 ? 0.0 : value);
  if (text.ends_with(".0")) text.erase(text.size() - 2);
  return text;
}

std::string path_of(Marker shape, Point at, double r) {
  switch (shape) {
    case Marker::kDiamond:
      return fmt::format("M{} {}l{} {} {} {} {} {}z", px(at.x), px(at.y - r), px(r), px(r), px(-r), px(r),
                         px(-r), px(-r));
    case Marker::kTick:
      return fmt::format("M{} {}v{}", px(at.x), px(at.y - r), px(2 * r));
    default:
      return fmt::format("M{} {}h{}v{}h{}z", px(at.x - r), px(at.y - r), px(2 * r), px(2 * r), px(-2 * r));
  }
}

constexpr std::string_view kSwatchOpen =
    "<svg class=\"swatch\" viewBox=\"0 0 22 12\" width=\"22\" height=\"12\" aria-hidden=\"true\">";

std::string element_of(Marker shape, Point at, double radius, std::string_view css) {
  if (shape == Marker::kCircle) {
    return fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", css, px(at.x), px(at.y),
                       px(radius));
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"", css, path_of(shape, at, radius));
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Svg::Svg(const std::string& id, double width, double height, const std::string& title,
         const std::string& description)
    : out_(
          fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-t {}-d\">"
                      "<title id=\"{}-t\">{}</title><desc id=\"{}-d\">{}</desc>\n",
                      px(width), px(height), id, id, id, escaped(title), id, escaped(description))) {}

void Svg::line(Point from, Point to, std::string_view css) {
  out_ += fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n", css, px(from.x),
                      px(from.y), px(to.x), px(to.y));
}

void Svg::polyline(const std::vector<Point>& points, std::string_view css) {
  if (points.empty()) return;
  std::string list;
  for (const Point& p : points) list += (list.empty() ? "" : " ") + px(p.x) + "," + px(p.y);
  out_ += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", css, list);
}

void Svg::rect(Point corner, double width, double height, std::string_view css, std::string_view tooltip) {
  out_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", css, px(corner.x),
                      px(corner.y), px(width), px(height));
  close("rect", tooltip);
}

void Svg::marker(Marker shape, Point at, double radius, std::string_view css, std::string_view tooltip) {
  out_ += element_of(shape, at, radius, css);
  close(shape == Marker::kCircle ? "circle" : "path", tooltip);
}

void Svg::text(Point at, Anchor anchor, std::string_view css, std::string_view text) {
  const char* name = anchor == Anchor::kStart ? "start" : anchor == Anchor::kMiddle ? "middle" : "end";
  out_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n", css, px(at.x),
                      px(at.y), name, escaped(text));
}

void Svg::vertical_text(Point at, std::string_view css, std::string_view text) {
  out_ += fmt::format(
      "<text class=\"{}\" transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n", css,
      px(at.x), px(at.y), escaped(text));
}

std::string Svg::finish() const {
  return out_ + "</svg>\n";
}

void Svg::close(std::string_view element, std::string_view tooltip) {
  out_ += tooltip.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", escaped(tooltip), element);
}

std::string swatch(Marker shape, std::string_view css) {
  return std::string(kSwatchOpen) + element_of(shape, {11, 6}, 4.5, css) + "/></svg>";
}

std::string line_swatch(std::string_view css) {
  return fmt::format("{}<line class=\"{}\" x1=\"0\" y1=\"6\" x2=\"22\" y2=\"6\"/></svg>", kSwatchOpen, css);
}

}  // namespace phase0::report
