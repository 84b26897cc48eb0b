import type { Activity } from '../core/activity.ts'
import { counted, milliseconds } from '../pages/figures.ts'
import { FEWEST_ABORTS } from '../records/explaining/abort-lag.ts'
import type { Alternative, Unknown } from '../records/explaining/alternatives.ts'
import type { ExplainedInterrupt } from '../records/explaining/explanation.ts'
import { asTyped } from './as-typed.ts'

/** What would have been different, and what shows it: two sentences without their full stops. */
export interface Claim {
  readonly claim: string
  readonly evidence: string
}

/** What a call was doing, as the end of `while …`. */
export const doingWords: Record<Activity, string> = {
  waiting: 'waiting for its slot',
  'before-first-token': 'before its first token',
  decoding: 'decoding',
}

/** What would have been different at an interrupt, and what cannot be said of it. */
export const claimsOf = (explained: ExplainedInterrupt): Claim[] => [
  ...explained.alternatives.map((alternative) => alternativeInWords(alternative, explained)),
  ...explained.unknown.map(unknownInWords),
]

export function alternativeInWords(alternative: Alternative, { interrupt, to }: ExplainedInterrupt): Claim {
  const [old, next] = [interrupt.from, interrupt.to ?? 'the next stage']
  const saved = `${alternative.atMost ? 'up to ' : ''}${milliseconds(alternative.savedMs)}`
  switch (alternative.kind) {
    case 'abort':
      return abortInWords(alternative, saved, interrupt.phases.find(({ name }) => name === 'drain')?.ms ?? 0)
    case 'overlap':
      return {
        claim: `overlap would have hidden ${saved}`,
        evidence:
          alternative.evidence === 'other-node'
            ? `${next} ran on ${alternative.node}, which had a slot for it at once, so it need not have waited for ${old}; whether that slot was free at the interrupt is not recorded`
            : `two calls of this run held slots of ${alternative.node} at once, so it has more than one; whether one was free at the interrupt is not recorded`,
      }
    case 'free-slot':
      return {
        claim: `a free slot${to?.node === undefined ? '' : ` on ${to.node}, or another node,`} would have saved ${saved}`,
        evidence:
          alternative.holder === undefined
            ? `${next} waited so long for one; who held it is not in this record`
            : `${next} waited so long for the one that ${alternative.holder} held`,
      }
    case 'free-worker':
      return {
        claim: `a worker with a free slot would have saved ${saved}`,
        evidence: `the ticket of ${next} lay in the queue so long`,
      }
    case 'open-connection':
      return {
        claim: `a connection kept open would have saved ${saved}`,
        evidence: `${next} opened a new one`,
      }
    case 'warm-load':
      return {
        claim: `warm: load on ${old} would have hidden ${saved} of loading ${to?.model ?? 'the model'}`,
        evidence: `the load took ${milliseconds(alternative.savedMs)} (${alternative.source}), and ${old} had run for ${milliseconds(alternative.ranMs)} when it was interrupted`,
      }
  }
}

type Abort = Extract<Alternative, { kind: 'abort' }>

function abortInWords({ savedMs, lag, ownLagMs, wastedSlotMs, atMost }: Abort, saved: string, drainMs: number): Claim {
  const warmed = atMost ? '; what was done ahead for the next stage during the drain might not have been ready' : ''
  if (lag === undefined)
    return {
      claim: `an abort at once would have saved ${atMost ? '' : 'about '}${saved}`,
      evidence: `the cancel that came after ${milliseconds(drainMs)} took ${milliseconds(ownLagMs ?? 0)}, and one at once is taken to be as quick${warmed}`,
    }
  const cancels =
    lag.source === 'records'
      ? `${milliseconds(lag.ms)}, the median of ${counted(lag.n, 'recorded cancel')} of ${lag.model} on ${lag.node} ${whileWords(lag.during)}`
      : `${milliseconds(lag.ms)}, as the probe of ${lag.model} on ${lag.node} measured ${lag.n} times ${whileWords(lag.during)}`
  const waste = wastedSlotMs === undefined ? '' : `, and thrown away up to ${milliseconds(wastedSlotMs)} of slot time`
  return {
    claim:
      savedMs === 0
        ? 'an abort would have saved nothing'
        : `an abort would have saved ${atMost ? '' : 'about '}${saved}${waste}`,
    evidence: `${milliseconds(drainMs)} of drain against a cancel of ${cancels}${warmed}`,
  }
}

const whileWords = (during: Activity): string =>
  during === 'decoding' ? 'while decoding' : during === 'waiting' ? 'while waiting' : 'before the first token'

/** Why nothing is said, and what would tell. */
export function unknownInWords({ node, model, during, n }: Unknown): Claim {
  const seen = n === 0 ? 'no cancel' : counted(n, 'cancel')
  const enough = n === 0 ? '' : `; ${FEWEST_ABORTS} are enough`
  return {
    claim: 'what an abort would have saved is not known',
    evidence: `${seen} of ${model} on ${node} ${whileWords(during)} ${n === 1 || n === 0 ? 'is' : 'are'} recorded${enough}, and no probe of it; ${asTyped('caesura probe')} measures one`,
  }
}

/** As one sentence for people: `An abort would have saved about 80 ms: …`. */
export const sentenceOf = ({ claim, evidence }: Claim): string =>
  `${claim.charAt(0).toUpperCase()}${claim.slice(1)}: ${evidence}.`
