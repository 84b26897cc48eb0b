/**
 * The proof of the statistics of experiments: thousands of simulated experiments whose truth is known. `--experiments N` (2,000 by
 * default), `--seed N` (1), `--json`, `--write` puts the table into docs/validation.md. Exits with 1 if a bound is not kept.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { validationPage } from './validation/page.ts'
import { isKept, study } from './validation/study.ts'
import { type Done, performAll } from './validation/tasks.ts'
import { type UnequalDone, unequalStudy } from './validation/unequal-study.ts'

const { values } = parseArgs({
  options: {
    experiments: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const [experiments, seed] = [Number(values.experiments), Number(values.seed)]
if (!(Number.isInteger(experiments) && experiments > 0 && Number.isInteger(seed))) {
  console.error('--experiments takes a whole number above 0, --seed a whole number')
  process.exit(2)
}
const equal = study({
  experiments,
  seed,
  sizes: { sessions: [20, 150], pairs: [12, 150], cells: [12, 50] },
  powerSizes: { sessions: [25, 50, 100, 200], pairs: [25, 50, 100], cells: [12, 25, 50] },
  looks: 2_000,
})
const unequal = unequalStudy({ experiments: Math.ceil(experiments / 2), seed, units: [12, 60], looks: 2_000 })
const tasks = [...equal.tasks, ...unequal.tasks]
const read = (results: readonly Done[]) => [
  ...equal.read(results.slice(0, equal.tasks.length)),
  ...unequal.read(results.slice(equal.tasks.length) as UnequalDone[]),
]
const started = performance.now()
const results = await performAll(tasks, (done) => {
  const line = `${done} of ${tasks.length}, ${Math.round((performance.now() - started) / 1_000)} s`
  if (process.stderr.isTTY) process.stderr.write(`\r${line}`)
  else if (done % 100 === 0) console.error(line)
})
const rows = read(results)
const missed = rows.filter((row) => !isKept(row))
const page = validationPage(rows, { experiments, seed })
if (values.json) console.log(JSON.stringify({ experiments, seed, rows, missed: missed.length }, null, 2))
else console.log(page)
if (values.write) {
  const file = new URL('../docs/validation.md', import.meta.url)
  const text = readFileSync(file, 'utf8')
  const mark = '<!-- The rest is written by `npm run validate:statistics -- --write`. -->\n'
  writeFileSync(file, `${text.slice(0, text.indexOf(mark) + mark.length)}\n${page}\n`)
}
console.error(
  `\n${rows.length} figures, ${missed.length} outside their bounds, ${Math.round((performance.now() - started) / 1_000)} s`,
)
process.exitCode = missed.length > 0 ? 1 : 0
