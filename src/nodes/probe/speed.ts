import type { ErrorCode } from '../../core/errors.ts'
import { CaesuraError } from '../../core/errors.ts'
import { present } from '../../core/present.ts'
import { type Findings, idleMs, type Step } from './findings.ts'
import type { Answer } from './line.ts'
import { longPrompt, shortPrompt, talkPrompt } from './prompts.ts'
import { medianOf, prefillOf, preparationOf, tokenIntervalOf, ttftOf } from './samples.ts'

/** The longest prompt that is tried, tokens: three batches of most servers and a part of a fourth. */
const MOST_TOKENS = 1_800
/** Two batches of 512 with a margin: with less a prefill that stops between batches looks like one that never stops. */
export const TWO_BATCHES_TOKENS = 768
const WANTED_TOKENS = 1_000
/** Of a first long prompt, which shows how many tokens a sentence has. */
const FIRST_SENTENCES = 5
/** Where nothing is reported. */
const TOKENS_A_SENTENCE = 18
/** How a server says that a prompt is too long for its window. */
const TOO_LONG: readonly ErrorCode[] = ['CAESURA_E_CONTEXT_FULL', 'CAESURA_E_REQUEST']
const TALK_TOKENS = 64

/** Time to first token of a short prompt on an idle server, and what comes before the slot. The first call only loads. */
export async function measureFirstToken({ line, findings, repetitions, tell }: Step): Promise<void> {
  const firstCallMs = ttftOf(await line.ask(shortPrompt()))
  if (firstCallMs !== undefined) findings.firstCallMs = firstCallMs
  for (let done = 0; done < repetitions; done += 1) {
    tell(done, repetitions)
    const answer = await line.ask(shortPrompt())
    add(findings.firstToken, ttftOf(answer))
    add(findings.preparation, preparationOf(answer))
    add(findings.shortTokens, answer.end.promptTokens)
  }
}

/** Time from a token to the next. */
export async function measureDecode({ line, findings, repetitions, tell }: Step): Promise<void> {
  const times = Math.min(3, repetitions)
  for (let done = 0; done < times; done += 1) {
    tell(done, times)
    add(findings.tokenInterval, tokenIntervalOf(await line.ask(talkPrompt(TALK_TOKENS, done)), idleMs(findings)))
    if (line.leftMs < line.budgetMs * 0.8) return
  }
}

/**
 * Prefill speed on a prompt that is long enough to be aborted in several batches, if the budget has room for it, and whether
 * the same prompt again is faster.
 */
export async function measurePrefill({ line, findings, repetitions, tell }: Step): Promise<void> {
  tell(0, repetitions)
  const first = await line.ask(longPrompt(FIRST_SENTENCES))
  const sizes = sizesOf(first, findings)
  let sentences = sentencesFor(first, idleMs(findings), line.budgetMs, sizes)
  const ttfts: number[] = []
  let last: Answer | undefined
  for (let done = 0; done < repetitions; ) {
    tell(done, repetitions)
    const prompt = longPrompt(sentences)
    const answer = await line.ask(prompt).catch((error: unknown) => {
      if (error instanceof CaesuraError && TOO_LONG.includes(error.code) && sentences > FIRST_SENTENCES)
        return undefined
      throw error
    })
    const fits = answer === undefined ? undefined : fitting(answer, sentences, sizes)
    if (answer === undefined || (fits !== undefined && fits < sentences && sentences > FIRST_SENTENCES)) {
      sentences = Math.max(FIRST_SENTENCES, fits ?? Math.floor(sentences * 0.9))
      continue
    }
    done += 1
    last = answer
    add(ttfts, ttftOf(answer))
    add(findings.prefillRate, rateOf(answer))
    const ttftMs = medianOf(ttfts)
    if (ttftMs === undefined) return
    const tokens = answer.end.promptTokens
    const prefillMs = Math.max(0, ttftMs - idleMs(findings))
    const spreadMs = Math.max(...ttfts.map((ms) => Math.abs(ms - ttftMs)))
    findings.long = { sentences, ...present({ tokens }), ttftMs, prefillMs, spreadMs }
    if (done === 1) {
      const reused = isReused(answer, await line.ask(prompt), idleMs(findings))
      if (reused !== undefined) findings.prefixReuse = reused
    }
    if (ttfts.reduce((sum, ms) => sum + ms, 0) > line.budgetMs * 0.1) break
  }
  deriveRate(last, findings)
}

/** Tokens of a sentence, and of what every prompt has beside them. */
interface Sizes {
  readonly sentence: number
  readonly frame: number
}

function sizesOf(first: Answer, findings: Findings): Sizes | undefined {
  const frame = medianOf(findings.shortTokens)
  const tokens = first.end.promptTokens
  return frame === undefined || tokens === undefined || tokens <= frame
    ? undefined
    : { sentence: (tokens - frame) / FIRST_SENTENCES, frame }
}

/** As many as the budget has time for: aborts in them come later, and each may have to wait for all of it. */
function sentencesFor(first: Answer, idle: number, budgetMs: number, sizes: Sizes | undefined): number {
  const { sentence, frame } = sizes ?? { sentence: TOKENS_A_SENTENCE, frame: 0 }
  const ms = prefillOf(first) ?? (ttftOf(first) ?? 0) - idle
  const rate = (FIRST_SENTENCES * sentence + frame) / Math.max(ms, 0.1)
  const wanted = Math.min(MOST_TOKENS, Math.max(WANTED_TOKENS, rate * (budgetMs / 20)), rate * (budgetMs / 5))
  return Math.max(FIRST_SENTENCES, Math.floor((wanted - frame) / sentence))
}

/** How many sentences fit, where the server reports fewer tokens than it was sent: Ollama cuts in silence. */
function fitting({ end }: Answer, sentences: number, sizes: Sizes | undefined): number | undefined {
  if (sizes === undefined || end.promptTokens === undefined) return undefined
  const { sentence, frame } = sizes
  const cut = end.promptTokens < 0.9 * (sentences * sentence + frame)
  return cut ? Math.floor((0.95 * end.promptTokens - frame) / sentence) : undefined
}

function rateOf(answer: Answer): number | undefined {
  const { promptTokens } = answer.end
  const ms = prefillOf(answer)
  return promptTokens === undefined || ms === undefined || ms <= 0 ? undefined : promptTokens / (ms / 1000)
}

/** Half the time is more than noise makes of it, and less than any cache that missed. */
function isReused(once: Answer, again: Answer, idle: number): boolean | undefined {
  const [before, after] = [prefillOf(once), prefillOf(again)]
  if (before !== undefined && after !== undefined) return after < before / 2
  const [slow, fast] = [ttftOf(once), ttftOf(again)]
  return slow === undefined || fast === undefined ? undefined : fast - idle < (slow - idle) / 2
}

/** Where the server reports counts but no times: the slope between the short and the long prompt, and what is left of the short one. */
function deriveRate(last: Answer | undefined, findings: Findings): void {
  const { long, shortTokens, prefillRate, preparation } = findings
  const tokens = medianOf(shortTokens)
  if (last === undefined || long?.tokens === undefined || tokens === undefined || long.prefillMs <= 0) return
  const perToken = long.prefillMs / (long.tokens - tokens)
  if (prefillRate.length === 0 && perToken > 0) prefillRate.push(1000 / perToken)
  if (preparation.length === 0) preparation.push(Math.max(0, idleMs(findings) - tokens * perToken))
}

function add(sample: number[], value: number | undefined): void {
  if (value !== undefined) sample.push(value)
}
