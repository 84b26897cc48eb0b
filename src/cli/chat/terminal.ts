import { createInterface, type Interface } from 'node:readline'
import stringWidth from 'string-width'
import type { RunHandle, Session } from '../../core/engine.ts'
import { CaesuraError, CaesuraErrors } from '../../core/errors.ts'
import type { RunRecord } from '../../core/record.ts'
import { explain } from '../../records/explaining/explanation.ts'
import { besideRecord } from '../beside.ts'
import { explanationLines } from '../explain.ts'
import { stdoutClosed } from '../output.ts'
import { type Screen, screenOn } from '../screen.ts'
import { type CommandName, helpLines, historyLines, readLine } from './commands.ts'
import { ConversationText, PROMPT } from './conversation-text.ts'
import { Listener } from './listener.ts'
import { LiveRegion } from './live-region.ts'

export interface ChatOptions {
  readonly hasHistory: boolean
  /** The conversation under another policy. Throws what reading a pipeline does. */
  open(policy: string): Promise<Session>
  readonly config?: string
}

/** A second Ctrl-C within this time ends the chat, ms. */
const TWICE_MS = 1000
/** What is known to be the exit code after a signal. */
const INTERRUPTED = 130
const TERMINATED = 143

/** Talks until its person ends it; resolves to what the process exits with. */
export const talkInTerminal = (session: Session, options: ChatOptions): Promise<number> =>
  new TerminalChat(session, options).talk()

class TerminalChat {
  #session: Session
  readonly #options: ChatOptions
  readonly #readline: Interface
  readonly #text: ConversationText
  readonly #region = new LiveRegion()
  /** The runs that are followed, by their ids, in the order of their starts. */
  readonly #live = new Map<string, RunHandle>()
  readonly #following = new Set<Promise<void>>()
  /** The last ended run that was interrupted. */
  #interrupted: RunRecord | undefined
  #lastCtrlC = Number.NEGATIVE_INFINITY
  #exitCode = 0
  #isOver = false

  constructor(session: Session, options: ChatOptions) {
    this.#session = session
    this.#options = options
    this.#text = new ConversationText(options)
    this.#readline = createInterface({ input: process.stdin, output: process.stdout, prompt: PROMPT })
  }

