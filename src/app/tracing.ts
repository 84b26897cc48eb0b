import { carryTracesBy } from '../core/trace-carrier.ts'
import { carried } from '../telemetry/propagation.ts'

/** Part of the composition root: a process's part in what else traces in its program. */
export { activeTrace } from '../telemetry/propagation.ts'

/** For a process that makes calls, before it makes any. */
export const joinProgramTraces = (): void => carryTracesBy(carried)
