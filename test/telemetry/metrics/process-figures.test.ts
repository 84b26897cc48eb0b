import { describe, expect, it } from 'vitest'
import { MOST_SERIES, metricTable, prometheusName } from '../../../src/telemetry/metric-table.ts'
import { ownMeters, processFigures } from '../../../src/telemetry/metrics/process-figures.ts'
import { interruptedRun } from '../../records.ts'
import { spanSettings } from '../sent.ts'

const open = () => processFigures((readers) => ownMeters(spanSettings.resources.own, readers), { isScraped: true })
const linesOf = (text: string, name: string) =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

describe('a scrape', () => {
  it('names seconds and totals as Prometheus does, with the buckets that are documented', async () => {
    const figures = open()
    figures.runEnded(interruptedRun)
    const text = await figures.text()
    const buckets = linesOf(text, 'gen_ai_client_operation_duration_seconds_bucket')
      .filter((line) => line.includes('settlement="aborted"'))
      .map((line) => /le="([^"]+)"\} (\d+)$/.exec(line)!.slice(1))
    expect(buckets.map(([le]) => le)).toEqual(
      '0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92 +Inf'.split(' '),
    )
    expect(buckets.map(([, count]) => Number(count)).slice(0, 4)).toEqual([0, 0, 0, 1])
    expect(linesOf(text, 'caesura_tokens_wasted_total')).toContain(
      'caesura_tokens_wasted_total{gen_ai_request_model="caesura-demo-3m",caesura_settlement="aborted"} 12',
    )
    expect(linesOf(text, 'caesura_interrupt_to_first_token_seconds_sum')).toEqual([
      'caesura_interrupt_to_first_token_seconds_sum{caesura_response="abort",caesura_decision="abort",gen_ai_request_model="caesura-demo-3m"} 0.1',
    ])
    expect(text).toContain('# TYPE caesura_slot_wasted_seconds_total counter\n')
    expect(text).not.toMatch(/# UNIT|otel_scope|target_info/)
  })

  it('goes on from where it was, and is the same for two who ask at once', async () => {
    const figures = open()
    figures.count('caesura.runs.submitted', { pipeline: 'p' })
    const [first, second] = await Promise.all([figures.text(), figures.text()])
    expect(second).toBe(first)
    figures.count('caesura.runs.submitted', { pipeline: 'p' }, 2)
    expect(linesOf(await figures.text(), 'caesura_runs_submitted_total')).toEqual([
      'caesura_runs_submitted_total{pipeline="p"} 3',
    ])
  })

  it('shows a counter before there is anything to count', async () => {
    const figures = open()
    figures.count('caesura.worker.lock_losses', {}, 0)
    expect(linesOf(await figures.text(), 'caesura_worker_lock_losses_total')).toEqual([
      'caesura_worker_lock_losses_total 0',
    ])
  })

  it('escapes what a name may hold', async () => {
    const figures = open()
    figures.count('caesura.runs.submitted', { pipeline: 'a"b\\c\nd' })
    expect(await figures.text()).toContain('{pipeline="a\\"b\\\\c\\nd"} 1')
  })
})

describe('a gauge', () => {
  it('shows what is there now, and nothing of what has gone', async () => {
    const figures = open()
    let nodes = ['a', 'b']
    figures.watch(() => ({
      'caesura.node.slots': nodes.map((node) => ({ value: 2, labels: { node, pool: 'p' } })),
    }))
    const end = figures.watch(async () => ({ 'caesura.runs.live': 7 }))
    expect(linesOf(await figures.text(), 'caesura_node_slots')).toHaveLength(2)
    nodes = ['b']
    const text = await figures.text()
    expect(linesOf(text, 'caesura_node_slots')).toEqual(['caesura_node_slots{node="b",pool="p"} 2'])
    expect(linesOf(text, 'caesura_runs_live')).toEqual(['caesura_runs_live 7'])
    end()
    nodes = []
    expect(await figures.text()).not.toMatch(/caesura_runs_live|caesura_node_slots/)
  })

  it('that can’t be read is absent, and keeps nothing else from being shown', async () => {
    const figures = open()
    figures.watch(() => {
      throw new Error('no')
    })
    figures.watch(() => Promise.reject(new Error('no')))
    figures.watch(() => ({ 'caesura.runs.live': 1 }))
    expect(await figures.text()).toContain('caesura_runs_live 1')
  })
})

describe('the number of series', () => {
  it('of a metric is bounded over the life of a process; what is more is one series', async () => {
    const figures = open()
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < MOST_SERIES; index++)
        figures.count('caesura.runs.submitted', { pipeline: `p${round}-${index}` })
      await figures.text()
    }
    const lines = linesOf(await figures.text(), 'caesura_runs_submitted_total')
    expect(lines).toHaveLength(MOST_SERIES)
    expect(lines).toContain(`caesura_runs_submitted_total{otel_metric_overflow="true"} ${2 * MOST_SERIES + 1}`)
  })

  it('is not multiplied by long values: they are cut', async () => {
    const figures = open()
    figures.count('caesura.runs.submitted', { pipeline: '😀'.repeat(1000) })
    const [line] = linesOf(await figures.text(), 'caesura_runs_submitted_total')
    expect(line!.length).toBeLessThan(300)
    expect(line!.isWellFormed()).toBe(true)
  })
})

describe('the table of metrics', () => {
  it.each(Object.entries(metricTable))(
    '%s is a name that Prometheus takes, with a unit and a sentence',
    (name, row) => {
      expect(prometheusName(name)).toMatch(/^(caesura|gen_ai)(_[a-z]+)+$/)
      expect(row.says).toMatch(/^[A-Z1].*\.$/)
      expect(row.unit).toMatch(/^(s|\{[a-z]+\}|)$/)
      for (const label of row.labels) expect(label).not.toMatch(/run\.id|call\.id|tenant|session|conversation/)
      const { buckets = [] } = row
      expect([...buckets].sort((a, b) => a - b)).toEqual(buckets)
      expect(new Set(buckets).size).toBe(buckets.length)
    },
  )
})
