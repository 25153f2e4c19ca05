/** How the report looks: on a screen, light and dark, on a phone, on paper. @module */

const light = `--page:#fff;--ink:#1c2024;--soft:#5b6570;--line:#d9dee3;--good:#17663a;--bad:#b3261e;--warn:#8a5a00;
--c0:#1f5fbf;--c1:#d1701b;--c2:#2e8b57;--c3:#8e44ad;--c4:#c0392b;--c5:#5d6d7e;--c6:#b8860b;--c7:#138d90;
--c8:#e377c2;--c9:#7a9a01;--c10:#3f2b96;--c11:#8c564b;`;
const dark = `--page:#14171a;--ink:#e6e9ec;--soft:#9aa5b0;--line:#353c43;--good:#63c88c;--bad:#ff8a80;--warn:#e5b567;
--c0:#6ea8ff;--c1:#f0a35e;--c2:#6fcf97;--c3:#c792ea;--c4:#ff8f80;--c5:#a9b7c6;--c6:#e8c15a;--c7:#5fd3d6;
--c8:#f7a8d8;--c9:#c3dc6b;--c10:#a99bff;--c11:#d3a18f;`;

/** A style sheet. Paper is always light. */
export const style = `
:root{${light}color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1200px;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
.chart.wide .legend{font-size:.9rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:0}
p{margin:.4rem 0}.soft,figcaption p{color:var(--soft)}figcaption p{font-size:.85rem;margin:0 0 .25rem}
code{font-size:.9em;overflow-wrap:anywhere}
.verdict{border-left:4px solid var(--good);padding:.5rem .75rem;margin:1rem 0;overflow-wrap:anywhere}
.verdict.failed{border-color:var(--bad)}.verdict.partial{border-color:var(--warn)}
.faults li{color:var(--bad);overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:1.5rem}
figure.chart{margin:0;min-width:0}figure.wide{grid-column:1/-1}
.chart svg{width:100%;height:auto;max-width:640px}.chart.wide .scroll svg{min-width:560px;max-width:none}
.scroll{overflow-x:auto}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;margin:.5rem 0}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px}
table{border-collapse:collapse;font-size:.85rem;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.25rem 0}caption span{font-weight:400;color:var(--soft)}
th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{vertical-align:bottom;white-space:normal;min-width:4.2em}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
tr.baseline td{font-weight:600}td.client{color:var(--bad);font-weight:600}
footer{margin-top:2rem}
@media print{
@page{margin:12mm}
body{font-size:10.5px;max-width:none;padding:0;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.charts{grid-template-columns:1fr 1fr;gap:.75rem}figure,tr,caption{break-inside:avoid}h2{break-after:avoid}
.scroll{overflow:visible}table{font-size:7px}th,td{padding:.1rem .2rem;white-space:normal;min-width:0}.chart.wide .scroll svg{min-width:0}
}
`;
