"""The style sheet of the report: one accent colour, kept for the tuned arms; light and dark by the reader's choice.

`STYLE` stands in the page itself. The plots use the same variables, so that they follow the theme.
"""

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  --paper: #ffffff; --panel: #f6f7f9; --ink: #14171c; --muted: #646c78; --line: #e3e6ea; --bar: #b4bcc8;
  --accent: #0b7a6f; --bad: #b3372f; --warn: #fff6e0; --warn-line: #e2b340;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0f1216; --panel: #171b21; --ink: #e9ecf0; --muted: #98a2ae; --line: #2a3039; --bar: #566172;
    --accent: #3ccfbd; --bad: #f08a80; --warn: #2a2413; --warn-line: #a98526;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 var(--sans); font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; padding: 56px 32px 96px; }
section { margin-top: 64px; }

.eyebrow { margin: 0 0 12px; color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .04em; }
h1 {
  margin: 0 0 20px; max-width: 32em; font-size: clamp(24px, 3.2vw, 34px); line-height: 1.22;
  letter-spacing: -.018em; font-weight: 650; text-wrap: balance;
}
h2 { margin: 0 0 6px; font-size: 20px; letter-spacing: -.01em; }
.lead { margin: 0 0 18px; max-width: 46em; color: var(--muted); font-size: 15px; }
.notice {
  margin: 0 0 10px; padding: 12px 16px; max-width: 52em; font-size: 15px;
  background: var(--warn); border-left: 3px solid var(--warn-line); border-radius: 0 6px 6px 0;
}
.facts { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 24px 0 0; }
.facts dt { color: var(--muted); font-size: 12.5px; }
.facts dd { margin: 0; font-size: 14.5px; }

.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(168px, 1fr)); gap: 1px;
  margin-top: 40px; border: 1px solid var(--line); border-radius: 12px; overflow: hidden;
}
.tile { padding: 20px 22px 18px; box-shadow: 0 0 0 1px var(--line); }
.tile b {
  display: block; font-size: 29px; line-height: 1.15; letter-spacing: -.02em; font-weight: 620; color: var(--accent);
}
.tile span { display: block; margin-top: 4px; font-size: 14.5px; }
.tile small { display: block; margin-top: 2px; color: var(--muted); font-size: 12.5px; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; white-space: nowrap; }
th, td {
  padding: 9px 10px; text-align: right; vertical-align: top; font-weight: 400; border-bottom: 1px solid var(--line);
}
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--muted); font-size: 12.5px; vertical-align: bottom; }
tbody th { font-weight: 500; }
.groups th { padding-bottom: 0; border: 0; color: var(--ink); font-weight: 600; }
td small { display: block; color: var(--muted); font-size: 11.5px; font-weight: 400; line-height: 1.3; }
td.sure { color: var(--accent); font-weight: 600; }
tr.tuned th, tr.tuned td:nth-child(2) { color: var(--accent); font-weight: 650; }

.plots {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 36px 40px;
  margin-top: 18px;
}
figure { margin: 0; }
figcaption { margin-bottom: 8px; color: var(--muted); font-size: 13.5px; }
figcaption b { margin-right: 6px; color: var(--ink); font-size: 15px; }
svg { display: block; width: 100%; height: auto; }

article { margin-top: 16px; padding: 20px 22px 14px; background: var(--panel); border-radius: 12px; }
.request { margin: 0 0 14px; font-size: 16.5px; font-weight: 550; white-space: pre-wrap; overflow-wrap: anywhere; }
.id { margin: 12px 0 0; color: var(--muted); font-size: 12px; }
.answers { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 14px 22px; }
.answer h3 { margin: 0 0 3px; color: var(--muted); font-size: 12.5px; font-weight: 600; }
.answer.gold h3 { color: var(--ink); }
.answer.tuned h3, .answer.right i { color: var(--accent); }
.answer.wrong i { color: var(--bad); }
.answer i { margin-left: 6px; font-style: normal; }
.answer pre { margin: 0; font: 12.5px/1.5 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; }
.answer.right pre { color: var(--muted); }

.terms {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 16px 40px; margin: 12px 0 0;
}
.terms dt { font-size: 14px; font-weight: 600; }
.terms dd { margin: 0; color: var(--muted); font-size: 14px; }

@media (max-width: 640px) { main { padding: 32px 18px 64px; } section { margin-top: 48px; } }
@media print { main { max-width: none; padding: 0; } article, figure, table { break-inside: avoid; } }
"""
