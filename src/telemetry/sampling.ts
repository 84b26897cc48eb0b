import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import { RateLimiter } from 'limiter'

/** Runs a second whose spans are sent where nothing else is asked for: all of them up to here, so that telemetry costs a bounded share. */
export const DEFAULT_RATE = 50

/**
 * Samples so many traces a second, each of them where there are no more. A run that was left out has its record all the same:
 * `caesura export` sends its spans later.
 */
class RateLimitedSampler implements Sampler {
  readonly #rate: number
  readonly #limiter: RateLimiter

  constructor(rate: number) {
    this.#rate = rate
    this.#limiter = new RateLimiter({ tokensPerInterval: rate, interval: 'second' })
  }

  shouldSample(): { decision: SamplingDecision } {
    const isSampled = this.#limiter.tryRemoveTokens(1)
    return { decision: isSampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  }

  toString(): string {
    return `RateLimited{${this.#rate}}`
  }
}

const rootOf: Readonly<Record<string, (argument: number | undefined) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio = 1) => new TraceIdRatioBasedSampler(ratio),
  rate_limited: (rate = DEFAULT_RATE) => new RateLimitedSampler(rate),
}
const DEFAULT = 'parentbased_rate_limited'

/**
 * The sampler that `OTEL_TRACES_SAMPLER` names: OpenTelemetry's, and `rate_limited`, the default, whose argument is traces a second.
 * What cannot be used adds a warning.
 */
export function samplerOf(name: string = DEFAULT, argument: string | undefined, warnings: string[]): Sampler {
  const [, parentBased, root = ''] = /^(parentbased_)?(.*)$/.exec(name) ?? []
  const make = Object.hasOwn(rootOf, root) ? rootOf[root] : undefined
  if (make === undefined) {
    warnings.push(`OTEL_TRACES_SAMPLER names no sampler (${name}): ${DEFAULT} is used`)
    return samplerOf(DEFAULT, undefined, warnings)
  }
  const sampler = make(argumentOf(root, argument, warnings))
  return parentBased === undefined ? sampler : new ParentBasedSampler({ root: sampler })
}

function argumentOf(root: string, argument: string | undefined, warnings: string[]): number | undefined {
  if (argument === undefined || !/ratio|rate/.test(root)) return undefined
  const [value, most] = [Number(argument), root === 'traceidratio' ? 1 : 1_000_000]
  if (value >= 0 && value <= most && (root !== 'rate_limited' || value >= 1)) return value
  warnings.push(
    root === 'traceidratio'
      ? 'OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1: 1 is used'
      : `OTEL_TRACES_SAMPLER_ARG is not a number of traces a second, 1 or more: ${DEFAULT_RATE} is used`,
  )
  return undefined
}
