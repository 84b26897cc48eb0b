import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { metricTable, prometheusName } from '../../src/telemetry/metric-table.ts'
import { rootFile } from '../containers/compose-file.ts'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'
import { until } from '../fixtures/until.ts'
import { readQuery } from './promql.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}
interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}

const dashboard = JSON.parse(rootFile('deploy/grafana/dashboards/caesura.json')) as {
  readonly uid: string
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
  readonly panels: readonly Panel[]
}
const { groups } = parse(rootFile('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')

/** What Grafana puts in before it asks. */
const filledIn = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(model|response)/g, '.*')
const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, filledIn(expr)] as const)),
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
]

/** Series that a real process showed, by the name of what they belong to. */
const scraped: Record<'api' | 'pipelines' | 'stages', string> = { api: '', pipelines: '', stages: '' }
const sink = new OtlpSink()
beforeAll(() => sink.up())
const fleet = withFleetProcesses({
  get env() {
    return { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRIC_EXPORT_INTERVAL: '500' }
  },
})

async function started(...args: string[]): Promise<{ url?: string; metrics: string }> {
  const { child, printed } = fleet.start(...args, '--metrics-port', '0', '--json')
  children.push(child)
  let stdout = ''
  child.stdout!.on('data', (text) => {
    stdout += text
  })
  await printed('\n}')
  return JSON.parse(stdout) as { url?: string; metrics: string }
}
const children: ChildProcess[] = []
const textOf = async (url: string) => (await fetch(url)).text()

beforeAll(async () => {
  const script = ['--backend', 'scripted', '--tokens', '40', '--token-ms', '5']
  const [stages, pipelines, api] = await Promise.all([
    started('worker', 'stages', '--node', 'a', '--slots', '2', ...script),
    started('worker', 'pipelines'),
    started('serve', '--port', '0', '--allow-inline'),
  ])
  const run = (...flags: string[]) =>
    fleet.run('run', fleet.pipeline, '--redis', '--input', 'i', '--no-record', ...flags)
  const ended = await Promise.all([run(), run('--interrupt', 'tokens=5:no'), run('--interrupt', 'tokens=5:no')])
  expect(ended.map(({ status }) => status)).toEqual([0, 0, 0])
  await fetch(`${api.url}/v1/nodes`)
  scraped.stages = await until(async () => {
    const text = await textOf(stages.metrics)
    return text.includes('fate="sent"} 1') ? text : undefined
  })
  scraped.pipelines = await textOf(pipelines.metrics)
  // The round trip to Redis that a reading takes is in the next one.
  await textOf(api.metrics)
  scraped.api = await textOf(api.metrics)
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await sink.down()
})

/** The sum over all series of a name that have this in their labels. */
const sum = (text: string, name: string, label = ''): number =>
  text
    .split('\n')
    .filter((line) => new RegExp(`^${name}(\\{| )`).test(line) && line.includes(label))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)

