import type { Catalogue } from '../core/catalogue.ts'
import type { TriggerDefinition } from '../core/policy.ts'
import { all } from './carries/all.ts'
import { delivered } from './carries/delivered.ts'
import { heard } from './carries/heard.ts'
import { none } from './carries/none.ts'
import { sentences } from './carries/sentences.ts'
import { valid } from './carries/valid.ts'
import { placements, thens, warms } from './choices.ts'
import { presets } from './presets.ts'
import { abort } from './responses/abort.ts'
import { adaptive } from './responses/adaptive.ts'
import { boundary } from './responses/boundary.ts'
import { drain } from './responses/drain.ts'
import { grace } from './responses/grace.ts'
import { hold } from './responses/hold.ts'
import { overlap } from './responses/overlap.ts'
import { race } from './responses/race.ts'
import { after } from './triggers/after.ts'
import { anyOf } from './triggers/any.ts'
import { firstToken } from './triggers/first-token.ts'
import { never } from './triggers/never.ts'
import { sentence } from './triggers/sentence.ts'
import { signal } from './triggers/signal.ts'
import { stall } from './triggers/stall.ts'
import { thinking } from './triggers/thinking.ts'
import { tokens } from './triggers/tokens.ts'

const triggers: TriggerDefinition[] = [signal, after, tokens, firstToken, sentence, stall, thinking]
triggers.push(
  anyOf((name) => triggers.find((trigger) => trigger.name === name)!),
  never,
)

/** All that a policy can be made of. A new factor is its own file, its test and its name in a list here. */
export const policies: Omit<Catalogue, 'steps' | 'backends'> = {
  triggers,
  responses: [drain, abort, overlap, race, grace, boundary, hold, adaptive],
  carries: [none, all, sentences, delivered, heard, valid],
  warms,
  placements,
  thens,
  presets,
}
