// Draws docs/performance.svg: node dist/tools/bench/plot.js < bench.json > docs/performance.svg

import { text } from 'node:stream/consumers'

import type { GrowthPoint } from './growth.js'

const [WIDTH, HEIGHT] = [760, 320]
const PLOT = { left: 64, right: 740, top: 40, bottom: 270 }

/** Cost against size, both from zero: a cost that grew could not hide. */
function svgOf(points: readonly GrowthPoint[]): string {
  const most = { entries: Math.max(...points.map(({ entries }) => entries)), us: ceiling(points) }
  const x = (entries: number) => PLOT.left + ((PLOT.right - PLOT.left) * entries) / most.entries
  const y = (us: number) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * us) / most.us
  const line = (pick: (point: GrowthPoint) => number | undefined) =>
    points.flatMap((point) => {
      const us = pick(point)
      return us === undefined ? [] : [`${x(point.entries).toFixed(1)},${y(us).toFixed(1)}`]
    })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${PLOT.left}" y="22" font-size="14">Cost of a mint while the ledger grows, µs</text>
${gridLines(most.us, y)}
${sizes(most.entries, x)}
${polyline(
  line(({ usPerMint }) => usPerMint),
  '#1f6feb',
)}
${polyline(
  line(({ cpuUsPerMint }) => cpuUsPerMint),
  '#bf8700',
)}
<text x="${PLOT.right}" y="${HEIGHT - 10}" text-anchor="end"><tspan fill="#1f6feb">elapsed, at 64 connections</tspan><tspan dx="16" fill="#9a6700">processor time of the broker, all threads</tspan></text>
</svg>
`
}

function ceiling(points: readonly GrowthPoint[]): number {
  const most = Math.max(...points.flatMap(({ usPerMint, cpuUsPerMint = 0 }) => [usPerMint, cpuUsPerMint]))
  return Math.ceil(most / 100) * 100
}

function gridLines(most: number, y: (us: number) => number): string {
  const step = most > 600 ? 200 : 100
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step)
    .map(
      (us) =>
        `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(us)}" y2="${y(us)}" stroke="#d0d7de"/>` +
        `<text x="${PLOT.left - 8}" y="${y(us) + 4}" text-anchor="end" fill="#57606a">${us}</text>`,
    )
    .join('\n')
}

function sizes(most: number, x: (entries: number) => number): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map((share) => Math.round((share * most) / 50_000) * 50_000)
    .map(
      (entries) =>
        `<text x="${x(entries)}" y="${PLOT.bottom + 18}" text-anchor="middle" fill="#57606a">${entries.toLocaleString('en')}</text>`,
    )
    .join('\n')
}

function polyline(points: readonly string[], colour: string): string {
  return points.length === 0
    ? ''
    : `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`
}

const { growth } = JSON.parse(await text(process.stdin)) as { growth?: GrowthPoint[] }
if (growth) {
  process.stdout.write(svgOf(growth))
} else {
  process.stderr.write('plot: the JSON has no growth: give it that of a full run\n')
  process.exitCode = 2
}