  async talk(): Promise<number> {
    const over = Promise.withResolvers<void>()
    const end = () => {
      this.#isOver = true
      over.resolve()
    }
    const onTerminate = () => {
      this.#exitCode = TERMINATED
      this.#readline.close()
    }
    this.#readline
      .on('line', (line) => void this.#line(line))
      .on('SIGINT', () => this.#ctrlC())
      .on('close', end)
    process.on('SIGTERM', onTerminate)
    process.stdout.on('resize', this.#redraw)
    stdoutClosed.addEventListener('abort', end, { once: true })
    this.#text.remark('Type while it answers: Enter interrupts. /help lists what else there is.')
    this.#draw()
    await over.promise
    process.off('SIGTERM', onTerminate)
    process.stdout.off('resize', this.#redraw)
    process.stdout.write('\n')
    for (const run of this.#live.values()) run.cancel('the chat has ended')
    await Promise.all(this.#following)
    return this.#exitCode
  }

  async #line(line: string): Promise<void> {
    this.#eraseTyped(line)
    const meant = readLine(line)
    if (meant.kind !== 'say' || meant.text !== '') this.#text.typed(line)
    try {
      if (meant.kind === 'unknown') this.#text.remark(meant.sentence, 'bad')
      else if (meant.kind === 'command') await this.#command(meant.name, meant.argument)
      else if (meant.text !== '') this.#say(meant.text)
    } catch (error) {
      this.#fault(error)
    }
    this.#draw()
  }

  #say(text: string): void {
    const said = this.#session.say(text)
    this.#follow(said)
    // A signal that no visit saw is a run of its own.
    said.answeredIn.then(
      (run) => this.#follow(run),
      (error) => this.#fault(error),
    )
  }

  #follow(run: RunHandle): void {
    if (this.#live.has(run.runId) || this.#isOver) return
    this.#live.set(run.runId, run)
    const following = this.#show(run)
      .catch((error) => this.#fault(error))
      .finally(() => {
        this.#live.delete(run.runId)
        this.#following.delete(following)
        this.#draw()
      })
    this.#following.add(following)
  }

  async #show(run: RunHandle): Promise<void> {
    const listener = new Listener(run)
    for await (const event of run.events) {
      this.#text.show(event)
      if (event.type !== 'run-start') this.#draw()
      listener.heard(event)
    }
    const record = await run.result
    if (record.interrupts.length > 0) this.#interrupted = record
  }

  async #command(name: CommandName, argument: string): Promise<void> {
    const screen = this.#screen
    if (name === 'quit') this.#readline.close()
    else if (name === 'help') this.#text.drawn(helpLines(screen))
    else if (name === 'history') this.#text.drawn(historyLines(await this.#session.turns(), screen))
    else if (name === 'policy') await this.#policy(argument)
    else await this.#explain()
  }

  async #policy(policy: string): Promise<void> {
    if (policy === '') {
      this.#text.remark('Which one? Say /policy drain, or /policy {response: grace, …}.', 'bad')
      return
    }
    this.#session = await this.#options.open(policy)
    const when = this.#live.size > 0 ? 'from the next run on; the live one keeps its policy' : 'from the next turn on'
    this.#text.remark(`policy ${policy}, ${when}`)
  }

  async #explain(): Promise<void> {
    const record = this.#interrupted
    if (record === undefined) {
      const live = this.#live.size > 0 ? ' An interrupt is explained when its answer has ended.' : ''
      this.#text.remark(`No answer that has ended was interrupted.${live}`)
      return
    }
    const { config } = this.#options
    const beside = await besideRecord(config === undefined ? {} : { config })
    const { width, paint } = this.#screen
    this.#text.drawn(explanationLines(explain(record, beside), { width, paint }))
  }

  #ctrlC(): void {
    const now = performance.now()
    if (now - this.#lastCtrlC < TWICE_MS) {
      this.#exitCode = INTERRUPTED
      this.#readline.close()
      return
    }
    this.#lastCtrlC = now
    for (const run of this.#live.values()) run.cancel('Ctrl-C')
    if (this.#live.size === 0) this.#text.remark('Ctrl-C again ends.')
    this.#draw()
  }

  #fault(error: unknown): void {
    const errors = error instanceof CaesuraErrors ? error.errors : [error]
    for (const each of errors) {
      const { message } = each instanceof Error ? each : { message: String(each) }
      this.#text.remark(each instanceof CaesuraError ? `${message} (${each.code})` : message, 'bad')
      if (each instanceof CaesuraError && each.place.expected !== undefined)
        this.#text.remark(`expected: ${each.place.expected}`)
    }
    this.#draw()
  }

  /** One column is left free: a line that fills the last one would be two. */
  get #screen(): Screen {
    const screen = screenOn(process.stdout)
    return { ...screen, width: screen.width - 1 }
  }

  /** What readline left of a typed line: it is drawn again, as a part of the conversation. */
  #eraseTyped(line: string): void {
    const rows = Math.floor(stringWidth(PROMPT + line) / process.stdout.columns) + 1
    process.stdout.write(`\u001b[${rows}A\r\u001b[J`)
  }

  readonly #redraw = (): void => {
    // A terminal wraps lines anew, and nobody knows where the old ones stand then: they are drawn once more, below.
    this.#region.settle()
    this.#draw()
  }

  #settle(): void {
    this.#text.settle()
    this.#region.settle()
  }

  #draw(): void {
    if (this.#isOver || stdoutClosed.aborted) return
    const { rows: below } = this.#readline.getCursorPos()
    const out = process.stdout
    out.cork()
    const reach = Math.max(0, (out.rows || 24) - 2 - below)
    const up = below > 0 ? `\u001b[${below}A` : ''
    out.write(up + this.#region.frame(this.#text.lines(this.#screen), reach) + '\n'.repeat(below))
    this.#readline.prompt(true)
    out.uncork()
    if (this.#live.size === 0) this.#settle()
  }
}
