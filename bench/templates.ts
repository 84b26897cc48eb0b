/**
 * What the rendering of a prompt takes at most: every filter and every kind of loop over the longest input, and random chains of
 * filters. ms of CPU; nothing else happens in the process meanwhile. Settings: `random=N`, `seed=N`.
 */
import fc from 'fast-check'
import { MOST_INPUT_CHARACTERS } from '../src/core/caller-input.ts'
import { renderTemplate } from '../src/pipelines/template.ts'
import { templateFilters } from '../src/pipelines/template-filters.ts'
import { fixed, judge, machine, printTable, setting } from './figures.ts'

const LIMIT_MS = 200
const random = setting('random', 300)
const seed = setting('seed', 1)

const filled = (unit: string, length = MOST_INPUT_CHARACTERS): string => unit.repeat(Math.floor(length / unit.length))
const inputs = ['a', '&', '<', ' ', '\n', 'é', '😀', 'a,', 'a b', '\u0001', '%41'].map((unit) => filled(unit))
const long = `b${filled('a', MOST_INPUT_CHARACTERS / 2)}`

const once = Object.keys(templateFilters).map((name) => `{{ input | ${name} | size }}`)
const often = Object.keys(templateFilters).map(
  (name) => `{% for i in (1..1000) %}{% assign x = input | ${name} %}{% endfor %}`,
)
const lists = Object.keys(templateFilters).map(
  (name) => `{% assign l = input | split: "a" %}{% for i in (1..1000) %}{% assign x = l | ${name}: "x" %}{% endfor %}`,
)
const loops = [
  '',
  '{{ i }}',
  '{% if i == 5 or i == 7 %}a{% endif %}',
  '{% if vars.none %}a{% endif %}',
  '{% case i %}{% when 1, 2, 3 %}a{% endcase %}',
  '{% for j in (1..10000) %}{% endfor %}',
  '{% capture c %}{{ input }}{% endcapture %}',
  '{% if input contains vars.long %}a{% endif %}',
  '{{ input | replace_last: vars.long, "" | size }}',
  '{{ i | date: "%A", "Asia/Tokyo" }}',
  `{% if ${'i or '.repeat(1000)} i %}a{% endif %}`,
].map((body) => `{% for i in (1..400000) %}${body}{% endfor %}`)

const step = fc
  .array(
    fc.tuple(
      fc.constantFrom(...Object.keys(templateFilters)),
      fc.constantFrom('', ': input', ': "a"', ': vars.long', ': 9'),
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((all) => `{% assign l = l ${all.map(([name, args]) => `| ${name}${args} `).join('')}%}`)
const chains = fc.sample(
  fc.array(step, { minLength: 1, maxLength: 3 }).map((steps) => `{% assign l = input %}${steps.join('')}{{ l }}`),
  { numRuns: random, seed },
)

/** CPU ms of one rendering, and whether it was ended. */
function measure(source: string, input: string): { ms: number; ended: boolean } {
  const before = process.cpuUsage()
  let ended = false
  try {
    renderTemplate(source, { input, vars: { long } })
  } catch (error) {
    ended = (error as { code?: string }).code === 'CAESURA_E_TEMPLATE_LIMIT'
  }
  const { user, system } = process.cpuUsage(before)
  return { ms: (user + system) / 1000, ended }
}

console.log(machine())
measure(once[0]!, 'a')
const rows: string[][] = []
let worst = 0
for (const [name, sources] of Object.entries({
  'one filter': once,
  'a filter in a loop': often,
  'a filter of a list in a loop': lists,
  loops,
  chains,
})) {
  const found = sources.flatMap((source) => inputs.map((input) => ({ source, ...measure(source, input) })))
  const slowest = found.reduce((a, b) => (b.ms > a.ms ? b : a))
  worst = Math.max(worst, slowest.ms)
  rows.push([
    name,
    String(found.length),
    String(found.filter(({ ended }) => ended).length),
    fixed(slowest.ms, 0),
    slowest.source.slice(0, 100),
  ])
}
printTable(['templates', 'renderings', 'ended', 'slowest, ms', 'which'], rows)
judge('the slowest rendering', worst, LIMIT_MS, 'ms')
