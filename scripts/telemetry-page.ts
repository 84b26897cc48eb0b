import { readFileSync, writeFileSync } from 'node:fs'
import { metricTable } from '../src/telemetry/metric-table.ts'
import { SCHEMA_URL, TELEMETRY_VERSION, tables } from '../src/telemetry/semconv.ts'

/** Writes the tables of docs/telemetry.md from the names that the code uses: `npm run telemetry-page`. A test keeps them fresh. */
const page = new URL('../docs/telemetry.md', import.meta.url)

const heads: Readonly<Record<keyof typeof tables, readonly [string, string, string]>> = {
  spans: ['span', 'kind', 'what it is'],
  events: ['event', 'of', 'what it says'],
  attributes: ['attribute', 'type', 'what it says'],
  resource: ['resource attribute', 'type', 'what it says'],
}

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
const tableOf = (name: keyof typeof tables): string =>
  [
    line(heads[name]),
    '|---|---|---|',
    ...Object.values(tables[name]).map(([first, second, says]) => line([`\`${first}\``, second, says])),
  ].join('\n')

const metrics = (): string =>
  [
    line(['metric', 'kind', 'unit', 'labels', 'what it says']),
    '|---|---|---|---|---|',
    ...Object.entries(metricTable).map(([name, { kind, unit, labels, says }]) =>
      line([
        `\`${name}\``,
        kind,
        unit === '' ? '' : `\`${unit}\``,
        labels.map((label) => `\`${label}\``).join(', '),
        says.replace(/\.$/, ''),
      ]),
    ),
  ].join('\n')

/** The page with its tables as the code has them now. */
export function written(text = readFileSync(page, 'utf8')): string {
  const names = Object.keys(heads) as (keyof typeof tables)[]
  const version = `Names of version ${TELEMETRY_VERSION}; those of OpenTelemetry follow ${SCHEMA_URL}.`
  const parts = [['version', version], ...names.map((name) => [name, tableOf(name)]), ['metrics', metrics()]] as const
  return parts.reduce((whole, [name, content]) => {
    const place = new RegExp(`(<!-- ${name} -->\n)[^]*?(\n<!-- /${name} -->)`)
    if (!place.test(whole)) throw new Error(`docs/telemetry.md has no place for ${name}`)
    return whole.replace(place, (_, before: string, after: string) => before + content + after)
  }, text)
}

if (import.meta.main) writeFileSync(page, written())
