import { parser } from '@prometheus-io/lezer-promql'

/** What a query of Prometheus names. */
export interface Query {
  readonly metrics: readonly string[]
  readonly labels: readonly string[]
}

/** Labels and metrics that Prometheus itself adds. */
const given = new Set(['job', 'instance', 'service', 'le', 'up'])

/** Throws where the query is none. */
export function readQuery(expression: string): Query {
  const metrics: string[] = []
  const labels: string[] = []
  parser.parse(expression).iterate({
    enter(node) {
      const text = expression.slice(node.from, node.to)
      if (node.type.isError) throw new Error(`this is no PromQL at ${node.from}: ${expression}`)
      if (node.name === 'VectorSelector') metrics.push(/^[a-zA-Z_:][\w:]*/.exec(text)?.[0] ?? text)
      if (node.name === 'LabelName') labels.push(text)
    },
  })
  return { metrics: metrics.filter((name) => !given.has(name)), labels: labels.filter((name) => !given.has(name)) }
}
