import { z } from 'zod'
import { durationSchema } from './duration.ts'
import { type Effect, type MetricName, type MetricPlan, metrics, type Statistic, statistics } from './metric.ts'
import { present } from './present.ts'

const PERCENT = /^(\d{1,9}(?:\.\d{1,9})?) ?%$/

/** A share of a whole as a file writes it, `20%`; undefined for any other value. */
export const percentOf = (value: unknown): number | undefined => {
  const [, percent] = typeof value === 'string' ? (PERCENT.exec(value) ?? []) : []
  // Shifted as a decimal: 7 / 100 is not 0.07.
  return percent === undefined ? undefined : Number(`${percent}e-2`)
}
export const PERCENT_PATTERN = PERCENT.source

const EFFECT = 'a share such as 10%, a duration such as 20ms, or a number in the unit of the metric, above 0'

const effectOf = (value: unknown): Effect | undefined => {
  const share = percentOf(value)
  if (share !== undefined) return share > 0 ? { share } : undefined
  const absolute = typeof value === 'number' ? value : durationSchema.safeParse(value).data
  return absolute !== undefined && absolute > 0 && Number.isFinite(absolute) ? { absolute } : undefined
}

/** A difference as a file writes it: `10%` of the baseline's value, `20ms`, or a number in the unit of the metric. */
const effectSchema: z.ZodType<Effect, number | string> = z
  .any()
  .meta({
    description: EFFECT,
    anyOf: [
      { type: 'number', exclusiveMinimum: 0 },
      { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(%|ms|s|m)$' },
    ],
  })
  .transform((value: unknown, context): Effect => {
    const effect = effectOf(value)
    if (effect !== undefined) return effect
    context.issues.push({ code: 'custom', input: value, message: 'is no difference', params: { expected: EFFECT } })
    return z.NEVER
  })

export const minimumEffectSchema = effectSchema
  .optional()
  .describe(
    'The least difference that would matter. The power of the experiment, and the sessions it would need, are computed for it.',
  )
export const marginSchema = effectSchema
  .optional()
  .describe('Differences smaller than this do not matter: whether the arms are equivalent within it is tested.')

const metricNames = Object.keys(metrics) as MetricName[]
const metricName = z.enum(metricNames)

const metricSchema = z.union([
  // A text first: what is a mapping is then told what is wrong in it.
  z.string().meta({ enum: metricNames }).pipe(metricName),
  z.strictObject({
    metric: metricName,
    statistics: z
      .array(z.enum(statistics), 'a list of statistics')
      .min(1, '1 or more of them')
      .refine((all) => new Set(all).size === all.length, {
        error: 'has a statistic twice',
        params: { expected: 'each once' },
      })
      .optional(),
    minimumEffect: minimumEffectSchema,
    margin: marginSchema,
  }),
])

export const metricsSchema = z
  .array(metricSchema, 'a list of metrics')
  .min(1, '1 or more metrics')
  .max(20, 'at most 20 metrics')
  .default(['interruptToFirstTokenMs', 'wastedTokens', 'wastedSlotMs', 'keptTokens'])
  .describe('What the arms are compared by; the first one is the primary metric.')

/** What users wait for is asked at its quantiles; what adds up to a bill by its mean. */
const usualStatistics = (metric: MetricName): readonly Statistic[] =>
  metrics[metric].unit === 'ms' && metric !== 'slotMs' && metric !== 'wastedSlotMs' ? ['p50', 'p95'] : ['mean']

/** A metric with its defaults filled in. */
export function metricPlan(
  written: z.output<typeof metricSchema>,
  usual: { minimumEffect?: Effect | undefined; margin?: Effect | undefined } = {},
): MetricPlan {
  const { metric, ...own } = typeof written === 'string' ? { metric: written } : written
  const { minimumEffect = usual.minimumEffect, margin = usual.margin } = own
  return {
    metric,
    statistics: own.statistics ?? usualStatistics(metric),
    ...present({ minimumEffect, margin }),
  }
}

const keptEffect = z.union([z.strictObject({ absolute: z.number() }), z.strictObject({ share: z.number() })])

/** A metric as a kept design has it: what `metricPlan` made. */
export const keptMetricPlan: z.ZodType<MetricPlan> = z
  .strictObject({
    metric: metricName,
    statistics: z.array(z.enum(statistics)).min(1),
    minimumEffect: keptEffect.optional(),
    margin: keptEffect.optional(),
  })
  .transform(({ minimumEffect, margin, ...plan }) => ({
    ...plan,
    ...present({ minimumEffect, margin }),
  }))
