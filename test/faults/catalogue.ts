import { connectionCases } from './cases/connection.ts'
import { cutCases } from './cases/cut.ts'
import { muchCases } from './cases/much.ts'
import { oddCases } from './cases/odd.ts'
import { refusalCases } from './cases/refusal.ts'
import { silenceCases } from './cases/silence.ts'
import { wrongCases } from './cases/wrong.ts'
import type { FaultCase } from './fault.ts'

/** Every fault that the engine is held to: `npm run faults` and test/faults/ run them. */
export const faultCases: readonly FaultCase[] = [
  ...connectionCases,
  ...refusalCases,
  ...silenceCases,
  ...cutCases,
  ...wrongCases,
  ...oddCases,
  ...muchCases,
]