describe('a scrape of a real fleet after two interrupts', () => {
  it('has every call once at the pipeline worker, aborted ones too, and every interrupt with its phases', () => {
    const { pipelines } = scraped
    expect(sum(pipelines, 'gen_ai_workflow_duration_seconds_count')).toBe(3)
    const calls = 'gen_ai_client_operation_duration_seconds_count'
    expect(sum(pipelines, calls)).toBe(6)
    expect(sum(pipelines, calls, 'caesura_settlement="aborted"')).toBe(2)
    expect(sum(pipelines, calls, 'caesura_settlement="failed"')).toBe(0)
    expect(sum(pipelines, 'gen_ai_client_operation_time_to_first_chunk_seconds_count', 'caesura_node="a"')).toBe(6)
    expect(sum(pipelines, 'caesura_interrupts_total', 'caesura_interrupt_fate="handled"')).toBe(2)
    expect(sum(pipelines, 'caesura_interrupt_to_first_token_seconds_count')).toBe(2)
    expect(sum(pipelines, 'caesura_interrupt_phase_seconds_sum')).toBeCloseTo(
      sum(pipelines, 'caesura_interrupt_to_first_token_seconds_sum'),
      6,
    )
    expect(sum(pipelines, 'caesura_tokens_generated_total')).toBeGreaterThan(4 * 40)
    expect(sum(pipelines, 'caesura_slot_held_seconds_total')).toBeGreaterThan(0)
  })

  it('has the calls of its node at the stage worker, and the fleet at the API', () => {
    const { stages, api } = scraped
    expect(sum(stages, 'caesura_worker_calls_total', 'end="completed"')).toBe(4)
    expect(sum(stages, 'caesura_worker_calls_total', 'end="cancelled"')).toBe(2)
    expect(sum(stages, 'caesura_worker_slots', 'node="a"')).toBe(2)
    expect(sum(stages, 'caesura_worker_up')).toBe(1)
    expect(sum(api, 'caesura_workers_up', 'kind="pipelines"')).toBe(1)
    expect(sum(api, 'caesura_workers_up', 'kind="stages"')).toBe(1)
    expect(api).toContain('caesura_queue_waiting{queue="runs"} 0\n')
    expect(api).toContain('caesura_queue_waiting{queue="pool-default"} 0\n')
    expect(api).toContain('caesura_queue_waiting{queue="node-a"} 0\n')
    expect(api).toContain('caesura_runs_live 0\n')
  })

  it('names no run, and gives each metric its type and its help', () => {
    for (const text of Object.values(scraped)) {
      expect(text).not.toMatch(/run_id|call_id|tenant|session/)
      const types = [...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)].map(([, name]) => name)
      expect(new Set(types).size).toBe(types.length)
      for (const name of types) expect(text).toContain(`# HELP ${name} `)
    }
  })

  it('is the same that was pushed, by the names of OpenTelemetry', () => {
    const pushed = new Set(sink.metrics.map(({ name }) => name))
    for (const name of ['gen_ai.client.operation.duration', 'caesura.interrupt.to_first_token', 'caesura.worker.slots'])
      expect(pushed).toContain(name)
    expect(sink.metrics.find(({ name }) => name === 'gen_ai.client.operation.duration')!.kind).toBe(
      'exponentialHistogram',
    )
  })
})

describe('dashboard and alerts', () => {
  it.each(queries)('%s: is PromQL that asks for what is there: %s', (_, expr) => {
    const { metrics, labels } = readQuery(expr)
    const shown = Object.values(scraped).join('\n')
    for (const name of metrics) expect(shown).toMatch(new RegExp(`^${name}(\\{| )`, 'm'))
    const rows = Object.entries(metricTable).filter(([name]) =>
      metrics.some((metric) => metric.replace(/_(bucket|sum|count)$/, '') === prometheusName(name)),
    )
    const known = new Set(rows.flatMap(([, row]) => row.labels.map((label) => label.replaceAll('.', '_'))))
    for (const label of labels) expect(known).toContain(label)
  })

  it('refuses what is no PromQL', () => {
    for (const wrong of ['sum by (le (x)', 'rate(x[5m]', 'x{a=}', ''])
      expect(() => readQuery(wrong)).toThrow('no PromQL')
  })

  it('leave out no metric of interrupts and tokens', () => {
    const asked = new Set(queries.flatMap(([, expr]) => readQuery(expr).metrics))
    const base = new Set([...asked].map((name) => name.replace(/_(bucket|sum|count)$/, '')))
    const left = Object.keys(metricTable).filter((name) => !base.has(prometheusName(name)) && !base.has(name))
    expect(left.filter((name) => name.startsWith('caesura.interrupt') || name.startsWith('caesura.tokens'))).toEqual([])
  })
})

describe('the dashboard', () => {
  it('has its data source as a variable, and panels that do not overlap', () => {
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' })
    for (const { title, targets = [], datasource, description } of panels) {
      expect(datasource?.uid, title).toBe(`\${datasource}`)
      expect(targets.length, title).toBeGreaterThan(0)
      expect(description, title).toMatch(/\.$/)
      for (const target of targets) expect(target.datasource.uid).toBe(`\${datasource}`)
    }
    const taken = new Set<string>()
    for (const { gridPos, title } of dashboard.panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(x, title).toBeLessThan(24)
          expect(taken, title).not.toContain(`${x},${y}`)
          taken.add(`${x},${y}`)
        }
  })
})

describe('the alerts', () => {
  it.each(rules)('$alert waits, has a severity, and says what to do', (rule) => {
    expect(rule.for).toMatch(/^\d+[sm]$/)
    expect(['info', 'warning', 'critical']).toContain(rule.labels.severity)
    // The last sentence is the next step.
    expect(rule.annotations.summary).toMatch(/[.:] [A-Zc].{10,}\.$/s)
    expect(rule.alert).toMatch(/^Caesura[A-Z]/)
  })

  it('have a name each', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })
})
