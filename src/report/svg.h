#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phase0::report {

/// `text` for HTML content and attribute values.
std::string escaped(std::string_view text);

struct Point {
  double x = 0;
  double y = 0;
};

enum class Anchor { kStart, kMiddle, kEnd };
enum class Marker { kCircle, kDiamond, kTick, kSquare };

/// An inline SVG element. Lengths are in pixels of its own coordinate system; colours come from the classes
/// of the page's style sheet, so that the drawing follows the light or dark scheme. Tooltips are <title>
/// children.
class Svg {
 public:
  /// `id` is unique in the page; `title` and `description` are read out in place of the drawing.
  Svg(const std::string& id, double width, double height, const std::string& title,
      const std::string& description);

  void line(Point from, Point to, std::string_view css);
  void polyline(const std::vector<Point>& points, std::string_view css);
  void rect(Point corner, double width, double height, std::string_view css, std::string_view tooltip = {});
  void marker(Marker shape, Point at, double radius, std::string_view css, std::string_view tooltip = {});
  void text(Point at, Anchor anchor, std::string_view css, std::string_view text);
  /// Turned by 90 degrees counter-clockwise around `at`, centred.
  void vertical_text(Point at, std::string_view css, std::string_view text);
  /// The finished element.
  std::string finish() const;

 private:
  void close(std::string_view element, std::string_view tooltip);
  std::string out_;
};

/// A mark on its own, for legends. `line`: a stroke behind the marker or instead of it.
std::string swatch(Marker shape, std::string_view css);
std::string line_swatch(std::string_view css);

}  // namespace phase0::report
