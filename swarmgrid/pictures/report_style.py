"""The style of the report's page: light and dark, from a phone's width up; nothing is loaded."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d2126;--soft:#697079;\
--line:#e3e4e1;--blank:#f0f0ed;--good:#267aba;--bad:#c2410c;--stripe:#b9d3e6}
@media(prefers-color-scheme:dark){:root{--ground:#14171a;--card:#1b1f23;--ink:#dfe3e6;\
--soft:#939ba3;--line:#2d3338;--blank:#262b30;--good:#5aa7dc;--bad:#f08a4b;--stripe:#2f5270}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);\
font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:30px}
h1{font-size:24px;font-weight:600;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:16px;font-weight:600;margin:0;overflow-wrap:anywhere}
h2 code{font-weight:400;color:var(--soft);margin-left:.5em}
p{margin:2px 0}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:2px}
code,pre{font:12px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
code,td,b,span,p,summary,h1,h2{unicode-bidi:isolate}
pre{margin:6px 0;padding:8px 10px;background:var(--blank);border-radius:5px;overflow-x:auto;\
max-height:420px}
.sub,.note,.facts,footer{color:var(--soft)}
.sub code{overflow-wrap:anywhere}
.sums{display:flex;flex-wrap:wrap;gap:6px 34px;margin:18px 0 0;padding:0}
.sums div{display:flex;flex-direction:column-reverse}
.sums dt{color:var(--soft);font-size:12px}
.sums dd{margin:0;font-size:19px;font-variant-numeric:tabular-nums}
.sums .bad dd,.bad{color:var(--bad)}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;\
padding:14px 18px;margin:16px 0}
section.card{content-visibility:auto;contain-intrinsic-size:auto 560px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:3px 18px 3px 0;font-weight:400}
th{color:var(--soft);font-size:12px;white-space:nowrap}
tbody tr{border-top:1px solid var(--line)}
td.r,th.r{text-align:right;white-space:nowrap}
.grids table{min-width:960px}.grids td{overflow-wrap:break-word;max-width:280px}
.grids td:nth-child(-n+2),.grids td:nth-child(5),.grids td.r+td{white-space:nowrap}
.names th{width:1%;padding-right:24px}
.bar{display:inline-flex;width:110px;height:7px;border-radius:4px;overflow:hidden;\
background:var(--blank);vertical-align:middle;margin-right:8px}
.bar i{background:var(--good)}.bar i.bad{background:var(--bad)}
section .bar{width:100%;height:5px;margin:8px 0 2px}
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:4px 28px;margin-top:10px}
figure{margin:8px 0;min-width:0}
figure.wide{grid-column:1/-1}
figcaption{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;font-size:12px;\
color:var(--soft);margin-bottom:5px}
figcaption b{font-size:13px;font-weight:600;color:var(--ink)}
figcaption i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:4px}
figcaption i.ramp{width:90px;margin:0 6px}
figcaption i.blank{background:var(--blank);box-shadow:inset 0 0 0 1px var(--line)}
.facets{display:grid;gap:8px 16px;grid-template-columns:minmax(0,1fr)}
.facets.two{grid-template-columns:repeat(2,minmax(0,1fr))}
.facets.three{grid-template-columns:repeat(3,minmax(0,1fr))}
.facet{font-size:12px;color:var(--soft);overflow-wrap:anywhere}
.frame{display:grid;grid-template-columns:16px minmax(0,1fr);gap:2px 6px}
.frame.listed{grid-template-columns:fit-content(34%) minmax(0,1fr)}
.rows{display:flex;flex-direction:column;font-size:11px;color:var(--soft);min-width:0}
.rows span{flex:1 1 0;display:flex;align-items:center;overflow:hidden;white-space:nowrap}
.frame.bare{grid-template-columns:minmax(0,1fr)}
.frame .xaxis{grid-column:-2/-1}
.xaxis{display:flex;justify-content:space-between;gap:10px;font-size:11px;color:var(--soft)}
.yaxis{display:flex;justify-content:space-between;gap:6px;font-size:11px;color:var(--soft);\
writing-mode:vertical-rl;transform:rotate(180deg);line-height:16px;min-height:0;overflow:hidden}
.xaxis span,.yaxis span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.yaxis span{max-height:45%}
.map{display:block;width:100%;image-rendering:pixelated;background:var(--blank);\
border-radius:2px}
.map.held,figcaption i.held{background:repeating-linear-gradient(135deg,var(--blank) 0 4px,\
var(--stripe) 4px 6px)}
.note{font-size:12px;margin-top:3px}
.lanes{display:grid;grid-template-columns:minmax(60px,max-content) minmax(0,1fr) max-content;\
gap:4px 12px;align-items:center;font-size:12px}
.lanes .who{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--soft);\
max-width:230px}
.lanes .n{color:var(--soft);white-space:nowrap}
.lanes svg{display:block;width:100%;background:var(--blank);border-radius:2px}
.lanes svg.none{background:none}
.cut{stroke:var(--card);stroke-width:9}
details{border-top:1px solid var(--line);margin-top:8px;padding-top:6px}
details details{border:none;margin:0;padding:0}
summary{cursor:pointer;color:var(--soft)}
summary b{color:var(--ink);font-weight:600}
footer{padding:10px 20px 40px;font-size:12px}
@media(max-width:640px){main,header,footer{padding-left:12px;padding-right:12px}
.card{padding:12px}.figures{grid-template-columns:minmax(0,1fr)}
.lanes{grid-template-columns:minmax(0,1fr) max-content}.lanes .who{max-width:none}
.lanes svg{grid-column:1/-1;grid-row:auto}.lanes .xaxis{grid-column:1/-1}
.lanes{grid-auto-flow:row dense}.facets.three{grid-template-columns:repeat(2,minmax(0,1fr))}
th,td{padding-right:12px}}
@media print{body{background:none}section.card{content-visibility:visible}
.card{break-inside:avoid;border-color:#ccc}}
"""
