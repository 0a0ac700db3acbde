#include "report/html.h"

namespace phase0::report {
namespace {

// Colours after Okabe and Ito (2008), which the common kinds of colour blindness can tell apart; train and
// eval differ in shape as well.
constexpr std::string_view kColours = R"css(
:root { color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1c1f23; --soft: #59616b; --rule: #dcdfe3; --grid: #e9ebee;
  --train: #0072b2; --eval: #d55e00; --sum: #007a5a; --limit: #8a5a83; --muted: #9aa1a9;
  --pass: #00674c; --pass-back: #e3f3ed; --fail: #a02c00; --fail-back: #fbeae2; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --card: #1b1f23; --ink: #e7e9ec; --soft: #a3abb5; --rule: #343a41; --grid: #2a2f35;
  --train: #5bb4ee; --eval: #ff9149; --sum: #3fcf9f; --limit: #dba3d2; --muted: #737b85;
  --pass: #5fd6ae; --pass-back: #12352a; --fail: #ffa585; --fail-back: #40200f; } }
@media print { :root { color-scheme: light;
  --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --rule: #bbbbbb; --grid: #e4e4e4;
  --train: #0072b2; --eval: #d55e00; --sum: #007a5a; --limit: #8a5a83; --muted: #888888;
  --pass: #00674c; --pass-back: #ffffff; --fail: #a02c00; --fail-back: #ffffff; } }
)css";

constexpr std::string_view kText = R"css(
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 32px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 4px; text-wrap: balance; }
h2 { font-size: 1.3rem; margin: 52px 0 8px; padding-top: 14px; border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 32px 0 4px; }
p, dd, li { max-width: 75ch; }
p { margin: 8px 0; }
a { color: var(--train); }
code { font-family: ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: 0.92em;
  overflow-wrap: anywhere; }
.soft, .note { color: var(--soft); }
.note { font-size: 0.92rem; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 0; font-size: 0.95rem; }
.banner { margin: 22px 0; padding: 18px 22px; border-radius: 10px; border-left: 8px solid;
  background: var(--card); }
.banner.pass { border-color: var(--pass); background: var(--pass-back); }
.banner.fail { border-color: var(--fail); background: var(--fail-back); }
.banner p { margin: 4px 0 0; }
.word { font-size: 1.5rem; font-weight: 700; letter-spacing: 0.03em; }
.pass .word, .badge.pass { color: var(--pass); }
.fail .word, .badge.fail { color: var(--fail); }
.badge { font-weight: 700; white-space: nowrap; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr));
  gap: 12px; margin: 18px 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { display: block; color: var(--soft); font-size: 0.88rem; line-height: 1.35; }
dl { margin: 8px 0; }
dt { font-weight: 650; margin-top: 12px; }
dd { margin: 2px 0 0; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 24px; }
dl.facts dt { margin: 0; } dl.facts dd { overflow-wrap: anywhere; }
details { margin: 12px 0; }
summary { cursor: pointer; color: var(--train); }
footer { margin-top: 48px; padding-bottom: 40px; color: var(--soft); font-size: 0.9rem; }
)css";

constexpr std::string_view kTables = R"css(
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 10px;
  background: var(--card); margin: 14px 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 10px 14px; color: var(--soft); font-size: 0.9rem; }
th, td { padding: 5px 8px; text-align: right; white-space: nowrap; border-top: 1px solid var(--grid); }
thead th { font-weight: 600; vertical-align: bottom; color: var(--soft); border-top: none; }
thead tr:first-child th { border-top: 1px solid var(--rule); }
thead th[colspan] { text-align: center; border-bottom: 1px solid var(--rule); }
th[scope=row], .left, thead th.left { text-align: left; }
tbody th { font-weight: 600; }
td.wrap { white-space: normal; text-align: left; min-width: 300px; }
td.wrap ul { margin: 0; padding-left: 18px; }
tr.group td, tr.group th { border-top: 1px solid var(--muted); }
td.good { color: var(--pass); font-weight: 700; }
td.good::after { content: " \2713"; }
)css";

constexpr std::string_view kCharts = R"css(
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
  gap: 14px; margin: 12px 0; }
.panel { margin: 0; padding: 12px 12px 6px; background: var(--card);
  border: 1px solid var(--rule); border-radius: 10px;
  display: flex; flex-direction: column; justify-content: space-between; }
.panel figcaption { font-weight: 600; font-size: 0.92rem; margin: 0 0 6px 4px; overflow-wrap: anywhere; }
svg.chart { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); }
svg text.label { font-size: 11.5px; fill: var(--ink); }
svg text.row-name { font-size: 12px; font-weight: 600; fill: var(--ink);
  paint-order: stroke; stroke: var(--card); stroke-width: 5px; stroke-linejoin: round; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 22px; padding: 0;
  margin: 12px 0 0; font-size: 0.9rem; }
.legend li { display: flex; align-items: center; gap: 7px; }
.swatch { flex: none; overflow: visible; }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--muted); stroke-width: 1; }
.unity { stroke: var(--muted); stroke-width: 1.2; }
.threshold { stroke: var(--limit); stroke-width: 1.6; stroke-dasharray: 5 3.5; }
.link { stroke: var(--muted); stroke-width: 2; opacity: 0.6; }
.c-train { fill: var(--train); } .c-eval { fill: var(--eval); } .c-sum { fill: var(--sum); }
.c-muted { fill: var(--muted); }
.l-train, .l-eval, .l-sum { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.l-train { stroke: var(--train); } .l-eval { stroke: var(--eval); } .l-sum { stroke: var(--sum); }
.dot { opacity: 0.6; }
.box { fill: none; stroke: var(--ink); stroke-width: 1.3; }
.whisker { stroke: var(--ink); stroke-width: 1.3; }
.passing { fill: var(--pass); fill-opacity: 0.09; }
.median { stroke: var(--ink); stroke-width: 2.4; }
)css";

constexpr std::string_view kPrint = R"css(
@media (max-width: 620px) { main, header, footer { padding: 0 14px; } header { padding-top: 20px; }
  dl.facts { display: block; } dl.facts dt { margin-top: 8px; } }
@media print { body { font-size: 10.5pt; } nav, details:not([open]) { display: none; }
  h2 { margin-top: 26px; } h2, h3, h3 + p, .legend { break-after: avoid; } .panel, .banner, tr { break-inside: avoid; }
  .panels { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; border: none; }
  table { font-size: 6.6pt; } th, td { padding: 2px 3px; } td.wrap { min-width: 0; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
)css";

}  // namespace

std::string_view html_style() {
  static const std::string all = std::string(kColours) + std::string(kText) + std::string(kTables) +
                                 std::string(kCharts) + std::string(kPrint);
  return all;
}

}  // namespace phase0::report
